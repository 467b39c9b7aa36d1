"""Which actions a test drives with the official SDK, and the proof that nothing is left out.

A test says it with ``@drives("CreateAlias", ...)``. When it ends, it must have sent every field
that the SDK knows of these actions' requests, and received every field of their responses, down to
the last structure. A field that the SDK does not know fails any test that receives it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pkgutil
import re
from collections import defaultdict
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tencentcloud.common.abstract_model import AbstractModel
from tencentcloud.scf.v20180416 import models, scf_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tencentcloud.common.abstract_model import AbstractModel as Model

#: Fields of responses that no answer can have here, and why.
NO_VALUE: Mapping[str, str] = MappingProxyType(
    {
        "GetFunction.ImageConfig": "functions made of images are not simulated",
        "GetFunction.Triggers": "triggers are not simulated",
    }
)

F = TypeVar("F", bound="Callable[..., Any]")


class Ledger:
    """What was sent and received while a test ran: for each action the paths of its fields."""

    def __init__(self) -> None:
        self.sent: defaultdict[str, set[str]] = defaultdict(set)
        self.received: defaultdict[str, set[str]] = defaultdict(set)

    def require(self, action: str) -> None:
        """Fails for a field that was never sent, or never received."""
        unsent = paths_of(f"{action}Request") - self.sent[action]
        assert not unsent, f"{action}: not sent by this test: {sorted(unsent)}"
        missing = {
            path
            for path in paths_of(f"{action}Response") - self.received[action]
            if not any(f"{action}.{path}.".startswith(f"{known}.") for known in NO_VALUE)
        }
        assert not missing, f"{action}: in no answer of this test: {sorted(missing)}"


_ledger: ContextVar[Ledger | None] = ContextVar("ledger", default=None)


def note_sent(action: str, request: Model) -> None:
    """Tell the test's ledger about a request that is on its way."""
    if (ledger := _ledger.get()) is not None:
        ledger.sent[action] |= set(_given(request))


def note_received(action: str, fields: dict[str, Any]) -> None:
    """Look at an answer that was no error, and tell the test's ledger about it."""
    given = set(_paths(fields))
    unknown = given - paths_of(f"{action}Response")
    assert not unknown, f"{action}: not in the SDK's model of the answer: {sorted(unknown)}"
    if (ledger := _ledger.get()) is not None:
        ledger.received[action] |= given


class ObservedClient(scf_client.ScfClient):  # type: ignore[misc]
    """The official client; what it receives is looked at before it makes a model of it."""

    def call(self, action: str, *args: Any, **kwargs: Any) -> Any:
        body = super().call(action, *args, **kwargs)
        note_received(action, json.loads(body)["Response"])
        return body


def drives(*actions: str) -> Callable[[F], F]:
    """Mark a test as the one that drives these actions with every field, and hold it to it."""

    def mark(test: F) -> F:
        if inspect.iscoroutinefunction(test):

            @functools.wraps(test)
            async def run_async(*args: Any, **kwargs: Any) -> None:
                with kept_ledger(*actions):
                    await test(*args, **kwargs)

            run: Any = run_async
        else:

            @functools.wraps(test)
            def run_sync(*args: Any, **kwargs: Any) -> None:
                with kept_ledger(*actions):
                    test(*args, **kwargs)

            run = run_sync
        run.drives = actions
        return run  # type: ignore[no-any-return]

    return mark


@contextmanager
def kept_ledger(*actions: str) -> Iterator[Ledger]:
    """A ledger for what happens inside, and what ``drives`` asks of it at the end."""
    ledger = Ledger()
    token = _ledger.set(ledger)
    try:
        yield ledger
    finally:
        _ledger.reset(token)
    for action in actions:
        ledger.require(action)


def driving_tests() -> dict[str, list[str]]:
    """Every action that some test of this package drives, with the names of these tests."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        if not module.name.rpartition(".")[2].startswith("test_"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.startswith("test_"):
                for action in getattr(value, "drives", ()):
                    found[action].append(f"{module.name}.{name}")
    return dict(found)


@cache
def types_of(model: str) -> Mapping[str, str]:
    """Field names of an SDK model, in its order, with the types its documentation gives."""
    kind = getattr(models, model)
    typed = dict(re.findall(r":type (\w+): (.+)", kind.__init__.__doc__ or ""))
    return {name: _type(typed[name]) for name in (key.removeprefix("_") for key in vars(kind()))}


def _type(text: str) -> str:
    text = text.strip()
    if text.startswith("list of"):
        return f"list[{text.removeprefix('list of').strip()}]"
    return re.sub(r":class:`.*\.(\w+)`", r"\1", text)


@cache
def paths_of(model: str) -> frozenset[str]:
    """Every field of an SDK model and of the structures in it: ``Filters``, ``Filters.Name``."""
    paths: set[str] = set()
    for name, kind in types_of(model).items():
        paths.add(name)
        part = kind.removeprefix("list[").removesuffix("]")
        if part[0].isupper():
            paths |= {f"{name}.{path}" for path in paths_of(part)}
    return frozenset(paths)


def sample_of(model: str) -> dict[str, Any]:
    """A value for every field of an SDK model, as a request has it."""
    return {name: _sample(kind) for name, kind in types_of(model).items()}


def _sample(kind: str) -> Any:
    if kind.startswith("list["):
        return [_sample(kind.removeprefix("list[").removesuffix("]"))]
    return {"str": "x", "int": 1, "float": 1.0, "bool": True}.get(kind) or sample_of(kind)


def _paths(fields: dict[str, Any]) -> Iterator[str]:
    """The paths of what has a value in an answer's JSON."""
    for name, value in fields.items():
        if value is None:
            continue
        yield name
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from (f"{name}.{path}" for path in _paths(item))


def _given(model: Model) -> Iterator[str]:
    """The paths of the fields of a request that have a value."""
    for key, value in vars(model).items():
        name = key.removeprefix("_")
        if value is None:
            continue
        yield name
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, AbstractModel):
                yield from (f"{name}.{path}" for path in _given(item))
