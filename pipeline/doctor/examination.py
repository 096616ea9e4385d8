"""All of what `stylistic doctor` looks at, in its order, and the page that tells of it."""

from __future__ import annotations

import dataclasses
import platform
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.doctor import folders, machine
from pipeline.worker import arithmetic, gpu, memory
from pipeline.worker.finding import Finding, broken, ok

WIDTH = 100


@dataclass(frozen=True)
class Place:
    """What a runner would be given."""

    inbox: Path
    jobs: Path
    outbox: Path
    poll: bool
    weights: Path | None
    cache: Path
    device: str  # auto, cpu or gpu
    library: tuple[Path, ...] = ()


def examine(place: Place) -> Iterator[Finding]:
    """Look at one link after the other; each is told before the next one is looked at, which may end the process."""
    yield machine.python()
    yield machine.packages()
    yield from folders.examine(place.inbox, place.jobs, place.outbox, place.poll, place.library)
    yield machine.weights(_weights(place), place.cache, place.weights is not None)
    yield machine.cores(machine.cores_allowed(), machine.quota())
    yield machine.instructions(machine.cpu_flags(), platform.machine())
    yield machine.free_memory(memory.available())
    try:
        from pipeline.worker.session import tensorflow

        tf = tensorflow()
    except Exception as error:  # whatever its libraries answer
        yield broken("TensorFlow", f"cannot be imported: {error}", "Install stylistic into a fresh environment.")
        return
    yield from graphics(gpu.System(), tf.sysconfig.get_build_info(), place.device)
    yield from _device(place.device)


def _weights(place: Place) -> Callable[[], Sequence[str]]:
    def read() -> Sequence[str]:
        from pipeline.engine import weights

        if place.weights is None:
            return weights.verify(place.cache)
        loaded = weights.load(place.weights, place.cache)
        return [f"{place.weights}: SHA-256 {loaded.sha256[:16]}…, {len(loaded.kernels)} convolutions"]

    return read


def graphics(system: gpu.System, build: dict[str, Any], device: str) -> Iterator[Finding]:
    """The chain to a GPU. One that is broken is no fault where jobs may run on the CPU as well.

    Args:
        system: where to look.
        build: TensorFlow's.
        device: as asked for.
    """
    if device == "cpu":
        yield ok("GPU", "not looked for, as --device cpu asks")
    elif device == "auto" and gpu.has_none(system):
        yield ok("GPU", "no NVIDIA card here; jobs run on the CPU")
    else:
        for found in gpu.links(system, build):
            if found.state == "broken" and device == "auto":
                found = dataclasses.replace(found, state="warning")
            yield dataclasses.replace(found, name=f"GPU, {found.name}")


def _device(device: str) -> Iterator[Finding]:
    from pipeline.engine.extractor import best_precision
    from pipeline.errors import EnvironmentFault
    from pipeline.worker.session import device_name, gpus

    try:
        found = gpus(device)
    except EnvironmentFault as error:
        yield broken("device", error.message, error.advice)
        return
    name, precision = device_name(found), best_precision()
    yield ok("device", f"jobs run on {name}, {precision}")
    for result in arithmetic.examine(arithmetic.OPERATIONS, list(dict.fromkeys(["float32", precision])), name):
        yield dataclasses.replace(result, name=f"{name}, {result.name}")


def told(finding: Finding) -> str:
    """A finding as a line, and its remedy below it."""
    wrapper = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)
    wrapper.subsequent_indent = " " * 9
    lines = wrapper.wrap(f"{finding.state:8} {finding.name}: {finding.what}")
    if finding.remedy:
        wrapper.initial_indent, wrapper.subsequent_indent = " " * 9, " " * 11
        lines += wrapper.wrap(f"→ {finding.remedy}")
    return "\n".join(lines)


def summary(findings: Sequence[Finding]) -> str:
    """The last line of the page."""
    count = {state: sum(found.state == state for found in findings) for state in ("warning", "broken")}
    warnings = f"{count['warning']} warning{'s' * (count['warning'] != 1)}"
    if count["broken"]:
        return f"Not fit: {count['broken']} broken, {warnings}. Jobs would fail."
    return f"Fit, with {warnings}." if count["warning"] else "Fit."
