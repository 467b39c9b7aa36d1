"""``python -m api``: runs the control plane.

Everything else is imported when signals are heard: it takes a third of a second.
"""

from __future__ import annotations

import sys
from importlib import import_module

from api.process.stop import Stop


def main() -> int:
    """Run until a signal ends it. The exit code is 1 for a start that failed or a stop that took
    too long, 128 + its number for a second signal, else 0."""
    stop = Stop()
    stop.hear()
    code: int = import_module("api.serving").run(stop)
    return code


if __name__ == "__main__":
    sys.exit(main())
