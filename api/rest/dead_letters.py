"""Dead letters: events that were given up. One local store stands for all dead letter queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, Field, computed_field
from pydantic_core import from_json

from api.rest.locations import LOCATION, invocation_at
from api.rest.models import Accepted
from api.rest.parameters import Limit, Offset  # noqa: TC001 - FastAPI evaluates them
from api.rest.strict_route import rest_routes
from api.rest.times import Utc, utc

if TYPE_CHECKING:
    from fastapi import APIRouter

    from api.rest.services import Services
    from sandbox.events.model import DeadLetter

LIST = """
Newest first. An event is given up when it failed on its last try, or became older than the
function's `MsgTTL`. It is kept here, with the message that the platform would send to the queue,
when the function has a `DeadLetterConfig`. Else it is dropped, as in the cloud: for three days the
list still says that, and why, but the event itself is gone.
"""


class LetterView(BaseModel):
    """One event that was given up."""

    request_id: str
    namespace: str
    function: str
    died_at: float = Field(description="seconds since the epoch")
    queue_type: str = Field(description="Type of the function's DeadLetterConfig")
    queue_name: str = Field(description="its Name")
    dropped: bool = Field(description="there was no DeadLetterConfig: the event is gone")
    status_code: int = Field(description="function status code of the last try")
    error: str
    message: dict[str, Any] = Field(description="what the platform sends to the queue")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def died_at_utc(self) -> Utc:
        """``died_at`` in RFC 3339."""
        return utc(self.died_at)

    @classmethod
    def of(cls, letter: DeadLetter) -> LetterView:
        """The view of a stored letter."""
        return cls(
            request_id=letter.request_id,
            namespace=letter.namespace,
            function=letter.function_name,
            died_at=letter.died_at,
            queue_type=letter.queue_type,
            queue_name=letter.queue_name,
            dropped=letter.dropped,
            status_code=letter.status_code,
            error=letter.error_message,
            message=from_json(letter.message),
        )


class LetterList(BaseModel):
    """A page of dead letters. ``total`` counts those of all pages."""

    total: int
    dead_letters: list[LetterView]


def dead_letter_routes(services: Services) -> APIRouter:
    """List, delete, redrive. These routes exist only if ``services`` has dead letters."""
    router = rest_routes("dead letters")
    box = services.dead_letters
    if box is None:
        return router

    @router.get("/dead-letters", summary="List events that were given up", description=LIST)
    async def list_dead_letters(
        namespace: Annotated[str | None, Query(description="only of this namespace")] = None,
        function: Annotated[str | None, Query(description="only of this function")] = None,
        dropped: Annotated[bool | None, Query(description="only dropped ones, or none")] = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> LetterList:
        total, letters = await box.find(
            namespace, function, dropped=dropped, offset=offset, limit=limit
        )
        return LetterList(total=total, dead_letters=[LetterView.of(item) for item in letters])

    @router.delete(
        "/dead-letters/{request_id}",
        summary="Take a dead letter away",
        status_code=204,
        response_class=Response,
    )
    async def delete_dead_letter(request_id: str) -> Response:
        await box.delete(request_id)
        return Response(status_code=204)

    @router.post(
        "/dead-letters/{request_id}/redrive",
        summary="Invoke the function with it again",
        description="A new asynchronous invocation under a new request id. The letter is deleted.",
        status_code=202,
    )
    async def redrive_dead_letter(request_id: str, response: Response) -> Accepted:
        accepted = await box.redrive(request_id, services.invoker)
        response.headers[LOCATION] = invocation_at(accepted)
        return Accepted(request_id=accepted)

    return router
