"""Dead letters: the messages of events that were given up, and their store."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import from_json

from sandbox.clock import new_request_id
from sandbox.errors import NotFoundError, RequestError, ResourceNotFound
from sandbox.events.model import DeadLetter
from sandbox.functions.model import DeadLetterQueue
from sandbox.invocation import InvokeOptions

if TYPE_CHECKING:
    from sandbox.events.model import QueuedEvent
    from sandbox.events.ports import LetterRepository
    from sandbox.functions.model import FunctionConfig
    from sandbox.settings import Settings

#: The longest error text in a message.
ERROR_CHARACTERS = 16 * 1024
BEIJING = timezone(timedelta(hours=8))


class Accepting(Protocol):
    """The invoker, as a redrive needs it."""

    async def invoke_async(self, name: str, event: bytes, options: InvokeOptions) -> None:
        """Accept an event. It is on disk when this returns; see ``Invoker.invoke_async``."""
        ...


class DeadLetters:
    """One local store for all dead letter queues. Plain REST uses it.

    Errors of the database are ``PlatformError``.
    """

    def __init__(self, repository: LetterRepository) -> None:
        self._repository = repository

    async def find(
        self,
        namespace: str | None = None,
        function_name: str | None = None,
        *,
        dropped: bool | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[int, list[DeadLetter]]:
        """How many letters match, and a page of them, newest first."""
        return await asyncio.to_thread(
            self._repository.find, namespace, function_name, dropped, offset, limit
        )

    async def delete(self, request_id: str) -> None:
        """Delete a letter. ``ResourceNotFound`` if there is none."""
        if not await asyncio.to_thread(self._repository.delete, request_id):
            raise _no_letter(request_id)

    async def redrive(self, request_id: str, invoker: Accepting) -> str:
        """Invoke the function again with the event of a letter. Returns the new request id.

        The letter is deleted once the event is accepted; a crash in between leaves both. Errors:
        ``ResourceNotFound``, ``InvalidParameterValue`` for a dropped event, those of Invoke.
        """
        letter = await asyncio.to_thread(self._repository.get, request_id)
        if letter is None:
            raise _no_letter(request_id)
        if letter.dropped:
            raise RequestError(
                f"the event {request_id} was dropped and its body was not kept: give the function"
                " a DeadLetterConfig, which keeps events that fail"
            )
        body = from_json(letter.message)["Body"]
        options = InvokeOptions(
            new_request_id(),
            letter.namespace,
            body["Qualifier"],
            invocation_type="Event",
        )
        await invoker.invoke_async(letter.function_name, body["ClientContext"].encode(), options)
        await asyncio.to_thread(self._repository.delete, request_id)
        return options.request_id


def dead_letter(
    event: QueuedEvent,
    body: bytes,
    config: FunctionConfig | None,
    status: int,
    ttl_s: int,
    now: float,
    settings: Settings,
) -> DeadLetter:
    """The letter of an event that is given up (contract 5).

    ``config`` is the version's, or None if the function is gone. It says whether there is a dead
    letter queue. ``event.error`` is the error object of the last try. ``ttl_s`` is the MsgTTL in
    seconds, ``now`` seconds since the epoch.
    """
    queue = config.dead_letter if config else DeadLetterQueue()
    dropped = not queue.exists
    code, message = error_of(event.error, status)
    content = {
        "RequestId": event.request_id,
        "ErrorCode": code,
        "ErrorMessage": message,
        "Body": {
            "AppId": int(settings.app_id) if settings.app_id.isdigit() else settings.app_id,
            "Uin": settings.uin,
            "SubAccountUin": settings.uin,
            "RequestSource": event.source if event.source == "API" else f"TRIGGER_{event.source}",
            "FunctionName": event.function_name,
            "Namespace": event.namespace,
            "Qualifier": event.qualifier,
            "InvocationType": event.invocation_type,
            "ClientContext": "" if dropped else body.decode("utf-8", "replace"),
            "LogType": "",
            "TimeStampForInvoker": str(int(event.accepted_at * 1000)),
            "RequestId": event.request_id,
            "PushTime": _beijing(event.accepted_at),
            "RetryNum": event.retry_num,
            "Ttl": ttl_s,
        },
    }
    return DeadLetter(
        request_id=event.request_id,
        namespace=event.namespace,
        function_name=event.function_name,
        died_at=now,
        queue_type=queue.type,
        queue_name=queue.name,
        dropped=dropped,
        status_code=int(status),
        error_message=message,
        message=json.dumps(content, ensure_ascii=False),
    )


def error_of(error: bytes, status: int) -> tuple[int, str]:
    """``ErrorCode`` and ``ErrorMessage`` of an error object. For other bytes: -1 and their text."""
    try:
        told: Any = from_json(error)
        return int(told["errorCode"]), str(told["errorMessage"])[:ERROR_CHARACTERS]
    except (ValueError, TypeError, KeyError):
        text = error.decode("utf-8", "replace")[:ERROR_CHARACTERS]
        return -1, text or f"the event was given up with status {status}"


def _beijing(moment: float) -> str:
    """RFC 3339 as the platform writes it, ``+08:00``."""
    return datetime.fromtimestamp(moment, UTC).astimezone(BEIJING).isoformat()


def _no_letter(request_id: str) -> NotFoundError:
    return NotFoundError(
        f"there is no dead letter {request_id}: GET /dead-letters lists all",
        ResourceNotFound.GENERAL,
    )
