"""The machine apart from folders and GPU: Python, packages, cores, instruction sets, memory, the weights."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from pipeline.errors import EnvironmentFault
from pipeline.worker.finding import Finding, broken, ok, warning

TOLD = ("stylistic", "tensorflow", "keras", "numpy", "pillow")  # packages whose versions are told
LITTLE_MEMORY = 2_000_000_000  # bytes; a picture of 768 pixels takes about half of it
CGROUPS = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")


def python() -> Finding:
    """The interpreter that this runs in."""
    return ok("Python", f"{platform.python_version()}, {platform.platform()}")


def packages(
    version: Callable[[str], str] = importlib.metadata.version, requirements: Sequence[str] | None = None
) -> Finding:
    """Whether every package that this one needs is there, in a version that it works with.

    Args:
        version: of an installed package; raises ``PackageNotFoundError``.
        requirements: of this package; default: as it was installed.
    """
    wanted = [Requirement(line) for line in requirements or importlib.metadata.requires("stylistic") or ()]
    wrong = []
    for one in wanted:
        if one.marker and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(one.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
        else:
            if not one.specifier.contains(installed, prereleases=True):
                wrong.append(f"{one.name} {installed} is not {one.specifier}")
    if wrong:
        return broken("packages", "; ".join(wrong), "Install stylistic again into an environment of its own.")
    return ok("packages", ", ".join(f"{name} {version(name)}" for name in TOLD))


def cores(allowed: int, quota: float | None) -> Finding:
    """How many cores jobs may use.

    Args:
        allowed: by the system (``os.sched_getaffinity``).
        quota: cores that a container's limit allows; None for no limit.
    """
    if quota is not None and quota < allowed - 0.5:
        return warning(
            "cores",
            f"{allowed}, of which a container's limit allows {quota:g}: TensorFlow starts threads for all of them",
            f"Give it cores of its own: docker's --cpuset-cpus=0-{max(0, round(quota) - 1)}, systemd's AllowedCPUs=.",
        )
    return ok("cores", f"{allowed}")


def cores_allowed() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota(root: Path = CGROUPS) -> float | None:
    """Cores that the control group's ``cpu.max`` allows, seen from within a container."""
    with contextlib.suppress(OSError, ValueError):
        limit, period = (root / "cpu.max").read_text(encoding="ascii").split()
        return int(limit) / int(period)
    return None


def instructions(flags: Collection[str], machine: str) -> Finding:
    """What the CPU computes with.

    Args:
        flags: of ``/proc/cpuinfo``; empty where the system has none.
        machine: such as ``x86_64``.
    """
    name = "instruction sets"
    if machine not in ("x86_64", "AMD64") or not flags:
        return ok(name, f"{machine}; jobs in float32")
    if "avx" not in flags:
        return broken(
            name,
            "no AVX, without which TensorFlow's wheel dies of an illegal instruction",
            "In a virtual machine: pass the host's CPU on (QEMU's -cpu host). Else another machine.",
        )
    found = [one for one in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if one in flags]
    native = "bfloat16 is native" if {"avx512_bf16", "amx_bf16"} & set(flags) else "no bfloat16: jobs in float32"
    return ok(name, f"{', '.join(found) or 'avx'}; {native}")


def cpu_flags(file: Path = CPUINFO) -> frozenset[str]:
    """The first core's flags, where Linux tells."""
    with contextlib.suppress(OSError), file.open(encoding="ascii", errors="replace") as lines:
        return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
    return frozenset()


def free_memory(available: int | None) -> Finding:
    """Whether memory reaches for pictures of common size.

    Args:
        available: bytes that the system and a container's limit leave; None where nobody tells.
    """
    if available is None:
        return ok("memory", "the system does not tell")
    what = f"{available / 1e9:.1f} GB free, container limits counted"
    if available < LITTLE_MEMORY:
        return warning("memory", what, "Stop something else, or keep image_size small: half of it takes a quarter.")
    return ok("memory", what)


def weights(read: Callable[[], Iterable[str]], cache: Path, are_named: bool) -> Finding:
    """Whether VGG-19's weights are there and whole; nothing is fetched.

    Args:
        read: reads them whole, a sentence for each file; raises ``EnvironmentFault`` for one that is damaged.
        cache: where they would be fetched to.
        are_named: by --weights, so that a job looks nowhere else.
    """
    try:
        found = list(read())
    except EnvironmentFault as error:
        return (broken if are_named else warning)("weights", error.message, error.advice)
    if found:
        return ok("weights", "; ".join(found))
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        return broken(
            "weights",
            f"none in {cache}, and {there} may not be written",
            "Set XDG_CACHE_HOME to a folder that may be, or name a file with --weights.",
        )
    return warning(
        "weights", f"none in {cache} yet", "`stylistic weights fetch`; else the first job fetches them, with a network."
    )
