"""Parts in which containers, or the container engine, have a bad day."""

from __future__ import annotations

import random
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.engine_proxy import EngineProxy, Mode
from tests.support.product import free_port
from tests.torture.ground import Counts, Plan, Tortured, for_a_while

if TYPE_CHECKING:
    from collections.abc import Iterator

WAYS = ("kill", "stop", "pause", "rm")
AWAY = (Mode.REFUSING, Mode.RESETTING, Mode.HANGING, Mode.SLOW)


def docker(*arguments: str) -> list[str]:
    """The words of the answer; none where the engine refuses."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    return done.stdout.split()


def containers(tortured: Tortured) -> list[str]:
    label = f"label=scf-sandbox={tortured.product.installation}"
    return docker("ps", "-q", "--filter", label, "--filter", "label=scf-sandbox.role=instance")


def instances(plan: Plan, counts: Counts) -> None:
    """Instances' containers are killed, stopped, paused and removed under load."""
    chance = random.Random(plan.seed)
    tortured = Tortured(counts, plan.directory / "instances", "docker")
    tortured.restart()
    try:
        tortured.create()
        with tortured.load(changes=False):
            for number in range(plan.some(40, 8)):
                way = WAYS[number % len(WAYS)]
                if found := containers(tortured):
                    options = {"rm": ("-f",), "stop": ("-t", "0")}.get(way, ())
                    docker(way, *options, chance.choice(found))
                for_a_while(chance.uniform(0.5, 1.5))
        tortured.settle()
    finally:
        tortured.end()


def engine(plan: Plan, counts: Counts) -> None:
    """The engine refuses, loses answers, hangs and is slow, while instances end and start."""
    directory = plan.directory / "engine"
    directory.mkdir()
    chance = random.Random(plan.seed)
    with EngineProxy(directory).running() as proxy:
        tortured = Tortured(counts, directory / "sandbox", "docker", DOCKER_HOST=proxy.address)
        tortured.restart()
        try:
            tortured.create()
            for number in range(plan.some(16, 4)):
                mode = AWAY[number % len(AWAY)]
                with tortured.load(changes=False), colder(tortured):
                    for_a_while(0.5)
                    proxy.mode = mode
                    for_a_while(chance.uniform(1, 4))
                    proxy.mode = Mode.WELL
                    for_a_while(0.5)
            tortured.settle()
        finally:
            proxy.mode = Mode.WELL
            tortured.end()


@contextmanager
def colder(tortured: Tortured) -> Iterator[None]:
    """Instances end again and again, so that new ones must start."""
    over = threading.Event()

    def end_instances() -> None:
        while not over.wait(0.7):
            for found in containers(tortured)[:1]:
                docker("kill", found)

    thread = threading.Thread(target=end_instances)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def two(plan: Plan, counts: Counts) -> None:
    """Two sandboxes side by side, and one more with the installation of the first."""
    pair = [Tortured(counts, plan.directory / f"two-{n}", "docker") for n in range(2)]
    try:
        for tortured in pair:
            tortured.restart()
            tortured.create()
        first, second = pair
        with first.load(changes=False), second.load(changes=False):
            for number in range(plan.some(6, 2)):
                refused = first.product.again(
                    SCF_DATA_DIR=str(plan.directory / f"third-{number}"),
                    SCF_PORT=str(free_port()),
                    SCF_RUNTIME_PORT=str(free_port()),
                )
                if refused.returncode != 1 or "another sandbox" not in refused.stderr:
                    counts.count("wrong", f"a third one: {refused.stderr[-300:]}")
                second.product.kill()
                second.restart()
        for tortured in pair:
            tortured.settle()
    finally:
        for tortured in pair:
            tortured.end()
