"""A log belongs to its request, whatever else the machine does: the whole control plane, on each
engine, with instances that answer fast and cores that are busy with something else.

``SCF_EXACT_INVOCATIONS`` sets how many invocations each engine is tried with;
``scripts/exact-logs`` runs the large variant.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from api.runtime.server import RuntimeServer
from api.runtime.upgrade import init_upgrades
from sandbox.clock import new_request_id
from sandbox.functions.model import FunctionConfig
from sandbox.invocation import InvokeOptions
from tests.engine.rigs import docker_leftovers, process_leftovers
from tests.init.processes import Burners
from tests.support.control_plane import plane_of
from tests.support.product import free_port
from tests.support.waiting import DEADLINE_S
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.control_plane import ControlPlane
    from sandbox.invocation import Outcome

INVOCATIONS = int(os.environ.get("SCF_EXACT_INVOCATIONS", "400"))
INSTANCES = 8
INIT_LINES = 50
LINES = 3

#: Speaks with the runtime API by itself, over one connection: a client of its own for each call
#: would take so long that nothing could be late.
BOOTSTRAP = f"""#!/bin/bash
export LC_ALL=C
host=$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT
exec 3<>/dev/tcp/$SCF_RUNTIME_API/$SCF_RUNTIME_API_PORT
call() {{
  printf '%s /runtime/%s HTTP/1.1\\r\\nHost: %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s' \\
    "$1" "$2" "$host" "${{#3}}" "$3" >&3
  local line
  size=0
  while IFS= read -r line <&3 && line=${{line%$'\\r'}} && [[ -n $line ]]; do
    case $line in
      Request_Id:*) id=${{line#*: }} ;;
      Content-Length:*) size=${{line#*: }} ;;
    esac
  done
  ((size == 0)) || IFS= read -r -N "$size" body <&3
}}
for n in {{1..{INIT_LINES}}}; do echo "init $n"; done
call POST init/ready ' '
while :; do
  call GET invocation/next ''
  for n in {{1..{LINES}}}; do echo "$n $id"; done
  call POST invocation/response "$id"
  echo "after $id"
done
"""


@pytest.mark.parametrize("kind", [pytest.param("docker", marks=pytest.mark.engine), "process"])
@pytest.mark.timeout(60 + INVOCATIONS)
async def test_every_log_and_every_tail_has_its_own_lines(
    kind: str, tmp_path: Path, installation: str
) -> None:
    outcomes: list[Outcome] = []
    port = free_port()
    async with plane_of(
        tmp_path, chosen=kind, installation=installation, runtime_port=port
    ) as plane:
        upgrades = init_upgrades(plane.init_links)
        await plane.open(RuntimeServer(plane.pool, port, upgrades=upgrades))
        package = zip_of({"bootstrap": BOOTSTRAP})
        await plane.functions.create("default", "exact", package, FunctionConfig(timeout_s=60))
        await plane.functions.settled("default", "exact", 60)

        async def one() -> Outcome:
            options = InvokeOptions(new_request_id(), tail=True)
            return await plane.invoker.invoke("exact", b"{}", options)

        async def client(count: int) -> None:
            for _ in range(count):
                outcomes.append(await one())

        outcomes += await asyncio.gather(*(one() for _ in range(INSTANCES)))
        async with Burners():
            await asyncio.gather(*(client(INVOCATIONS // INSTANCES) for _ in range(INSTANCES)))
        stored = await all_stored(plane, outcomes)
    assert [each.text for each in outcomes] == [each.request_id for each in outcomes]
    assert len({each.instance_id for each in outcomes}) == INSTANCES
    assert [log for each in outcomes if (log := stored[each.request_id]) != expected(each)] == []
    assert [each.log for each in outcomes if not tail_is_right(each)] == []
    if kind == "docker":
        assert docker_leftovers(installation) == []
    else:
        assert process_leftovers(plane.settings) == []


async def all_stored(plane: ControlPlane, outcomes: list[Outcome]) -> dict[str, list[str]]:
    """The lines of each request. The last one's of an instance comes when that asks again."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = {
            each.request_id: [
                text
                for _, text in await plane.history.lines(each.request_id)
                if "warning: setlocale" not in text
            ]
            for each in outcomes
        }
        complete = sum(lines[-1:] == [f"after {key}"] for key, lines in found.items())
        if complete == len(outcomes) or time.monotonic() > deadline:
            return found


def expected(outcome: Outcome) -> list[str]:
    """What the function wrote until its next poll."""
    init = [f"init {n}" for n in range(1, INIT_LINES + 1)] if outcome.cold_start else []
    own = [f"{n} {outcome.request_id}" for n in range(1, LINES + 1)]
    return [*init, *own, f"after {outcome.request_id}"]


def tail_is_right(outcome: Outcome) -> bool:
    """The platform's lines around the function's, the report of a cold start behind its
    initialisation. Of what came after the result, it may have something or not."""
    lines = [line for line in outcome.log.splitlines() if "warning: setlocale" not in line]
    *own, after = expected(outcome)
    if outcome.cold_start:
        report = next((line for line in lines if line.startswith("Init Report ")), "no report")
        own.insert(INIT_LINES, report)
    start = [f"{word} RequestId: {outcome.request_id}" for word in ("START", "Event")]
    end = f"END RequestId: {outcome.request_id}"
    return lines[:-1] in ([*start, *own, end], [*start, *own, after, end])
