"""Targets that are about to be written to the configuration, with their probes and prices."""

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
    """The keys of a `[[target]]`; null or empty ones are not written, and so have the file's defaults."""

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
        """The keys to write, in the usual order."""
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
    """A draft, the result of its one probe (null: none was sent), and the cost of a day."""

    draft: Draft
    trial: Trial | None
    day: DayCost

    @property
    def as_json(self) -> dict[str, Any]:
        """The proposal in the document of `--json`."""
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
    """An entry of a source that becomes no target, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Proposals:
    """The targets that `add` would write, the entries that it skips, and notes for the user."""

    targets: tuple[Proposal, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def toml(self) -> str:
        """The `[[target]]` blocks to write."""
        from settings.target_blocks import toml_of

        return "\n".join(toml_of(each.draft.fields) for each in self.targets)


def plan_drafts(path: Path, drafts: Iterable[Draft]) -> Edit:
    """The file with these targets at its end. Raises ConfigError when it would not be valid."""
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
    return _free_name(model.rpartition("/")[2].strip() or model, taken)


def with_free_names(drafts: Iterable[Draft], taken: Iterable[str]) -> list[Draft]:
    """The drafts, renamed where the file or an earlier draft has the name."""
    names, renamed = list(taken), []
    for draft in drafts:
        name = _free_name(draft.name, names)
        names.append(name)
        renamed.append(replace(draft, name=name))
    return renamed


def _free_name(name: str, taken: Sequence[str]) -> str:
    return next(free for number in count(1) if (free := name if number == 1 else f"{name} ({number})") not in taken)
