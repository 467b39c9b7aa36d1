"""Every error that a caller sees: the classes, and the platform's codes.

A function that fails is not an error here: it is an ``Outcome``. The classes::

    SandboxError                  the one root
    +-- RequestError              the caller's request is wrong
    +-- AuthError                 the signature is wrong
    +-- NotFoundError             the request names something that does not exist
    +-- ConflictError             the present state does not allow the request
    +-- LimitError                the request exceeds a limit of the platform
    +-- UnsupportedError          the platform can do it, the sandbox cannot
    +-- DryRunDone                the request was a dry run, and would succeed
    +-- PlatformError             our own fault, never the user's
        +-- EngineError           the container engine refused, or did not answer
        +-- IllegalTransitionError    a bug: the state has no transition for the event

A class says whose fault the error is, and has the HTTP status of plain REST (the cloud API always
answers 200). A code is the platform's name for the error. Its family is the part before the dot::

    family                 class              HTTP
    AuthFailure            AuthError          401
    DryRunOperation        DryRunDone         412
    FailedOperation        ConflictError      409
    InternalError          SandboxError       500
    InternalError          PlatformError      500
    InvalidParameter       RequestError       400
    InvalidParameter       LimitError         400
    InvalidParameterValue  RequestError       400
    InvalidParameterValue  LimitError         400
    LimitExceeded          LimitError         400
    MissingParameter       RequestError       400
    ResourceInUse          ConflictError      409
    ResourceNotFound       NotFoundError      404
    UnsupportedOperation   UnsupportedError   501
    UnsupportedOperation   ConflictError      409

Plain REST makes one exception: ``InvalidParameter.RequestTooLarge`` is 413.
"""

from __future__ import annotations

import errno
from enum import Enum, StrEnum


class Code(StrEnum):
    """An error code of the platform. ``GENERAL`` is the name of the family alone."""


class AuthFailure(Code):
    """The signature is missing or wrong."""

    SIGNATURE_FAILURE = "AuthFailure.SignatureFailure"


class DryRunOperation(Code):
    """The request was a dry run: nothing was changed."""

    GENERAL = "DryRunOperation"


class FailedOperation(Code):
    """The present state does not allow the request."""

    GENERAL = "FailedOperation"
    ASYNC_EVENT_STATUS = "FailedOperation.AsyncEventStatus"
    COPY_FAILED = "FailedOperation.CopyFailed"
    CREATE_ALIAS = "FailedOperation.CreateAlias"
    DELETE_NAMESPACE = "FailedOperation.DeleteNamespace"
    FUNCTION_STATUS_ERROR = "FailedOperation.FunctionStatusError"
    FUNCTION_VERSION_STATUS_NOT_ACTIVE = "FailedOperation.FunctionVersionStatusNotActive"
    PROVISIONED_EXCEED_AVAILABLE = "FailedOperation.ProvisionedExceedAvailable"
    PROVISIONED_EXCEED_RESERVED = "FailedOperation.ProvisionedExceedReserved"
    PROVISIONED_IN_PROGRESS = "FailedOperation.ProvisionedInProgress"
    PUBLISH_VERSION = "FailedOperation.PublishVersion"
    RESERVED_EXCEED_TOTAL = "FailedOperation.ReservedExceedTotal"
    UPDATE_ALIAS = "FailedOperation.UpdateAlias"
    UPDATE_FUNCTION_CODE = "FailedOperation.UpdateFunctionCode"
    UPDATE_FUNCTION_CONFIGURATION = "FailedOperation.UpdateFunctionConfiguration"


class InternalError(Code):
    """The sandbox or its engine failed."""

    GENERAL = "InternalError"
    SYSTEM = "InternalError.System"


class InvalidParameter(Code):
    """A parameter that the platform refuses before it looks at the value."""

    REQUEST_TOO_LARGE = "InvalidParameter.RequestTooLarge"
    ROUTING_CONFIG = "InvalidParameter.RoutingConfig"


