"""The runtime API as real instances reach it, in every engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandbox.instance.lifecycle import State
from tests.engine.engine_kit import invocation
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.engine.engine_kit import Rig

API = 'api="http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime"\n'
READY = 'curl -sS -d " " "$api/init/ready"\n'
ECHO = (
    API
    + READY
    + 'while event=$(curl -sS "$api/invocation/next"); do\n'
    + '  curl -sS -d "$PPID got $event" "$api/invocation/response"\n'
    + "done\n"
)
#: Says ready, then asks as another instance.
STATUS = (
    API
    + 'curl -sS -o /dev/null -w "%{http_code}\\n" -d " " '
    + '-H "Host: $OTHER:$SCF_RUNTIME_API_PORT" "$api/init/ready"\n'
    + "sleep 1000\n"
)


async def test_an_instance_reports_ready_and_answers_events(rig: Rig) -> None:
    instance = await rig.instance(ECHO)
    first, second = invocation(b'{"n":1}'), invocation(b'{"n":2}')
    instance.release(first)
    assert (await first.future).text.endswith('got {"n":1}')
    instance.dispatch(second)
    assert json.loads((await second.future).text.partition("got ")[2]) == {"n": 2}
    assert (await second.future).mem_usage > 0
    instance.stop()
    assert instance.container is not None
    await instance.container.destroy()


async def test_instances_of_one_function_have_their_own_runtime_api(rig: Rig) -> None:
    one, two = await rig.instance(ECHO), await rig.instance(ECHO)
    one.release(None)
    two.release(None)
    await eventually(lambda: one.state is two.state is State.IDLE)
    events = invocation(b'"one"'), invocation(b'"two"')
    one.dispatch(events[0])
    two.dispatch(events[1])
    assert (await events[0].future).text.endswith('got "one"')
    assert (await events[1].future).text.endswith('got "two"')
    for instance in (one, two):
        instance.stop()
        assert instance.container is not None
        await instance.container.destroy()


async def test_the_host_name_of_another_instance_is_refused(rig: Rig) -> None:
    victim = await rig.instance("sleep 1000 & wait")
    assert victim.container is not None
    victim.release(None)  # a ready report would count now
    bootstrap = STATUS.replace("$OTHER", victim.container.runtime_host)
    for function_name in ("hello", "stranger"):
        intruder = await rig.instance(bootstrap, function_name)
        intruder.release(None)
        await rig.directory.said(intruder)
        assert rig.directory.lines(intruder) == ["403"]
        assert victim.state is State.INITIALISING
