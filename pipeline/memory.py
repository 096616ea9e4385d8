"""How much memory the machine has left, and how much this process has taken."""

from __future__ import annotations

import contextlib
import resource
import sys


def available() -> int | None:
    """Bytes that the system can still give, where Linux tells."""
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


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
