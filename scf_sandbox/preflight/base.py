"""What the system of the instances has: as much of it as the checks must know."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the type of a field
from dataclasses import dataclass, field
from types import MappingProxyType

#: The highest symbol versions of CentOS 7.6: glibc 2.17, libstdc++ and libgcc of GCC 4.8.5.
CENTOS_7_CEILINGS = MappingProxyType(
    {"GLIBC": "2.17", "GLIBCXX": "3.4.19", "CXXABI": "1.3.7", "GCC": "4.8.0"}
)

#: Programs of CentOS 7.6 that its stand-in lacks, without ``/usr``.
CENTOS_7_ALONE = frozenset({"/bin/python", "/bin/python2", "/bin/python2.7"})

#: Programs and loaders that CentOS 7.6 and its stand-in both have. ``/usr`` is left out: there
#: ``/bin``, ``/lib`` and ``/lib64`` are links into it.
CENTOS_7_PROGRAMS = frozenset(
    {
        "/bin/awk",
        "/bin/bash",
        "/bin/env",
        "/bin/gawk",
        "/bin/sed",
        "/bin/sh",
        "/lib64/ld-linux-x86-64.so.2",
    }
)


@dataclass(frozen=True, slots=True)
class BaseImage:
    """The system that packages run in.

    ``name`` stands in sentences. ``ceilings`` are the highest symbol versions of its C and C++
    libraries. ``programs`` are paths that it is known to have, without ``/usr``. It may have more.
    """

    name: str
    ceilings: Mapping[str, str] = field(default_factory=lambda: CENTOS_7_CEILINGS)
    programs: frozenset[str] = frozenset()

    def has(self, path: str) -> bool:
        """Whether it is known to have a program or a loader at this absolute path."""
        return path.removeprefix("/usr") in self.programs

    def where(self, path: str) -> str:
        """Its name in a sentence that says that it lacks a program, which was seen to be so."""
        if self.programs is CENTOS_7_PROGRAMS and path.removeprefix("/usr") in CENTOS_7_ALONE:
            return f"the stand-in for {self.name} ({self.name} itself has it)"
        return self.name


CENTOS_7 = BaseImage("CentOS 7.6", CENTOS_7_CEILINGS, CENTOS_7_PROGRAMS)
