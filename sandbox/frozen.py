"""The base of every record that is kept on disk as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenRecord(BaseModel):
    """A record that never changes: a change makes a new one.

    Fields that it does not know are ignored, so that data of a newer version opens.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