class InvalidParameterValue(Code):
    """A value that the platform does not accept."""

    GENERAL = "InvalidParameterValue"
    ADDITIONAL_VERSION_WEIGHTS = "InvalidParameterValue.AdditionalVersionWeights"
    ALIAS = "InvalidParameterValue.Alias"
    ASYNC_TRIGGER_CONFIG = "InvalidParameterValue.AsyncTriggerConfig"
    COMPATIBLE_RUNTIMES = "InvalidParameterValue.CompatibleRuntimes"
    DEFAULT_NAMESPACE = "InvalidParameterValue.DefaultNamespace"
    DESCRIPTION = "InvalidParameterValue.Description"
    ENVIRONMENT = "InvalidParameterValue.Environment"
    ENVIRONMENT_EXCEEDED_LIMIT = "InvalidParameterValue.EnvironmentExceededLimit"
    ENVIRONMENT_SYSTEM_PROTECT = "InvalidParameterValue.EnvironmentSystemProtect"
    FUNCTION_NAME = "InvalidParameterValue.FunctionName"
    HANDLER = "InvalidParameterValue.Handler"
    LAYER_NAME = "InvalidParameterValue.LayerName"
    LAYERS = "InvalidParameterValue.Layers"
    LIMIT = "InvalidParameterValue.Limit"
    LIMIT_EXCEEDED = "InvalidParameterValue.LimitExceeded"
    MEMORY = "InvalidParameterValue.Memory"
    NAME = "InvalidParameterValue.Name"
    NAMESPACE = "InvalidParameterValue.Namespace"
    NAMESPACE_INVALID = "InvalidParameterValue.NamespaceInvalid"
    OFFSET = "InvalidParameterValue.Offset"
    ORDER = "InvalidParameterValue.Order"
    PARAM = "InvalidParameterValue.Param"
    PROVISION_TRIGGER_CRON_CONFIG_DUPLICATE = (
        "InvalidParameterValue.ProvisionTriggerCronConfigDuplicate"
    )
    PROVISION_TRIGGER_NAME = "InvalidParameterValue.ProvisionTriggerName"
    PROVISION_TRIGGER_NAME_DUPLICATE = "InvalidParameterValue.ProvisionTriggerNameDuplicate"
    QUALIFIER = "InvalidParameterValue.Qualifier"
    ROUTING_CONFIG = "InvalidParameterValue.RoutingConfig"
    RUNTIME = "InvalidParameterValue.Runtime"
    TRIGGER_CRON_CONFIG = "InvalidParameterValue.TriggerCronConfig"
    TRIGGER_PROVISIONED_CONCURRENCY_NUM = "InvalidParameterValue.TriggerProvisionedConcurrencyNum"
    TYPE = "InvalidParameterValue.Type"
    ZIP_FILE = "InvalidParameterValue.ZipFile"
    ZIP_FILE_BASE64_BINASCII_ERROR = "InvalidParameterValue.ZipFileBase64BinasciiError"


class LimitExceeded(Code):
    """More than the platform allows."""

    GENERAL = "LimitExceeded"
    ALIAS = "LimitExceeded.Alias"
    FUNCTION = "LimitExceeded.Function"
    FUNCTION_RESERVED_CONCURRENCY_MEMORY = "LimitExceeded.FunctionReservedConcurrencyMemory"
    FUNCTION_VERSIONS = "LimitExceeded.FunctionVersions"
    INIT_TIMEOUT = "LimitExceeded.InitTimeout"
    LAYER_VERSIONS = "LimitExceeded.LayerVersions"
    MEMORY = "LimitExceeded.Memory"
    MSG_TTL = "LimitExceeded.MsgTTL"
    NAMESPACE = "LimitExceeded.Namespace"
    PROVISION_TRIGGER_ACTION = "LimitExceeded.ProvisionTriggerAction"
    QUOTA = "LimitExceeded.Quota"
    RETRY_NUM = "LimitExceeded.RetryNum"
    TIMEOUT = "LimitExceeded.Timeout"
    USER_TOTAL_CONCURRENCY_MEMORY = "LimitExceeded.UserTotalConcurrencyMemory"


class MissingParameter(Code):
    """A required parameter is missing."""

    RUNTIME = "MissingParameter.Runtime"


class ResourceInUse(Code):
    """Something exists already, or something else needs it."""

    ALIAS = "ResourceInUse.Alias"
    FUNCTION_NAME = "ResourceInUse.FunctionName"
    LAYER_VERSION = "ResourceInUse.LayerVersion"
    NAMESPACE = "ResourceInUse.Namespace"


class ResourceNotFound(Code):
    """Something that the request names does not exist."""

    GENERAL = "ResourceNotFound"
    ALIAS = "ResourceNotFound.Alias"
    ASYNC_EVENT = "ResourceNotFound.AsyncEvent"
    FUNCTION = "ResourceNotFound.Function"
    FUNCTION_NAME = "ResourceNotFound.FunctionName"
    FUNCTION_VERSION = "ResourceNotFound.FunctionVersion"
    LAYER = "ResourceNotFound.Layer"
    LAYER_VERSION = "ResourceNotFound.LayerVersion"
    NAMESPACE = "ResourceNotFound.Namespace"
    QUALIFIER = "ResourceNotFound.Qualifier"


