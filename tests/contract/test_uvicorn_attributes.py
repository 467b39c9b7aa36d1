"""What the short way takes from uvicorn, by name: uvicorn documents none of it."""

from __future__ import annotations

import ast
import inspect
import textwrap
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.closed_transport import LateTransport
from api.cloud.wire.fast_invoke import FastInvokeProtocol
from api.cloud.wire.short_request import RunningInvoke

ROOT = Path(__file__).parents[2]
#: What FastInvokeProtocol reads or sets of its base class.
OF_THE_PROTOCOL = [
    "cycle",
    "expect_100_continue",
    "flow",
    "headers",
    "loop",
    "parser",
    "pipeline",
    "server_state",
    "timeout_keep_alive",
    "timeout_keep_alive_handler",
    "transport",
    "url",
]
#: Methods of the base class that it calls or replaces.
OVERRIDDEN = [
    "_unsupported_upgrade_warning",
    "connection_lost",
    "connection_made",
    "data_received",
    "on_body",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_response_complete",
    "send_400_response",
]
#: A method of the base class that it calls where it passes by ``data_received``.
CALLED = "_unset_keepalive_if_required"
#: Where uvicorn asks the request at work for something, whichever way it came.
ASKING = ["connection_lost", "on_headers_complete", "shutdown"]


@pytest.mark.parametrize("name", OF_THE_PROTOCOL)
def test_the_protocol_of_uvicorn_still_has(name: str) -> None:
    assert name in _names(HttpToolsProtocol), f"uvicorn's HttpToolsProtocol has no {name} any more"


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_the_protocol_of_uvicorn_still_calls(name: str) -> None:
    assert name in vars(HttpToolsProtocol), f"uvicorn's HttpToolsProtocol has no {name} any more"


def test_the_protocol_of_uvicorn_still_ends_the_wait_for_the_next_request_so() -> None:
    assert CALLED in vars(HttpToolsProtocol)
    assert CALLED in _names(FastInvokeProtocol)


def test_every_attribute_that_is_used_is_listed() -> None:
    ours = {name for name in vars(FastInvokeProtocol) if not name.startswith("__")}
    used = {name for name in _names(FastInvokeProtocol) if not name.startswith("_")}
    assert used - ours == set(OF_THE_PROTOCOL)
    replaced = ours & set(vars(HttpToolsProtocol))
    assert replaced == set(OVERRIDDEN)


def test_the_request_at_work_has_all_that_uvicorn_asks_of_it() -> None:
    asked = set[str]()
    for name in ASKING:
        asked |= _names(getattr(HttpToolsProtocol, name), ("self.cycle", "existing_cycle"))
    assert asked == {"disconnected", "keep_alive", "message_event", "response_complete"}
    running = RunningInvoke(keep_alive=True)
    for name in asked:
        assert hasattr(running, name), f"uvicorn asks the request at work for {name}"


def test_an_ordinary_request_still_says_if_its_answer_has_begun() -> None:
    assert "response_started" in _names(RequestResponseCycle)


def test_a_late_transport_has_all_that_an_ordinary_request_asks_of_it() -> None:
    asked = _names(RequestResponseCycle, ("self.transport",))
    assert asked == {name for name in vars(LateTransport) if not name.startswith("_")}


def test_a_late_transport_writes_to_nobody() -> None:
    class Closed:
        def is_closing(self) -> bool:
            return True

    late = LateTransport(cast("Any", Closed()))
    late.write(b"lost")
    assert late.is_closing()


@pytest.mark.parametrize("name", ["read_paused", "write_paused"])
def test_the_flow_control_still_says_if(name: str) -> None:
    assert name in _names(FlowControl)
    assert "pause_reading" in vars(FlowControl)


def test_the_server_still_counts_its_requests() -> None:
    assert hasattr(ServerState(), "total_requests")


def test_the_minor_version_is_pinned_to_the_one_in_use() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = next(item for item in project["dependencies"] if item.startswith("uvicorn"))
    in_use = ".".join(version("uvicorn").split(".")[:2])
    assert pinned == f"uvicorn~={in_use}.0"
    assert f"\nuvicorn=={in_use}." in (ROOT / "requirements.txt").read_text()


def _names(of: Any, owners: tuple[str, ...] = ("self",)) -> set[str]:
    """The attributes of ``owners`` that the source of a class or function mentions."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(of)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in owners
    }
