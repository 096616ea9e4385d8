"""Whether a job fits into the memory of the card, or of the machine, and on its disk."""

from __future__ import annotations

from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError
from pipeline.forecast.memory import bytes_needed, bytes_needed_for_style, bytes_of_checkpoints
from pipeline.forecast.work import Painting
from pipeline.jobs import checkpoint
from pipeline.jobs.record import Job
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import style_side
from pipeline.pictures.suffixes import bytes_to_decode
from pipeline.worker import card, memory
from pipeline.worker.session import Options, Session, gpus, tensorflow

LEAST_OF_DISK = 1_000_000_000  # bytes, that are reckoned
MUCH = 2_000_000_000  # bytes of memory, that are told
PRECISIONS = ("float32", "bfloat16")


def require_memory(job: Job, parameters: Parameters, session: Session, options: Options) -> int | None:
    """Refuse what the memory of the card, or of the machine, cannot hold: the kernel would end the process for it.

    Returns:
        The bytes that the machine has left beside the painting, where that is known.
    """
    available, free = _available(options)
    if available is None:
        return _require_decoding(job, options)
    content = job.images["content"]
    picture = _scaled(content.width, content.height, parameters.image_size)
    of_styles = 0
    for part, image in job.images.items():
        if part.startswith("style-"):
            side = style_side(parameters, *picture, max(image.width, image.height))
            size = _scaled(image.width, image.height, side)
            needed = bytes_needed_for_style(*size, session.precision, parameters)
            of_styles = max(of_styles, needed)
            if needed > available:
                raise JobError(
                    f"a painting of {side} pixels takes about {needed / 1e9:.1f} GB of memory, and {free}.",
                    f"style_size × style_scale of {int(side * (available / needed) ** 0.5) // 16 * 16} would fit.",
                )
    of_picture = _require_picture(parameters, content.width, content.height, session.precision, available, free)
    room = _require_decoding(job, options)
    if room is None or gpus(options.device):
        return room
    return room - max(of_styles, of_picture)


def require_memory_for(painting: Painting, options: Options) -> None:
    """Refuse a picture that a worker here would refuse now, for its size alone."""
    of_machine = memory.available(options.memory_limit)
    if of_machine is None or max(_needed(painting).values()) <= of_machine:
        return  # nor is there need to load TensorFlow, which takes seconds
    available, free = _available(options)
    if available is not None:
        precision = _precision(painting)
        _require_picture(painting.parameters, painting.width, painting.height, precision, available, free)


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
    size = _scaled(painting.width, painting.height, painting.parameters.image_size)
    return {one: bytes_needed(*size, one, painting.parameters) for one in PRECISIONS if asked in ("auto", one)}


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


def _require_picture(parameters: Parameters, width: int, height: int, precision: str, available: int, free: str) -> int:
    """Refuse a picture that takes more; the bytes that it takes."""

    def needed(side: int) -> int:
        return bytes_needed(*_scaled(width, height, side), precision, parameters)

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


def _require_decoding(job: Job, options: Options) -> int | None:
    """Refuse an image that memory does not hold while it is decoded; the bytes that the machine has free, if known."""
    available = memory.available(options.memory_limit)
    if available is None:
        return None
    for image in job.images.values():
        needed = bytes_to_decode(image.file, image.width, image.height)
        if needed > available:
            raise JobError(
                f"{image.file}: to decode its {image.width}×{image.height} pixels takes about {needed / 1e9:.1f} GB of"
                f" memory, and {max(0, available) / 1e9:.1f} GB are free.",
                "Make it smaller first.",
            )
    return available
