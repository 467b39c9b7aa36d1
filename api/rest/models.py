"""The shapes of plain REST's answers. Times are seconds since the epoch, sizes bytes.

Each time has a companion in RFC 3339, whose name ends in ``_utc``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field

from api.rest.times import Utc, utc
from sandbox.packages.model import Bootstrap  # noqa: TC001 - a field of a model

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.records.record import InvocationRecord

#: The length of an instance's id that is shown. The whole id is the secret of its runtime address.
INSTANCE_ID_SHOWN = 12


class CodeView(BaseModel):
    """The package of a version. ``bootstrap`` says whether it has that file."""

    sha256: str
    zip_bytes: int
    unpacked_bytes: int
    bootstrap: Bootstrap


class ReasonView(BaseModel):
    """Why a version has its status, with the platform's error code."""

    code: str
    message: str


class LayerBinding(BaseModel):
    """A version of a layer that a function uses."""

    name: str
    version: int


class DeadLetterView(BaseModel):
    """The queue of a ``DeadLetterConfig``."""

    type: str
    name: str


class FunctionView(BaseModel):
    """One version of a function. ``memory`` is in MB, the timeouts in seconds."""

    namespace: str
    name: str
    function_id: str
    version: str
    versions: list[str] = Field(description="all versions of the function")
    status: str
    status_reasons: list[ReasonView]
    runtime: str
    handler: str
    description: str
    memory: int
    timeout: int
    init_timeout: int
    environment: dict[str, str]
    layers: list[LayerBinding] = Field(description="in the order in which they are merged")
    traced: bool = Field(description="TraceEnable")
    dead_letter: DeadLetterView | None = Field(description="where events go that are given up")
    kept: dict[str, Any] = Field(description="fields that change nothing here, as they were given")
    code: CodeView | None
    created_at: float
    modified_at: float
    warnings: list[str] = Field(
        description="why invocations are bound to fail, and what was guessed to take the zip"
    )

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "namespace": "default",
                "name": "hello",
                "function_id": "lam-4t1zqv0m",
                "version": "$LATEST",
                "versions": ["$LATEST"],
                "status": "Active",
                "status_reasons": [],
                "runtime": "CustomRuntime",
                "handler": "index.main_handler",
                "description": "",
                "memory": 128,
                "timeout": 3,
                "init_timeout": 65,
                "environment": {"GREETING": "hello"},
                "layers": [],
                "traced": False,
                "dead_letter": None,
                "kept": {},
                "code": {
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "zip_bytes": 512,
                    "unpacked_bytes": 900,
                    "bootstrap": "ok",
                },
                "created_at": 1700000000.0,
                "modified_at": 1700000000.0,
                "warnings": [],
                "created_at_utc": "2023-11-14T22:13:20.000Z",
                "modified_at_utc": "2023-11-14T22:13:20.000Z",
            }
        }
    )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def created_at_utc(self) -> Utc:
        """``created_at`` in RFC 3339."""
        return utc(self.created_at)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def modified_at_utc(self) -> Utc:
        """``modified_at`` in RFC 3339."""
        return utc(self.modified_at)

    @classmethod
    def of(cls, function: Function, version: FunctionVersion) -> FunctionView:
        """The view of one version. During an update it shows the requested configuration."""
        config, code = version.wanted.config, version.wanted.code
        queue = config.dead_letter
        return cls(
            namespace=function.namespace,
            name=function.name,
            function_id=function.function_id,
            version=version.version,
            versions=list(function.versions),
            status=version.status.value,
            status_reasons=[
                ReasonView(code=reason.code, message=reason.message)
                for reason in version.status_reasons
            ],
            runtime=config.runtime,
            handler=config.handler,
            description=config.description,
            memory=config.memory_mb,
            timeout=config.timeout_s,
            init_timeout=config.init_timeout_s,
            environment=config.environment,
            layers=[LayerBinding(name=ref.name, version=ref.version) for ref in config.layers],
            traced=config.traced,
            dead_letter=DeadLetterView(type=queue.type, name=queue.name) if queue.exists else None,
            kept=config.kept,
            code=CodeView(
                sha256=code.digest,
                zip_bytes=code.zip_bytes,
                unpacked_bytes=code.unpacked_bytes,
                bootstrap=code.bootstrap,
            )
            if code
            else None,
            created_at=function.created_at,
            modified_at=version.modified_at,
            warnings=[finding.message for finding in code.findings] if code else [],
        )


