"""The packages of the old data directory. Stored, not compressed: their digests never change."""

from __future__ import annotations

import stat
from zipfile import ZIP_STORED

from tests.support.zips import Item, make_zip

_LOOP = """#!/bin/bash
api=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime
curl -s -o /dev/null -d ' ' $api/init/ready
while true; do
  event=$(curl -s $api/invocation/next)
  %s
done
"""
ECHO = _LOOP % (
    'echo "working on $event"; curl -s -o /dev/null --data-binary "$event" $api/invocation/response'
)
FAILING = _LOOP % ('curl -s -o /dev/null -d \'{"error":"broken"}\' $api/invocation/error')
STUCK = _LOOP % "sleep 1000"

#: Of each package its files, with their permissions.
PACKAGES: dict[str, dict[str, tuple[int, str]]] = {
    "echo": {"bootstrap": (0o755, ECHO)},
    "failing": {"bootstrap": (0o755, FAILING)},
    "stuck": {"bootstrap": (0o755, STUCK)},
    "not-executable": {"bootstrap": (0o644, ECHO)},
    "layer-1": {"lib/words.txt": (0o644, "one\n")},
    "layer-2": {"lib/words.txt": (0o644, "two\n")},
}


def zip_of(name: str) -> bytes:
    """The zip of one package, always the same bytes."""
    date = (1980, 1, 1, 0, 0, 0)
    return make_zip(
        *(
            Item(path, text.encode(), stat.S_IFREG | mode, method=ZIP_STORED, date=date)
            for path, (mode, text) in PACKAGES[name].items()
        )
    )
