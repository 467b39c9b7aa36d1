"""The records of functions. Frozen: a change makes a new record."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from sandbox import limits
from sandbox.frozen import FrozenRecord
from sandbox.functions.routing import Alias
from sandbox.packages.model import CodeRef  # noqa: TC001 - a field of a model

LATEST = "$LATEST"
DEFAULT_ALIAS = "$DEFAULT"
DEFAULT_NAMESPACE = "default"
CUSTOM_RUNTIME = "CustomRuntime"


class FunctionStatus(StrEnum):
    """States of a function or version (contract 4.3, STATE)."""

    CREATING = "Creating"
    CREATE_FAILED = "CreateFailed"
    ACTIVE = "Active"
    UPDATING = "Updating"
    UPDATE_FAILED = "UpdateFailed"
    PUBLISHING = "Publishing"
    PUBLISH_FAILED = "PublishFailed"
    DELETING = "Deleting"
    DELETE_FAILED = "DeleteFailed"


#: States that end by themselves. A change is refused until then.
TRANSITIONAL = frozenset(
    {
        FunctionStatus.CREATING,
        FunctionStatus.UPDATING,
        FunctionStatus.PUBLISHING,
        FunctionStatus.DELETING,
    }
)

#: States in which no event is served any more.
DEPARTING = frozenset({FunctionStatus.DELETING, FunctionStatus.DELETE_FAILED})


class LayerRef(FrozenRecord):
    """A layer version bound to a function.

    ``digest`` and ``unpacked_bytes`` are those of its package. They are filled in when the layer is
    bound, so that an instance starts without looking the layer up.
    """

    name: str
    version: int
    digest: str = ""
    unpacked_bytes: int = 0


class StatusReason(FrozenRecord):
    """Why a function is in its state: a code of the platform, and what to do."""

    code: str
    message: str


class DeadLetterQueue(FrozenRecord):
    """Where events go that are given up: the ``DeadLetterConfig`` of a function.

    ``type`` is ``CMQ-QUEUE`` or ``CMQ-TOPIC``, ``filter_type`` belongs to topics; all as given.
    """

    type: str = ""
    name: str = ""
    filter_type: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is a queue: without one, events that are given up are dropped."""
        return bool(self.type or self.name)


class FunctionConfig(FrozenRecord):
    """The configuration of a version: all of it but the code.

    ``kept`` holds API fields that change nothing in the sandbox (``VpcConfig``, ``ClsTopicId``...),
    under their API names, so that they are returned as they were given. ``traced`` is
    ``TraceEnable``; it takes effect with asynchronous execution only.
    """

    runtime: str = CUSTOM_RUNTIME
    handler: str = "index.main_handler"
    description: str = ""
    memory_mb: int = limits.MEMORY_DEFAULT_MB
    timeout_s: int = limits.TIMEOUT_DEFAULT_S
    init_timeout_s: int = limits.INIT_TIMEOUT_DEFAULT_S
    environment: dict[str, str] = Field(default_factory=dict)
    layers: tuple[LayerRef, ...] = ()
    role: str = ""
    type: str = "Event"
    async_run: bool = False
    traced: bool = False
    dead_letter: DeadLetterQueue = DeadLetterQueue()
    kept: dict[str, Any] = Field(default_factory=dict)

    @property
    def layer_digests(self) -> tuple[str, ...]:
        """The packages of its layers in bind order: where two hold a file, the later one wins."""
        return tuple(layer.digest for layer in self.layers)

    @property
    def keeps_event_states(self) -> bool:
        """Whether the states of its events are kept."""
        return self.async_run and self.traced

    @model_validator(mode="before")
    @classmethod
    def _read_old_form(cls, data: Any) -> Any:
        """``kept`` once held ``TraceEnable`` and ``DeadLetterConfig`` too, in API form."""
        kept = data.get("kept") if isinstance(data, dict) else None
        if not kept or kept.keys().isdisjoint({"TraceEnable", "DeadLetterConfig"}):
            return data
        rest = dict(kept)
        trace = rest.pop("TraceEnable", None)
        queue = rest.pop("DeadLetterConfig", None) or {}
        old = {
            "traced": str(trace).upper() == "TRUE",
            "dead_letter": {
                "type": queue.get("Type") or "",
                "name": queue.get("Name") or "",
                "filter_type": queue.get("FilterType") or "",
            },
        }
        return {**old, **data, "kept": rest}


class EventInvokeConfig(FrozenRecord):
    """How often an asynchronous event is retried, and how long it is kept, seconds."""

    retry_num: int = limits.RETRY_NUM_DEFAULT
    msg_ttl_s: int = limits.MSG_TTL_DEFAULT_S


class Candidate(FrozenRecord):
    """The configuration and code of an update that is not ready to serve yet.

    With ``publish`` it becomes a new version as well, once it is ready.
    """

    config: FunctionConfig
    code: CodeRef | None = None
    publish: bool = False

    @property
    def digests(self) -> frozenset[str]:
        """The packages of its code and layers."""
        code = {self.code.digest} if self.code else set()
        return frozenset(code | set(self.config.layer_digests))


