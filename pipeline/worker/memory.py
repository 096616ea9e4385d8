"""How much memory the machine has left, and how much this process has taken."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def available(limit: int | None = None) -> int | None:
    """Bytes that the system can still give, and a container's limit still allows, where Linux tells.

    Args:
        limit: on what this process may take in all, where it has to share.
    """
    left = [left for _, left in _cgroups()]
    if limit is not None:
        left.append(limit - resident())
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        left += [int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:")]
    return min(left, default=None)


def whole() -> int | None:
    """Bytes that the system has, or a container may have, in all, where Linux tells."""
    found = [limit for limit, _ in _cgroups()]
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        found += [int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal:")]
    return min(found, default=None)


def _cgroups() -> Iterator[tuple[int, int]]:
    """Each limit of this process's control group (version 2) and of those around it, and what it leaves: a container's
    ``memory.max``, or systemd's ``MemoryMax=``. Files that are merely cached go when memory is asked for."""
    path = ""
    with contextlib.suppress(OSError):
        own = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
        path = next((line.removeprefix("0::/") for line in own if line.startswith("0::/")), "")
    # Within a container the path may be the host's, which is not there; its limit is then in the root's files.
    for group in (CGROUPS / path, *(CGROUPS / path).parents):
        if not group.is_relative_to(CGROUPS):
            return
        with contextlib.suppress(OSError, ValueError):  # the host's root has no limit; "max" is none
            limit = int((group / "memory.max").read_text(encoding="ascii"))
            used = int((group / "memory.current").read_text(encoding="ascii"))
            stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            yield limit, limit - used + int(stat.get("inactive_file", 0))


def resident() -> int:
    """Bytes of this process's resident set, where Linux tells; else 0."""
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def reset_peak() -> None:
    """Let ``peak`` count from here on, where Linux allows it."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak() -> int:
    """Bytes of the largest resident set since the job began; since the process began where Linux does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
