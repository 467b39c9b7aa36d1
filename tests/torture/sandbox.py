"""Parts in which the sandbox itself, or its data, has a bad day."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from tests.contract.test_damaged_database import DAMAGES
from tests.support.postgresql import postgresql, programs
from tests.support.product import ROOT, Product
from tests.support.waiting import wait_until
from tests.torture.ground import Counts, Plan, Tortured, for_a_while

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: A stop is bounded by 20 s; a busy machine has a little more.
STOP_S = 25


def kills(plan: Plan, counts: Counts) -> None:
    """The control plane is killed under load."""
    chance = random.Random(plan.seed)
    for engine, times in (("process", plan.some(90, 8)), ("docker", plan.some(10, 2))):
        tortured = Tortured(counts, plan.directory / f"kills-{engine}", engine)
        tortured.restart()
        try:
            tortured.create()
            for _ in range(times):
                with tortured.load():
                    for_a_while(chance.uniform(0.1, 1.0))
                    tortured.product.kill()
                tortured.restart()
            tortured.settle()
        finally:
            tortured.end()


def signals(plan: Plan, counts: Counts) -> None:
    """It is asked to stop at any moment of its start, under load, and twice."""
    chance = random.Random(plan.seed)
    directory = plan.directory / "signals"
    directory.mkdir()
    product = Product(directory / "data", "process")
    for number in range(plan.some(40, 6)):
        log = directory / f"{number}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "api"],
                cwd=ROOT,
                env=product._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        for_a_while(chance.uniform(0.15, 1.5))  # before that it is Python's own, not yet ours
        process.send_signal(chance.choice((signal.SIGTERM, signal.SIGINT)))
        if chance.random() < 0.3:
            process.send_signal(signal.SIGINT)
        counts.count("requests")
        _ended(process, counts)
        if "Traceback" in log.read_text():
            counts.count("wrong", f"a stack trace in {log}")
    product.http.close()
    tortured = Tortured(counts, directory / "loaded", "process")
    tortured.restart()
    tortured.create()
    for _ in range(plan.some(10, 2)):
        with tortured.load():
            for_a_while(chance.uniform(0.3, 1.0))
            process_ = tortured.product.process
            assert process_ is not None
            process_.terminate()
            _ended(process_, counts)
            tortured.product.process = None
        tortured.restart()
    tortured.settle()
    tortured.end()


def _ended(process: subprocess.Popen[bytes], counts: Counts) -> None:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        counts.count("hung", "a stop")
        process.kill()
        process.wait(10)


def disk(plan: Plan, counts: Counts) -> None:
    """The disk of the data directory is full, or read-only, and is well again."""
    directory = plan.directory / "disk"
    mounted = directory / "mounted"
    mounted.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "scf-torture", str(mounted)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        counts.told.append("left out: only root may mount a small file system")
        return
    tortured = Tortured(counts, mounted, "process")
    tortured.product.log_path = directory / "control.log"
    try:
        tortured.restart()
        tortured.create()
        for number in range(plan.some(20, 3)):
            with tortured.load():
                if number % 3 == 2:
                    _remount(mounted, "ro")
                else:
                    fill(mounted / "filler")
                for_a_while(1)
                _remount(mounted, "rw")
                (mounted / "filler").unlink(missing_ok=True)
                for_a_while(0.5)
        tortured.settle()
        fill(mounted / "filler")
        tortured.end(STOP_S)
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=False)


def _remount(path: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(path)], capture_output=True, check=False)


def fill(path: Path) -> None:
    """All the room that there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            return


def database(plan: Plan, counts: Counts) -> None:
    """It is locked by somebody else for a while, and damaged in any place."""
    tortured = Tortured(counts, plan.directory / "database", "process")
    tortured.restart()
    tortured.create()
    path = tortured.product.data_dir / "scf.db"
    for _ in range(plan.some(5, 1)):
        with tortured.load(), closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for_a_while(8)
            other.execute("ROLLBACK")
    tortured.settle()
    tortured.product.stop()
    good = plan.directory / "good"
    shutil.copytree(tortured.product.data_dir, good)
    for seed in range(plan.some(60, 6)):
        _damage(good / "scf.db", path, seed)
        _starts_or_says_why(tortured.product, counts)
    tortured.end()


def _damage(good: Path, to: Path, seed: int) -> None:
    data = bytearray(good.read_bytes())
    DAMAGES[seed % len(DAMAGES)](data, random.Random(seed))
    for left in to.parent.glob("scf.db*"):
        left.unlink()
    to.write_bytes(data)


def _starts_or_says_why(product: Product, counts: Counts) -> None:
    counts.count("requests")
    before = product.log_path.stat().st_size
    try:
        product.start()
    except AssertionError:
        said = product.log_path.read_text()[before:]
        if "the database" not in said or "bring back a copy" not in said:
            counts.count("wrong", f"it does not say why: {said[-300:]}")
        product.process = None
        return
    product.stop()


def postgres(plan: Plan, counts: Counts) -> None:
    """PostgreSQL is stopped and killed under load, and comes back."""
    if programs() is None:
        counts.told.append("left out: PostgreSQL's server is not installed")
        return
    chance = random.Random(plan.seed)
    with postgresql() as server:
        url = server.database()
        tortured = Tortured(counts, plan.directory / "postgres", "process", SCF_DATABASE_URL=url)
        tortured.restart()
        try:
            tortured.create()
            for _ in range(plan.some(12, 2)):
                with tortured.load():
                    for_a_while(chance.uniform(0.3, 1))
                    chance.choice((server.stop, server.kill))()
                    for_a_while(chance.uniform(0.3, 2))
                    server.start()
                    wait_until(_asked(tortured), 60)
            tortured.settle()
        finally:
            tortured.end()


def _asked(tortured: Tortured) -> Callable[[], bool]:
    return lambda: tortured.product.http.get("/dead-letters").status_code == 200
