"""All checks, in the order in which their findings are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scf_sandbox.preflight.bootstrap import check_bootstrap
from scf_sandbox.preflight.newer_tools import check_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scf_sandbox.preflight.finding import Finding
    from scf_sandbox.preflight.view import PackageView

CHECKS: tuple[Callable[[PackageView], Iterable[Finding]], ...] = (check_bootstrap, check_tools)


def inspect(package: PackageView) -> list[Finding]:
    """Everything that is wrong with a package; empty when nothing is.

    Raises only what ``package`` raises, for example when its zip is damaged.
    """
    return [finding for check in CHECKS for finding in check(package)]
