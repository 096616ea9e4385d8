"""Whether a job fits into the memory of the card, or of the machine, and on its disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError
from pipeline.forecast.memory import MUCH, bytes_needed, bytes_needed_for_style, bytes_of, bytes_of_checkpoints
from pipeline.forecast.work import Painting, paintings
from pipeline.jobs import checkpoint
from pipeline.jobs.record import Job
from pipeline.jobs.unfit import unfit
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import style_side
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
    of_styles = 0
    for side, needed in _of_styles(painting, precision):
        of_styles = max(of_styles, needed)
        if needed > available:
            raise JobError(
                f"a painting of {side} pixels takes about {needed / 1e9:.1f} GB of memory, and {free}.",
                f"style_size × style_scale of {int(side * (available / needed) ** 0.5) // 16 * 16} would fit.",
            )
    of_picture = _require_picture(painting, precision, available, free)
    room = _require_decoding(painting, options)
    if room is None or gpus(options.device):
        return room
    return room - max(of_styles, of_picture)


def require_memory_here(painting: Painting, options: Options) -> None:
    """The same before there is a session, whose TensorFlow takes seconds to load: only where it may matter."""
    of_machine = _require_decoding(painting, options)
    styles = [needed for precision in _needed(painting) for _, needed in _of_styles(painting, precision)]
    if of_machine is not None and max([*_needed(painting).values(), *styles]) > of_machine:
        require_memory(painting, _precision(painting), options)


def _of_styles(painting: Painting, precision: str) -> Iterator[tuple[int, int]]:
    """Of each of a picture's paintings the long side that it is used at, and the bytes that its statistics take."""
    for part, image in painting.images.items():
        if part.startswith("style-"):
            side = style_side(painting.parameters, *painting.size, max(image.width, image.height))
            size = _scaled(image.width, image.height, side)
            yield side, bytes_needed_for_style(*size, precision, painting.parameters)


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
        return bytes_of_checkpoints(*_scaled(painting.width, painting.height, side), painting.parameters)

    side = painting.parameters.image_size
    if needed(side) < LEAST_OF_DISK:
        return
    kept = storage.glance(folder / checkpoint.FILE)
    free = storage.free_bytes(folder) + (kept.st_size if kept else 0)
    if needed(side) > free:
        fits = next((smaller for smaller in range(side, 15, -16) if needed(smaller) <= max(free, LEAST_OF_DISK)), 16)
        raise JobError(
            f"the checkpoints of a picture of {side} pixels take about {needed(side) / 1e9:.1f} GB in the jobs folder,"
            f" and {free / 1e9:.1f} GB are free.",
            f"Make room, or {_smaller(painting.parameters, fits)} would fit.",
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


def _require_picture(painting: Painting, precision: str, available: int, free: str) -> int:
    """Refuse a picture that takes more; the bytes that it takes."""
    parameters = painting.parameters

    def needed(side: int) -> int:
        return bytes_needed(*_scaled(painting.width, painting.height, side), precision, parameters)

    side = parameters.image_size
    if needed(side) > available:
        fits = next((smaller for smaller in range(side, 15, -16) if needed(smaller) <= available), None)
        raise JobError(
            f"a picture of {side} pixels takes about {needed(side) / 1e9:.1f} GB of memory, and {free}.",
            f"{_smaller(parameters, fits)} would fit." if fits else "Not even the smallest picture would fit.",
        )
    return needed(side)


def _smaller(parameters: Parameters, side: int) -> str:
    """What to ask for, to have a long side of so many pixels."""
    if parameters.print is None:
        return f"image_size {side}"
    return f"dpi {int(parameters.print.dpi * side / parameters.image_size)}"


def _scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """Height and width of an image whose long side is ``side``."""
    ratio = side / max(width, height)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


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
