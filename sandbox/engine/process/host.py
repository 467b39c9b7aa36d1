"""What the process engine has to know of the machine it runs functions on."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass

#: The platform's locale, and one that every system has.
PLATFORM_LOCALE = "en_US.UTF8"
FALLBACK_LOCALE = "C.UTF-8"

LISTING_TIMEOUT_S = 10


def system_name() -> str:
    """``Debian GNU/Linux 12 (bookworm)``, for people."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


@dataclass(frozen=True, slots=True)
class HostLocale:
    """Replaces the platform's locale where the machine lacks it.

    Otherwise every bash script starts with a warning that ends up in the function's log.
    """

    there: bool

    @classmethod
    def find(cls) -> HostLocale:
        """Ask the machine. Blocks for some milliseconds."""
        try:
            listing = subprocess.run(
                ["locale", "-a"], capture_output=True, timeout=LISTING_TIMEOUT_S, check=False
            ).stdout.decode("utf-8", "replace")
        except (OSError, subprocess.TimeoutExpired):
            return cls(there=False)
        return cls(there="en_US.utf8" in listing.split())

    def apply(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment with a locale that works."""
        if self.there:
            return environment
        return {
            name: FALLBACK_LOCALE if value == PLATFORM_LOCALE else value
            for name, value in environment.items()
        }
