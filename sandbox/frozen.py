"""The base of every record that the disk holds as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenRecord(BaseModel):
    """A record that never changes: a change makes a new record.

    Unknown fields are ignored, so that data of a newer version opens.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
