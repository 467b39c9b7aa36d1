"""What a client of the cloud API can do here, whatever it is written in."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

SECRET_ID, SECRET_KEY = "AKIDclients", "the key of the clients' tests"
REGION = "ap-guangzhou"


class Refused(Exception):
    """The client says that its call was refused."""

    def __init__(self, code: str, request_id: str) -> None:
        assert request_id, f"the refusal {code} has no request id"
        super().__init__(code, request_id)
        self.code = code


class Client(ABC):
    """A real client, unmodified, on one endpoint with one pair of keys."""

    @abstractmethod
    def call(self, action: str, **params: Any) -> dict[str, Any]:
        """The answer, without its envelope; raises ``Refused``."""

    def until_active(self, name: str, **params: Any) -> dict[str, Any]:
        def active() -> dict[str, Any] | None:
            found = self.call("GetFunction", FunctionName=name, **params)
            assert not found["Status"].endswith("Failed"), found["StatusReasons"]
            return found if found["Status"] == "Active" else None

        function: dict[str, Any] = wait_until(active)
        return function

    def refusal(self, action: str, **params: Any) -> str | None:
        """The code that a call is refused with; None when it is not."""
        try:
            self.call(action, **params)
        except Refused as refused:
            return refused.code
        return None


def environment(home: Path) -> dict[str, str]:
    """What a client's process inherits: no proxy of this machine, nobody's configuration."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
