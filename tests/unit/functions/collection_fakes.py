"""A store of whole records that tests can hold still, or make fail."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from pydantic import BaseModel

from tests.support.waiting import DEADLINE_S

M = TypeVar("M", bound=BaseModel)


class FakeTable(Generic[M]):
    """Keeps records as the text that a database would. ``gate`` holds writes back."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self.rows: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.errors: list[Exception] = []
        self.begun = 0

    def load_all(self) -> dict[str, M]:
        return {name: self._model.model_validate_json(text) for name, text in self.rows.items()}

    def save(self, name: str, record: M) -> None:
        self._write()
        self.rows[name] = record.model_dump_json()

    def delete(self, name: str) -> None:
        self._write()
        self.rows.pop(name, None)

    def _write(self) -> None:
        self.begun += 1
        assert self.gate.wait(DEADLINE_S)
        if self.errors:
            raise self.errors.pop(0)