class FunctionVersion(FrozenRecord):
    """One version: ``$LATEST``, or a published, immutable ``1``, ``2``...

    ``config`` and ``code`` serve events. An update waits in ``candidate`` until it is ready; if it
    fails, only ``status`` and ``status_reasons`` tell of it (contract 4.3, STATE). ``serving`` is
    False until ``code`` was made ready to run for the first time. Times are seconds since the
    epoch.
    """

    version: str = LATEST
    config: FunctionConfig
    code: CodeRef | None = None
    candidate: Candidate | None = None
    serving: bool = True
    status: FunctionStatus = FunctionStatus.ACTIVE
    status_reasons: tuple[StatusReason, ...] = ()
    created_at: float
    modified_at: float

    @property
    def invocable(self) -> bool:
        """Whether events can be served. During an update the old code serves them."""
        return self.serving and self.status not in DEPARTING

    @property
    def wanted(self) -> Candidate:
        """The configuration and code of the last update: what the APIs show."""
        return self.candidate or Candidate(config=self.config, code=self.code)


class TimedProvision(FrozenRecord):
    """Sets the number of provisioned instances to ``count`` whenever ``cron`` is due."""

    name: str
    count: int
    cron: str


class Function(FrozenRecord):
    """A function with all its versions and aliases.

    ``epoch`` counts forced cold starts; it is part of the key under which instances are reused.
    ``versions`` always holds ``$LATEST``. ``published`` is the number of the version that was
    published last; numbers are never used again. ``aliases`` lacks ``$DEFAULT`` until that is
    changed (see ``alias``). ``reserved_mb`` is its own concurrency quota: 0 shuts it off, None lets
    it share the namespace's. ``provisioned`` is the number of provisioned instances by version,
    never 0; ``provision_timers`` change it. ``created_at`` is in seconds since the epoch.
    """

    namespace: str = DEFAULT_NAMESPACE
    name: str
    function_id: str
    tags: dict[str, str] = Field(default_factory=dict)
    epoch: int = 0
    created_at: float
    versions: dict[str, FunctionVersion]
    published: int = 0
    aliases: dict[str, Alias] = Field(default_factory=dict)
    event_invoke: EventInvokeConfig = EventInvokeConfig()
    reserved_mb: int | None = None
    provisioned: dict[str, int] = Field(default_factory=dict)
    provision_timers: dict[str, tuple[TimedProvision, ...]] = Field(default_factory=dict)
    kept: dict[str, Any] = Field(default_factory=dict)

    @property
    def provisioned_mb(self) -> int:
        """The memory of all its provisioned instances, MB."""
        return sum(
            count * self.versions[number].config.memory_mb
            for number, count in self.provisioned.items()
        )

    @property
    def latest(self) -> FunctionVersion:
        """The version ``$LATEST``."""
        return self.versions[LATEST]

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return (self.namespace, self.name)

    @property
    def digests(self) -> frozenset[str]:
        """The packages of all its versions, with those of their candidates."""
        wanted = [Candidate(config=v.config, code=v.code) for v in self.versions.values()]
        wanted += [v.candidate for v in self.versions.values() if v.candidate]
        return frozenset().union(*(part.digests for part in wanted))

    @property
    def transitional(self) -> bool:
        """Whether a version of it is being created, updated, published or deleted."""
        return any(version.status in TRANSITIONAL for version in self.versions.values())

    def alias(self, name: str) -> Alias | None:
        """An alias, or None. ``$DEFAULT`` exists from the function's creation on; it leads to
        ``$LATEST`` until it is changed (contract 6)."""
        found = self.aliases.get(name)
        if found is None and name == DEFAULT_ALIAS:
            return Alias(
                name=DEFAULT_ALIAS,
                version=LATEST,
                created_at=self.created_at,
                modified_at=self.created_at,
            )
        return found

    def all_aliases(self) -> list[Alias]:
        """Every alias, ``$DEFAULT`` first, the others by name."""
        others = [alias for name, alias in sorted(self.aliases.items()) if name != DEFAULT_ALIAS]
        default = self.alias(DEFAULT_ALIAS)
        assert default is not None
        return [default, *others]

    def with_provisioned(
        self, number: str, count: int, timers: tuple[TimedProvision, ...]
    ) -> Function:
        """The same function with ``count`` provisioned instances of a version, and these timers."""
        counts = {n: c for n, c in self.provisioned.items() if n != number}
        timed = {n: t for n, t in self.provision_timers.items() if n != number}
        counts |= {number: count} if count else {}
        timed |= {number: timers} if timers else {}
        return self.model_copy(update={"provisioned": counts, "provision_timers": timed})

    def with_version(self, version: FunctionVersion) -> Function:
        """The same function with ``version`` added, or put in the place of its predecessor."""
        return self.model_copy(update={"versions": {**self.versions, version.version: version}})


def promoted(version: FunctionVersion) -> FunctionVersion:
    """``version`` with its candidate in place; itself when it has none."""
    if version.candidate is None:
        return version
    wanted = version.candidate
    return version.model_copy(
        update={"config": wanted.config, "code": wanted.code, "candidate": None}
    )


#: Fields of a configuration that no instance depends on.
_SHAPES_NO_INSTANCE = {"description", "traced", "dead_letter", "kept"}


def instance_key(function: Function, version: FunctionVersion) -> str:
    """A digest of everything that an instance depends on. Events of one key may share instances.

    The function's id is part of it, so that a new function under an old name starts afresh.
    """
    config = version.config
    code = version.code.digest if version.code else ""
    shape = config.model_dump_json(exclude=_SHAPES_NO_INSTANCE)
    identity = (*function.key, function.function_id, version.version, code, str(function.epoch))
    return hashlib.sha256("\0".join((*identity, shape)).encode()).hexdigest()


def instance_keys(function: Function) -> frozenset[str]:
    """The keys of ``function``'s instances: the present ones, and those of its candidates."""
    keys = {instance_key(function, version) for version in function.versions.values()}
    keys |= {instance_key(function, promoted(version)) for version in function.versions.values()}
    return frozenset(keys)
