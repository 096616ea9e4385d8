"""Whether a job fits into the memory of the card, or of the machine, and on its disk."""

from __future__ import annotations

from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError
from pipeline.forecast.memory import (
    MUCH,
    bytes_at_once,
    bytes_of,
    bytes_of_checkpoints,
    require_room,
    scaled,
    smaller,
)
from pipeline.forecast.work import Painting, paintings
from pipeline.jobs import checkpoint
from pipeline.jobs.record import Job
from pipeline.jobs.unfit import unfit
from pipeline.pictures.suffixes import bytes_to_decode
from pipeline.worker import card, memory
from pipeline.worker.session import Options, gpus, tensorflow

LEAST_OF_DISK = 1_000_000_000  # bytes, that are reckoned
PRECISIONS = ("float32", "bfloat16")


def require_fitting(job: Job, precision: str, options: Options) -> int | None:
    """Refuse a job, of one picture, that cannot be painted for its shape, its size or its memory; else as there."""
    assert job.manifest is not None, "a job that runs has a manifest"
    sizes = {image.file: (image.width, image.height) for image in job.images.values()}
    if told := unfit(job.manifest, sizes):
        raise JobError(told)
    (painting,) = paintings(job.manifest, sizes)
    return require_memory(painting, precision, options)


def require_memory(painting: Painting, precision: str, options: Options) -> int | None:
    """Refuse what the memory of the card, or of the machine, cannot hold: the kernel would end the process for it.

    Returns:
        The bytes that the machine has left beside the painting, where that is known.
    """
    available, free = _available(options)
    if available is None:
        return _require_decoding(painting, options)
    taken = require_room(painting, precision, available, free)
    room = _require_decoding(painting, options)
    return room if room is None or gpus(options.device) else room - taken


def require_memory_here(painting: Painting, options: Options) -> None:
    """The same before there is a session, whose TensorFlow takes seconds to load: only where it may matter."""
    of_machine = _require_decoding(painting, options)
    if of_machine is not None and max(bytes_at_once(painting, one) for one in _needed(painting)) > of_machine:
        require_memory(painting, _precision(painting), options)


def much_memory(painting: Painting) -> int:
    """The bytes of memory that a picture takes here beyond the extractor; 0 where that is below ``MUCH``."""
    needed = _needed(painting)
    if max(needed.values()) < MUCH:
        return 0
    found = needed[_precision(painting)]
    return found if found >= MUCH else 0


def _needed(painting: Painting) -> dict[str, int]:
    """The bytes of memory that a picture takes by each precision that it may be painted in."""
    asked = painting.parameters.precision
    return {one: bytes_of(painting, one) for one in PRECISIONS if asked in ("auto", one)}


def _precision(painting: Painting) -> str:
    """The one that a picture is painted in here."""
    if painting.parameters.precision != "auto":
        return painting.parameters.precision
    tensorflow()
    from pipeline.engine.extractor import best_precision

    return best_precision()


def require_disk(painting: Painting, folder: Path) -> None:
    """Refuse a picture whose checkpoints the disk cannot hold; they are to lie in ``folder``.

    What is small is not reckoned: where not even that can be written, the disk is full, which is no job's fault.
    """

    def needed(side: int) -> int:
        return bytes_of_checkpoints(*scaled(painting.width, painting.height, side), painting.parameters)

    side = painting.parameters.image_size
    if needed(side) < LEAST_OF_DISK:
        return
    kept = storage.glance(folder / checkpoint.FILE)
    free = storage.free_bytes(folder) + (kept.st_size if kept else 0)
    if needed(side) > free:
        fits = next((one for one in range(side, 15, -16) if needed(one) <= max(free, LEAST_OF_DISK)), 16)
        raise JobError(
            f"the checkpoints of a picture of {side} pixels take about {needed(side) / 1e9:.1f} GB in the jobs folder,"
            f" and {free / 1e9:.1f} GB are free.",
            f"Make room, or {smaller(painting.parameters, fits)} would fit.",
        )


def _available(options: Options) -> tuple[int | None, str]:
    """Bytes that are left where the device paints, if that is known, and words for it."""
    if gpus(options.device):
        available, where = card.available(options.processes_a_card), "free on the card"
        is_shared = options.processes_a_card > 1
    else:
        available, where = memory.available(options.memory_limit), "free"
        is_shared = options.memory_limit is not None
    if available is None:
        return None, ""
    available = max(0, available)
    return available, f"{available / 1e9:.1f} GB are {'there for each worker' if is_shared else where}"


def _require_decoding(painting: Painting, options: Options) -> int | None:
    """Refuse an image that memory does not hold while it is decoded; the bytes that the machine has free, if known."""
    available = memory.available(options.memory_limit)
    if available is None:
        return None
    for image in painting.images.values():
        needed = bytes_to_decode(image.file, image.width, image.height)
        if needed > available:
            raise JobError(
                f"{image.file}: to decode its {image.width}×{image.height} pixels takes about {needed / 1e9:.1f} GB of"
                f" memory, and {max(0, available) / 1e9:.1f} GB are free.",
                "Make it smaller first.",
            )
    return available
