"""The one family of errors. A function that fails is not an error here: it is an ``Outcome``."""

from __future__ import annotations

from enum import Enum


class SandboxError(Exception):
    """An error the caller sees.

    ``code`` is the platform's own API error code (``ResourceNotFound.FunctionName``), ``message``
    says what to do next, ``http_status`` is what plain REST answers (the cloud API always answers
    200, as Tencent's does).
    """

    default_code = "InternalError"
    http_status = 500

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RequestError(SandboxError):
    """The caller's request is wrong."""

    default_code = "InvalidParameterValue"
    http_status = 400


class AuthError(SandboxError):
    """The request's signature is missing, wrong or out of its time window."""

    default_code = "AuthFailure.SignatureFailure"
    http_status = 401


class NotFoundError(SandboxError):
    """What the request names does not exist."""

    default_code = "ResourceNotFound"
    http_status = 404


class ConflictError(SandboxError):
    """The request cannot be done in the present state."""

    default_code = "FailedOperation"
    http_status = 409


class LimitError(SandboxError):
    """The request goes over one of the platform's limits."""

    default_code = "LimitExceeded"
    http_status = 400


class UnsupportedError(SandboxError):
    """The platform can do this; the sandbox cannot (yet)."""

    default_code = "UnsupportedOperation"
    http_status = 501


class PlatformError(SandboxError):
    """Our own fault, or the engine's: never the user's."""

    default_code = "InternalError.System"
    http_status = 500


class EngineErrorKind(Enum):
    """What went wrong in an engine, for code that decides by it. The message is for people."""

    #: Nothing answers, or the answer did not come in time.
    UNREACHABLE = "unreachable"
    #: The image of the instances is not on the engine.
    NO_IMAGE = "no image"
    #: What the call names does not exist (any more).
    GONE = "gone"
    #: What is to be removed is still used.
    IN_USE = "in use"
    #: The name is taken, or the present state does not allow the call.
    CONFLICT = "conflict"
    #: The addresses belong to another network.
    OVERLAP = "overlap"
    #: It is being removed already.
    REMOVING = "removing"
    #: Everything else.
    REFUSED = "refused"


class EngineError(PlatformError):
    """The engine refused or did not answer. ``kind`` says which; no caller reads the message."""

    def __init__(self, message: str, kind: EngineErrorKind = EngineErrorKind.REFUSED) -> None:
        super().__init__(message)
        self.kind = kind


class DryRunDone(SandboxError):
    """The request was a dry run: everything was checked, it would succeed, nothing was changed."""

    default_code = "DryRunOperation"
    http_status = 412

    def __init__(self) -> None:
        super().__init__("this was a dry run: the request would succeed without DryRun")


class IllegalTransitionError(PlatformError):
    """An event arrived in a state where it has no meaning: a bug of ours."""

    def __init__(self, state: object, event: object) -> None:
        super().__init__(f"illegal transition: {event} while {state}")
        self.state = state
        self.event = event
