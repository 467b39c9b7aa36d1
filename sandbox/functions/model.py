"""Records of functions. Frozen: a change makes a new record."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

from pydantic import Field

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


#: States that end by themselves; changes are refused meanwhile.
TRANSITIONAL = frozenset(
    {
        FunctionStatus.CREATING,
        FunctionStatus.UPDATING,
        FunctionStatus.PUBLISHING,
        FunctionStatus.DELETING,
    }
)

#: States in which nothing is served any more.
DEPARTING = frozenset({FunctionStatus.DELETING, FunctionStatus.DELETE_FAILED})


class LayerRef(FrozenRecord):
    """A layer version bound to a function. ``digest`` and ``unpacked_bytes`` are those of its
    package, filled in when it is bound: a bound layer needs no look-up to be used."""

    name: str
    version: int
    digest: str = ""
    unpacked_bytes: int = 0


class StatusReason(FrozenRecord):
    code: str
    message: str


class FunctionConfig(FrozenRecord):
    """Everything that a version snapshots besides its code.

    ``kept`` holds API fields that change nothing in the sandbox (``VpcConfig``, ``ClsTopicId``...),
    under their API names, so that they are returned as they were given.
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
    kept: dict[str, Any] = Field(default_factory=dict)

    @property
    def layer_digests(self) -> tuple[str, ...]:
        """The packages of its layers in bind order, in which the later one wins."""
        return tuple(layer.digest for layer in self.layers)

    @property
    def traced(self) -> bool:
        """The states of its events are kept: only with asynchronous execution."""
        return self.async_run and str(self.kept.get("TraceEnable", "")).upper() == "TRUE"

    @property
    def dead_letter_queue(self) -> dict[str, Any]:
        """``DeadLetterConfig`` when it names a queue, else empty."""
        queue = self.kept.get("DeadLetterConfig") or {}
        return queue if queue.get("Type") or queue.get("Name") else {}


class EventInvokeConfig(FrozenRecord):
    """How a function's asynchronous events are retried, and how long they are kept, seconds."""

    retry_num: int = limits.RETRY_NUM_DEFAULT
    msg_ttl_s: int = limits.MSG_TTL_DEFAULT_S


class Candidate(FrozenRecord):
    """What an update is about to put in place: aside until it is ready to serve. ``publish``: it
    is then published as a new version."""

    config: FunctionConfig
    code: CodeRef | None = None
    publish: bool = False

    @property
    def digests(self) -> frozenset[str]:
        """The packages that it needs."""
        code = {self.code.digest} if self.code else set()
        return frozenset(code | set(self.config.layer_digests))


class FunctionVersion(FrozenRecord):
    """One version: ``$LATEST``, or a published, immutable ``1``, ``2``...

    ``config`` and ``code`` are what serves; an update under way waits in ``candidate``, and a
    failed one leaves no trace but ``status`` and ``status_reasons`` (contract 4.3, STATE).
    ``serving`` is False until ``code`` was once made ready to run.
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
        """True when events can be served, be it by the code of before a running update."""
        return self.serving and self.status not in DEPARTING

    @property
    def wanted(self) -> Candidate:
        """The configuration and code last asked for: what a description of the function shows."""
        return self.candidate or Candidate(config=self.config, code=self.code)


class TimedProvision(FrozenRecord):
    """A number of provisioned instances that is set whenever ``cron`` says so."""

    name: str
    count: int
    cron: str


class Function(FrozenRecord):
    """A function with all its versions and aliases.

    ``epoch`` counts forced cold starts: it is part of the key under which instances are reused.
    ``versions`` always holds ``$LATEST``. ``published`` is the number of the version that was
    published last: numbers are never used again. ``aliases`` lacks ``$DEFAULT`` until it is
    changed: see ``alias``. ``reserved_mb`` is its own quota of concurrency: 0 is off, None is a
    share in the namespace's. ``provisioned`` is how many instances of a published version are kept
    initialised, by number; never 0. ``provision_timers`` change that.
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
        """What the provisioned instances of all its versions take."""
        return sum(
            count * self.versions[number].config.memory_mb
            for number, count in self.provisioned.items()
        )

    @property
    def latest(self) -> FunctionVersion:
        return self.versions[LATEST]

    @property
    def key(self) -> tuple[str, str]:
        return (self.namespace, self.name)

    @property
    def digests(self) -> frozenset[str]:
        """Every package that this function needs, of any version, the candidate's included."""
        wanted = [Candidate(config=v.config, code=v.code) for v in self.versions.values()]
        wanted += [v.candidate for v in self.versions.values() if v.candidate]
        return frozenset().union(*(part.digests for part in wanted))

    @property
    def transitional(self) -> bool:
        """Some version of it is being made, changed or published."""
        return any(version.status in TRANSITIONAL for version in self.versions.values())

    def alias(self, name: str) -> Alias | None:
        """An alias. ``$DEFAULT`` is there from the function's creation on, and leads to
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
        """The same function with so many provisioned instances of a version, and these timers."""
        counts = {n: c for n, c in self.provisioned.items() if n != number}
        timed = {n: t for n, t in self.provision_timers.items() if n != number}
        counts |= {number: count} if count else {}
        timed |= {number: timers} if timers else {}
        return self.model_copy(update={"provisioned": counts, "provision_timers": timed})

    def with_version(self, version: FunctionVersion) -> Function:
        """The same function with ``version`` put in under its own name."""
        return self.model_copy(update={"versions": {**self.versions, version.version: version}})


def promoted(version: FunctionVersion) -> FunctionVersion:
    """``version`` as it will be when its candidate serves; itself when there is none."""
    if version.candidate is None:
        return version
    wanted = version.candidate
    return version.model_copy(
        update={"config": wanted.config, "code": wanted.code, "candidate": None}
    )


def instance_key(function: Function, version: FunctionVersion) -> str:
    """A digest of all that shapes an instance: two invocations may share one if it is equal.

    The function's id is part of it: a function made anew under an old name starts afresh.
    """
    config = version.config
    code = version.code.digest if version.code else ""
    shape = config.model_dump_json(exclude={"description", "kept"})
    identity = (*function.key, function.function_id, version.version, code, str(function.epoch))
    return hashlib.sha256("\0".join((*identity, shape)).encode()).hexdigest()


def instance_keys(function: Function) -> frozenset[str]:
    """The keys under which instances of ``function`` may live now, or as soon as it is updated."""
    keys = {instance_key(function, version) for version in function.versions.values()}
    keys |= {instance_key(function, promoted(version)) for version in function.versions.values()}
    return frozenset(keys)
