"""What every section of the configuration has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("a name is one line of printable text without spaces around it")
    return value


PrintableName = Annotated[str, AfterValidator(_printable)]
"""What history is kept under, and shown."""


class Section(BaseModel):
    """A table of the file: no unknown keys, never changed. A run builds only those that its file has."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