class FunctionList(BaseModel):
    """A page of functions. ``total`` counts those of all pages."""

    total: int
    functions: list[FunctionView]


class Accepted(BaseModel):
    """The answer to an asynchronous invoke: the event is stored and runs later."""

    request_id: str


class InvocationView(BaseModel):
    """The record of an invocation. ``status`` is the function status code, 202 while it runs."""

    request_id: str
    namespace: str
    function: str
    version: str
    qualifier: str
    type: str
    status: int
    result: str = Field(description="the result, or the error object; at most its first 64 KB")
    started_at: float
    ended_at: float
    duration_ms: float
    bill_duration_ms: int
    memory: int = Field(description="MB")
    memory_usage: int = Field(description="bytes")
    cold_start: bool
    init_ms: float
    retry: int
    instance: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def started_at_utc(self) -> Utc:
        """``started_at`` in RFC 3339."""
        return utc(self.started_at)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ended_at_utc(self) -> Utc:
        """``ended_at`` in RFC 3339."""
        return utc(self.ended_at)

    @classmethod
    def of(cls, record: InvocationRecord, **more: Any) -> Self:
        """The view of a record. ``more`` has the fields of a subclass."""
        return cls(
            request_id=record.request_id,
            namespace=record.namespace,
            function=record.function_name,
            version=record.version,
            qualifier=record.qualifier,
            type=record.invocation_type,
            status=record.status_code,
            result=record.ret_msg,
            started_at=record.started_at,
            ended_at=record.ended_at,
            duration_ms=record.duration_ms,
            bill_duration_ms=record.bill_ms,
            memory=record.memory_mb,
            memory_usage=record.mem_usage,
            cold_start=record.cold_start,
            init_ms=record.init_ms,
            retry=record.retry_num,
            instance=record.instance_id[:INSTANCE_ID_SHOWN],
            **more,
        )


class LineView(BaseModel):
    """A line of the function's output, and when it was taken: seconds since the epoch."""

    time: float
    text: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def time_utc(self) -> Utc:
        """``time`` in RFC 3339."""
        return utc(self.time)


class InvocationDetail(InvocationView):
    """An invocation with its log and the times of its stages and lines."""

    timeline: dict[str, float]
    log: str
    lines: list[LineView] = Field(description="the function's own, without the platform's reports")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def timeline_utc(self) -> dict[str, Utc]:
        """``timeline`` in RFC 3339."""
        return {stage: utc(moment) for stage, moment in self.timeline.items()}


class InvocationLog(InvocationView):
    """An invocation with its log."""

    log: str


class InvocationList(BaseModel):
    """A page of invocations, newest first. ``total`` counts those of all pages."""

    total: int
    invocations: list[InvocationView]


class LogList(BaseModel):
    """A page of invocations with their logs, newest first."""

    total: int
    invocations: list[InvocationLog]


class TransitionView(BaseModel):
    """A state of an instance, and the time when it began."""

    state: str
    at: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_utc(self) -> Utc:
        """``at`` in RFC 3339."""
        return utc(self.at)


class InstanceView(BaseModel):
    """One instance. ``retired``: its function has changed, and it ends after its present event."""

    model_config = ConfigDict(extra="allow")

    instance_id: str
    container_id: str
    namespace: str
    function: str
    version: str
    state: str
    memory_mb: int
    memory_peak: int = Field(description="bytes")
    served: int = Field(description="invocations that ended here")
    request_id: str = Field(description="of the invocation it works on, or empty")
    retired: bool
    transitions: list[TransitionView]


class InstanceList(BaseModel):
    """The instances that match the request."""

    instances: list[InstanceView]


class HealthView(BaseModel):
    """Instances run in ``base_image``, which has what CentOS 7.6 has, or not. ``tmp`` says what
    their ``/tmp`` lies on."""

    status: str
    version: str
    engine: str
    engine_version: str
    base_image: str
    image: str = Field(description="the image by its name, or empty")
    image_build: str = Field(description="what will take its place, and how far that is, or empty")
    abi_parity: bool = Field(description="whether the C and C++ libraries are those of CentOS 7.6")
    tools_parity: bool = Field(description="whether the programs are those of CentOS 7.6")
    os_parity: bool = Field(description="both")
    differences: list[str] = Field(description="programs that are others than in CentOS 7.6")
    tmp: str = Field(description="what the instances' /tmp lies on, or empty")
    note: str
