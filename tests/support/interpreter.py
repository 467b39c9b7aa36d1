"""A layer with a real interpreter: this machine's Python, with everything that it needs.

It has its own loader and C library, so it runs on any Linux, also on an older one.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.zips import zip_of

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

#: The imports of the runtime below. The layer must have these modules.
IMPORTS = "import encodings.idna, http.client, json, os, sys"

BOOTSTRAP = """#!/bin/bash
layer=${PYTHONPATH##*:}
export PYTHONHOME=$layer/python
exec "$layer/lib/loader" --library-path "$layer/lib" "$layer/bin/python3" -B -S runtime.py
"""

#: A Custom Runtime in Python: answers with its version, its home and the event's ``n``, doubled.
RUNTIME = """import http.client, json, os, sys

place = os.environ["SCF_RUNTIME_API"], int(os.environ["SCF_RUNTIME_API_PORT"])

def call(method, path, body=None):
    connection = http.client.HTTPConnection(*place)
    connection.request(method, "/runtime/" + path, body)
    text = connection.getresponse().read().decode()
    connection.close()
    return text

call("POST", "init/ready", " ")
while True:
    event = json.loads(call("GET", "invocation/next"))
    print("in Python", sys.version_info[0], flush=True)
    answer = {"version": sys.version, "home": sys.prefix, "twice": 2 * event["n"]}
    call("POST", "invocation/response", json.dumps(answer))
"""


def python_layer() -> dict[str, str | bytes]:
    """Path to content: the interpreter, the modules that ``RUNTIME`` needs, and their libraries."""
    executable = Path(sys.executable).resolve()
    modules = _modules()
    files: dict[str, str | bytes] = {"bin/python3": executable.read_bytes()}
    library = Path(f"python/lib/python{sys.version_info[0]}.{sys.version_info[1]}")
    stdlib = next(path.parent for path in modules if path.name == "os.py")
    for path in modules:
        place = (
            library / "lib-dynload" / path.name
            if path.suffix == ".so"
            else library / path.relative_to(stdlib)
        )
        files[str(place)] = path.read_bytes()
    for path in _libraries(executable, *(path for path in modules if path.suffix == ".so")):
        name = "loader" if path.name.startswith("ld-") else path.name
        files[f"lib/{name}"] = path.read_bytes()
    return files


def publish_python(cloud: ProductCloud) -> int:
    """The layer ``python``; its version."""
    content = base64.b64encode(zip_of(python_layer())).decode()
    version: int = cloud.call(
        "PublishLayerVersion",
        LayerName="python",
        CompatibleRuntimes=["CustomRuntime"],
        Content={"ZipFile": content},
    ).LayerVersion
    return version


def create_in_python(cloud: ProductCloud, name: str, layer: dict[str, Any]) -> None:
    """A function without an interpreter."""
    package = zip_of({"bootstrap": BOOTSTRAP, "runtime.py": RUNTIME})
    cloud.call(
        "CreateFunction",
        FunctionName=name,
        Runtime="CustomRuntime",
        Code={"ZipFile": base64.b64encode(package).decode()},
        Layers=[layer],
        InitTimeout=10,
    )
    cloud.active(name)


def _modules() -> list[Path]:
    """The files of every module that these imports load."""
    script = f"{IMPORTS}\nfor m in list(sys.modules.values()): print(getattr(m, '__file__', ''))"
    output = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    return [Path(line) for line in output.splitlines() if line.endswith((".py", ".so"))]


def _libraries(*binaries: Path) -> set[Path]:
    """The shared libraries and the loader that these binaries are linked with."""
    found: set[Path] = set()
    for binary in binaries:
        output = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
        found |= {Path(path) for path in re.findall(r"(/\S+) \(0x", output)}
    return found
