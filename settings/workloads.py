"""`[[workload]]`: requests with prompts of several sizes, by which targets are measured, and how often."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from settings.base import PrintableName, Section
from settings.durations import seconds
from settings.mistake import Finding
from settings.target_selection import idle_parts, selects

PREFIX_TOKENS = 5_000
"""Of the prompt that is sent twice. Every provider caches prompts of 4,096 tokens; some no shorter ones."""


MOST_SIZES = 10
InputTokens = Annotated[int, Field(ge=50, le=2_000_000)]


def _sizes(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_SIZES:
        raise ValueError(f"write a list of 1 to {MOST_SIZES} sizes, such as [100, 1000, 10000]")
    numbers = [size for size in value if isinstance(size, int)]
    if len(set(numbers)) < len(numbers):
        raise ValueError("a size is listed twice")
    return tuple(sorted(value)) if len(numbers) == len(value) else value


class WorkloadSection(Section):
    """`[[workload]]`: what is sent to which targets."""

    name: PrintableName = Field(min_length=1, max_length=100)
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    input_tokens: Annotated[tuple[InputTokens, ...], BeforeValidator(_sizes)] = (100, 1_000, 10_000)
    output_tokens: int = Field(128, ge=16, le=4_096)
    every: Annotated[float, BeforeValidator(seconds), Field(ge=60, le=7 * 86_400)] = 21_600.0
    prompt_cache: bool = False

    @model_validator(mode="before")
    @classmethod
    def _has_targets(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("targets") and not given.get("tags"):
            raise ValueError('it needs targets or tags, because it costs money: targets = ["*"] is every target')
        return given

    def applies_to(self, name: str, tags: Collection[str]) -> bool:
        """Whether a target is named, fits a pattern, or has one of the tags."""
        return selects(self.targets, self.tags, name, tags)

    def workload(self) -> Workload:
        """What is sent."""
        prefix_tokens = PREFIX_TOKENS if self.prompt_cache else None
        return Workload(self.name, self.input_tokens, self.output_tokens, self.every, prefix_tokens)


@dataclass(frozen=True)
class Workload:
    """What is sent to a target: a prompt of each size, smallest first; one of `prefix_tokens` twice (null: none)."""

    name: str
    input_tokens: tuple[int, ...]
    output_tokens: int
    every_s: float
    prefix_tokens: int | None = None


def workloads_of(sections: Sequence[WorkloadSection], name: str, tags: Collection[str]) -> tuple[Workload, ...]:
    """A target's workloads, in the file's order."""
    return tuple(section.workload() for section in sections if section.applies_to(name, tags))


def workload_findings(
    sections: Sequence[WorkloadSection], names: Collection[str], tags: Collection[str]
) -> Iterator[Finding]:
    """Two workloads of one name, and names and tags that no target has: nothing would be measured."""
    seen: set[str] = set()
    for number, section in enumerate(sections, 1):
        what = f"workload {number} ({section.name!r})"
        if section.name in seen:
            yield Finding(("workload", number - 1, "name"), f"{what} has the name of another one: rename it")
        seen.add(section.name)
        if idle := next(idle_parts(section.targets, section.tags, names, tags), None):
            yield Finding(("workload", number - 1), f"{what} {idle}, and no target does")
