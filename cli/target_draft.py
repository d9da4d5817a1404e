"""A target that is about to be written to the configuration: its keys, a name for it, and how its trial went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from cli.trial import DayCost, Trial
    from settings.editing import Edit
    from settings.sections import Api


@dataclass(frozen=True)
class Draft:
    """The keys of a `[[target]]`. What is null or empty is left to the file's defaults."""

    name: str
    model: str
    base_url: str
    api: Api = "chat"
    api_key_env: str | None = None
    api_key_file: str | None = None
    every: str | None = None
    tags: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """As the file has them, in the order in which a person writes them."""
        more = {
            "api": None if self.api == "chat" else self.api,
            "api_key_env": self.api_key_env,
            "api_key_file": self.api_key_file,
            "every": self.every,
            "tags": list(self.tags) or None,
            "params": dict(self.params) or None,
        }
        return {"name": self.name, "model": self.model, "base_url": self.base_url} | {
            key: value for key, value in more.items() if value is not None
        }


@dataclass(frozen=True)
class Proposal:
    """A draft, how its one probe went (null: none was sent), and what a day of it costs."""

    draft: Draft
    trial: Trial | None
    day: DayCost

    @property
    def as_json(self) -> dict[str, Any]:
        """For a program."""
        trial = self.trial and {
            "outcome": self.trial.outcome,
            "is_reached": self.trial.is_reached,
            "waits_for_key": self.trial.waits_for_key,
            "words": self.trial.reason,
            "ttft_ms": self.trial.ttft_ms,
            "total_ms": self.trial.total_ms,
        }
        day = {"probes": self.day.probes, "max_usd": float(self.day.usd), "words": self.day.words}
        return self.draft.fields | {"api": self.draft.api, "test": trial, "day": day}


@dataclass(frozen=True)
class Skipped:
    """What was not taken over, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Proposals:
    """What `add` found: targets to write, what is left out, and what else is worth saying."""

    targets: tuple[Proposal, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def toml(self) -> str:
        """The blocks as the file gets them."""
        from settings.target_blocks import toml_of

        return "\n".join(toml_of(each.draft.fields) for each in self.targets)


def plan_drafts(path: Path, drafts: Iterable[Draft]) -> Edit:
    """The file with these targets at its end. Raises ConfigError when that would not be valid."""
    from settings.editing import plan_edit
    from settings.target_blocks import append_target

    def change(text: str) -> str:
        for draft in drafts:
            text = append_target(text, draft.fields)
        return text

    return plan_edit(path, change)


def name_for(model: str, taken: Sequence[str]) -> str:
    """A name for a model's target that no other has.

    >>> name_for("google/gemma-3-27b-it", ["gemma-3-27b-it"])
    'gemma-3-27b-it (2)'
    """
    bare = model.rpartition("/")[2].strip() or model
    return next(name for number in count(1) if (name := bare if number == 1 else f"{bare} ({number})") not in taken)


def with_own_names(drafts: Iterable[Draft], taken: Iterable[str]) -> list[Draft]:
    """The drafts, renamed where a name is taken, also by one before."""
    names, renamed = list(taken), []
    for draft in drafts:
        own = draft.name if draft.name not in names else name_for(draft.name.replace("/", " "), names)
        names.append(own)
        renamed.append(replace(draft, name=own))
    return renamed
