"""The failure matrix, by real bootstraps in real containers (contract 1.4, 4.1, 4.2)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.product import bash_runtime
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product import Answer, Product

pytestmark = pytest.mark.engine

#: Over what the platform promises: the way of the answer through HTTP.
SLACK_S = 0.15


def run(product: Product, name: str, bootstrap: str | bytes, **fields: str) -> Answer:
    product.create(name, {"bootstrap": bootstrap}, fields=fields)
    return product.invoke(name)


def test_a_missing_bootstrap_is_443_without_duration_or_log(product: Product) -> None:
    product.create("missing", {"index.sh": "echo"})
    answer = product.invoke("missing", log="tail")
    assert answer.status == 443
    assert answer.error == "ReloadFail: Bootstrap does not exist\n"
    assert answer.duration == 0
    assert "X-Scf-Log" not in answer.response.headers


def test_a_bootstrap_that_is_not_executable_is_443_in_the_witnessed_words(
    product: Product,
) -> None:
    product.create("noexec", {"bootstrap": bash_runtime()}, modes={"bootstrap": 0o644})
    answer = product.invoke("noexec", log="tail")
    assert answer.response.json() == {
        "errorCode": 1,
        "errorMessage": "ReloadFail: Bootstrap not executable\n",
        "requestId": answer.response.headers["X-Scf-Request-Id"],
        "statusCode": 443,
    }
    assert answer.duration == 0
    assert answer.response.headers["X-Scf-Memory-Usage"] == "0"
    assert product.log_of(answer.response.headers["X-Scf-Request-Id"]) == ""


def test_a_shebang_with_a_carriage_return_fails_the_initialisation_at_once(
    product: Product,
) -> None:
    answer = run(product, "crlf", bash_runtime().replace("\n", "\r\n"), init_timeout="30")
    assert answer.status == 450
    assert "line end" in answer.error
    assert answer.elapsed < 10


def test_a_wrong_interpreter_fails_the_initialisation_at_once(product: Product) -> None:
    answer = run(product, "interpreter", "#!/opt/no/such/python\nprint(1)\n", init_timeout="30")
    assert answer.status == 450
    assert "/opt/no/such/python" in answer.error
    assert answer.elapsed < 10


def test_a_binary_for_a_newer_glibc_is_refused_with_the_loaders_own_words(
    product: Product, tmp_path: Path
) -> None:
    compiler = shutil.which("gcc")
    assert compiler, "gcc is needed to build the test's program"
    source = tmp_path / "new.c"
    source.write_text(
        "#include <pthread.h>\n#include <stdio.h>\n"
        "static void *f(void *a) { return a; }\n"
        "int main(void) { pthread_t t; pthread_create(&t, 0, f, 0); pthread_join(t, 0);"
        ' puts("ran"); return 0; }\n'
    )
    subprocess.run([compiler, "-o", tmp_path / "new", source], check=True)
    answer = run(product, "glibc", (tmp_path / "new").read_bytes(), init_timeout="30")
    assert answer.status == 450
    assert "GLIBC_2." in answer.error
    assert "not found" in answer.error


def test_never_ready_ends_at_the_init_timeout_with_the_output_in_the_log(
    product: Product,
) -> None:
    answer = run(
        product, "never-ready", "#!/bin/bash\necho waiting for Godot\nsleep 60\n", init_timeout="3"
    )
    assert answer.status == 450
    assert "timed out after 3 seconds" in answer.error
    assert float(answer.response.headers["X-Scf-Init-Ms"]) == pytest.approx(3000, abs=100)
    assert "waiting for Godot" in product.log_of(answer.response.headers["X-Scf-Request-Id"])


def test_a_crash_in_the_initialisation_is_reported_at_once_with_its_last_words(
    product: Product,
) -> None:
    answer = run(product, "init-crash", "#!/bin/bash\necho no config >&2\nexit 7\n")
    assert answer.status == 450
    assert "exit code 7" in answer.error
    assert "no config" in answer.error
    assert answer.elapsed < 10


#: Tells the time since the machine's start, the one clock that all of CentOS 7 has finer than 1 s.
DIE = 'read -r up _ </proc/uptime; echo "died $up" >&2; kill -9 $$'


def crash(product: Product, name: str) -> tuple[Answer, float]:
    """An invocation whose process kills itself, and how long after that it ended, seconds."""
    answer = product.invoke(name, {"crash": True})
    request_id = answer.response.headers["X-Scf-Request-Id"]
    record = product.http.get(f"/invocations/{request_id}").json()
    (died,) = re.findall(r"^died ([0-9.]+)$", record["log"], re.MULTILINE)
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return answer, record["timeline"]["finished"] - (booted + float(died))


def test_a_crash_in_an_invocation_is_439_within_100_ms_and_the_next_one_is_cold(
    product: Product,
) -> None:
    handler = f'case "$1" in *crash*) {DIE};; esac; echo "$1"'
    product.create("crash", {"bootstrap": bash_runtime(handler)})
    assert product.invoke("crash", {"a": 1}).status == 200
    answer, late = crash(product, "crash")
    assert answer.status == 439
    assert answer.error == "User process exit when running"
    assert late < 0.1
    after = product.invoke("crash", {"a": 2})
    assert after.status == 200
    assert after.cold


def test_a_dead_process_ends_its_invocation_also_when_a_child_of_it_writes_on(
    product: Product,
) -> None:
    handler = f"(while :; do echo still here >&2; read -t 0.004 <> <(:); done) & {DIE}"
    product.create("survived", {"bootstrap": bash_runtime(handler)})
    answer, late = crash(product, "survived")
    assert answer.status == 439
    assert late < 0.1


def test_an_exit_between_invocations_costs_only_a_cold_start(product: Product) -> None:
    one_shot = bash_runtime().replace("while true; do", "for once in 1; do")
    product.create("one-shot", {"bootstrap": one_shot})
    for number in range(4):
        answer = product.invoke("one-shot", {"n": number})
        assert answer.status == 200, answer.response.text
        assert answer.response.json() == {"n": number}


def test_a_timeout_before_the_fetch_says_so(product: Product) -> None:
    lazy = (
        "#!/bin/bash\n"
        'curl -s -o /dev/null -d " " http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT'
        "/runtime/init/ready\nsleep 60\n"
    )
    answer = run(product, "lazy", lazy, timeout="1")
    assert answer.status == 433
    assert "did not fetch the event" in answer.error
    assert answer.duration == 1000


def test_a_timeout_after_the_fetch_has_the_platforms_words_and_exactly_the_limit(
    product: Product,
) -> None:
    product.create(
        "slow",
        {"bootstrap": bash_runtime('case "$1" in *slow*) sleep 30;; esac; echo "$1"')},
        timeout="2",
    )
    assert product.invoke("slow", {"a": 1}).status == 200
    answer = product.invoke("slow", {"slow": 1})
    assert answer.status == 433
    assert answer.error == "Invoking task timed out after 2 seconds"
    assert answer.duration == 2000
    assert 2.0 <= answer.elapsed < 2.05 + SLACK_S
    request_id = answer.response.headers["X-Scf-Request-Id"]
    times = product.http.get(f"/invocations/{request_id}").json()["timeline"]
    assert 2.0 <= times["finished"] - times["dispatched"] < 2.05
    assert product.invoke("slow", {"a": 2}).cold


HOG = "x=$(head -c 200m /dev/zero | tr '\\0' x); echo ${#x}"


def test_out_of_memory_of_the_process_is_434_with_the_limit_as_its_peak(product: Product) -> None:
    product.create(
        "oom",
        {"bootstrap": bash_runtime(HOG.replace("x=$(", "x=$(exec 2>/dev/null; "))},
        timeout="30",
        memory="64",
    )
    answer = product.invoke("oom")
    assert answer.status == 434
    assert answer.error == "Task memory exceeded 64 MB"
    assert int(answer.response.headers["X-Scf-Memory-Usage"]) == 64 * 1024 * 1024


def test_out_of_memory_of_a_child_is_434_too(product: Product) -> None:
    handler = f"bash -c '{HOG.replace(chr(39), chr(34))}' || true; echo survived"
    product.create("oom-child", {"bootstrap": bash_runtime(handler)}, timeout="30", memory="64")
    answer = product.invoke("oom-child")
    assert answer.status == 434
    assert answer.error == "Task memory exceeded 64 MB"


def test_a_pushed_error_is_430_and_the_instance_goes_on(product: Product) -> None:
    failing = bash_runtime().replace("invocation/response", "invocation/error")
    product.create("error", {"bootstrap": failing})
    first, second = product.invoke("error", {"why": 1}), product.invoke("error", {"why": 2})
    assert (first.status, second.status) == (430, 430)
    assert json.loads(second.error) == {"why": 2}
    assert first.cold
    assert not second.cold


def test_an_oversized_response_is_407(product: Product) -> None:
    product.create(
        "big", {"bootstrap": bash_runtime("head -c 6291457 /dev/zero")}, timeout="20", memory="512"
    )
    answer = product.invoke("big")
    assert answer.status == 407
    assert answer.error == "The size of response exceeds the upper limit (6MB)"


def test_a_response_of_exactly_6_mb_arrives_whole(product: Product) -> None:
    product.create(
        "six", {"bootstrap": bash_runtime("head -c 6291456 /dev/zero")}, timeout="20", memory="512"
    )
    answer = product.invoke("six")
    assert answer.status == 200
    assert len(answer.response.content) == 6291456


def test_an_oversized_event_reaches_no_function(product: Product) -> None:
    product.create("refuses", {"bootstrap": bash_runtime()})
    answer = product.invoke("refuses", b'"' + b"x" * 6291456 + b'"')
    assert answer.response.status_code == 413
    assert answer.response.json()["error"]["code"] == "InvalidParameter.RequestTooLarge"


def test_an_event_that_is_not_json_reaches_no_function(product: Product) -> None:
    product.create("json-only", {"bootstrap": bash_runtime()})
    answer = product.invoke("json-only", b"{key: value}")
    assert answer.response.status_code == 400
    assert answer.response.json()["error"]["code"] == "InvalidParameterValue.Param"


def test_failed_instances_are_removed(product: Product) -> None:
    def settled(name: str) -> bool:
        fine = ("idle", "standing by", "starting")
        return all(view["state"] in fine for view in product.instances(name))

    for name in ("crash", "slow", "oom"):
        wait_until(partial(settled, name))