class UnsupportedOperation(Code):
    """Something that cannot be done, here or at all."""

    GENERAL = "UnsupportedOperation"
    ALIAS_BIND = "UnsupportedOperation.AliasBind"


class SandboxError(Exception):
    """An error that a caller sees.

    ``code`` is the platform's error code (``ResourceNotFound.FunctionName``). ``message`` says what
    to do next. ``http_status`` is the status of plain REST.
    """

    default_code: str = InternalError.GENERAL
    http_status = 500

    def __init__(self, message: str, code: str | None = None) -> None:
        """``code`` is that of the class unless given."""
        super().__init__(message)
        self.code = str(code or self.default_code)  # never a ``Code``: it is shown and compared
        self.message = message

    def __str__(self) -> str:
        """Code and message, for logs."""
        return f"{self.code}: {self.message}"


class RequestError(SandboxError):
    """The caller's request is wrong."""

    default_code = InvalidParameterValue.GENERAL
    http_status = 400


class AuthError(SandboxError):
    """The request's signature is missing, wrong or out of its time window."""

    default_code = AuthFailure.SIGNATURE_FAILURE
    http_status = 401


class NotFoundError(SandboxError):
    """The request names something that does not exist."""

    default_code = ResourceNotFound.GENERAL
    http_status = 404


class ConflictError(SandboxError):
    """The present state does not allow the request."""

    default_code = FailedOperation.GENERAL
    http_status = 409


class LimitError(SandboxError):
    """The request exceeds one of the platform's limits."""

    default_code = LimitExceeded.GENERAL
    http_status = 400


class UnsupportedError(SandboxError):
    """The platform can do this; the sandbox cannot (yet)."""

    default_code = UnsupportedOperation.GENERAL
    http_status = 501


class PlatformError(SandboxError):
    """The fault of the sandbox or its engine, never the user's."""

    default_code = InternalError.SYSTEM
    http_status = 500


#: What to do about the errors of a disk, which may come wherever something is written.
DISK_ADVICE = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some space, or raise this user's quota",
    errno.EROFS: "its disk is read-only; mount it so that it can be written",
    errno.EACCES: "make it writable for this user",
    errno.EPERM: "make it writable for this user",
    errno.EIO: "its disk fails; the machine's log says more",
}


def disk_error(error: OSError, what: str = "the data directory") -> PlatformError:
    """The error of a write that failed: where, why, and what to do. ``what`` is for people."""
    advice = DISK_ADVICE.get(error.errno or 0, "see that it is there, and writable for this user")
    reason = error.strerror or type(error).__name__
    return PlatformError(f"{what} cannot be written ({reason}): {advice}")


class EngineErrorKind(Enum):
    """Why an engine failed. Code decides by the kind; the message is for people."""

    #: The engine does not answer, or not in time.
    UNREACHABLE = "unreachable"
    #: The engine does not have the image of the instances.
    NO_IMAGE = "no image"
    #: That image lacks the first process of every instance.
    NO_INIT = "no init"
    #: That image lacks the user as whom instances run.
    NO_USER = "no user"
    #: The call names something that does not exist (any more).
    GONE = "gone"
    #: The network that a container is to have does not exist (any more).
    NO_NETWORK = "no network"
    #: The call removes something that is still used.
    IN_USE = "in use"
    #: The name is taken, or the present state does not allow the call.
    CONFLICT = "conflict"
    #: The addresses belong to another network.
    OVERLAP = "overlap"
    #: The removal is under way already.
    REMOVING = "removing"
    #: Everything else.
    REFUSED = "refused"


class EngineError(PlatformError):
    """The engine refused or did not answer. ``kind`` says why; no code reads the message."""

    def __init__(self, message: str, kind: EngineErrorKind = EngineErrorKind.REFUSED) -> None:
        super().__init__(message)
        self.kind = kind


class DryRunDone(SandboxError):
    """The request was a dry run: it passed every check and changed nothing."""

    default_code = DryRunOperation.GENERAL
    http_status = 412

    def __init__(self) -> None:
        """Every dry run has the same message."""
        super().__init__("this was a dry run: the request would succeed without DryRun")


class IllegalTransitionError(PlatformError):
    """A bug of ours: the state has no transition for the event that arrived."""

    def __init__(self, state: object, event: object) -> None:
        """``event`` arrived in ``state``."""
        super().__init__(f"illegal transition: {event} while {state}")
        self.state = state
        self.event = event
