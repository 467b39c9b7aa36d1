"""What the queue asks of whoever runs events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.invocation import Cause, Invocation, InvokeOptions, Outcome


class Runner(Protocol):
    """The invoker, as the queue sees it. Only ``outcome`` and ``signal`` wait."""

    def can_begin(self, function: Function, version: FunctionVersion) -> bool:
        """Whether an event would not have to wait for another one to end."""
        ...

    def begin(
        self,
        function: Function,
        version: FunctionVersion,
        event: bytes,
        options: InvokeOptions,
        patience_s: float,
    ) -> Invocation:
        """Hand an event to the pool; it waits there ``patience_s`` seconds at most."""
        ...

    async def outcome(self, invocation: Invocation) -> Outcome:
        """Wait for the end, and leave a record of it."""
        ...

    def cancel(self, invocation: Invocation, cause: Cause, message: str) -> None:
        """End it as canceled, and with it the instance that works on it."""
        ...

    async def signal(self, invocation: Invocation) -> bool:
        """Send SIGTERM to the bootstrap that works on it; False when there is none."""
        ...
