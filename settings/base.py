"""What every section of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file: no unknown keys, never changed. A run builds only those that its file has."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
