"""Whether a job fits into the memory of the card, or of the machine."""

from __future__ import annotations

from pipeline.errors import JobError
from pipeline.forecast.memory import bytes_needed, bytes_needed_for_style
from pipeline.jobs.record import Job
from pipeline.manifest.parameters import Parameters
from pipeline.pictures.suffixes import bytes_to_decode
from pipeline.worker import card, memory
from pipeline.worker.session import Options, Session, gpus


def require_memory(job: Job, parameters: Parameters, session: Session, options: Options) -> int | None:
    """Refuse what the memory of the card, or of the machine, cannot hold: the kernel would end the process for it.

    Returns:
        The bytes that the machine has left beside the painting, where that is known.
    """
    content = job.images["content"]
    if gpus(options.device):
        available, where = card.available(options.processes_a_card), "free on the card"
        is_shared = options.processes_a_card > 1
    else:
        available, where = memory.available(options.memory_limit), "free"
        is_shared = options.memory_limit is not None
    if available is None:
        return _require_decoding(job, options)
    longest = max(content.width, content.height)
    available = max(0, available)
    free = f"{available / 1e9:.1f} GB are {'there for each worker' if is_shared else where}"

    def needed(side: int) -> int:
        height, width = (max(1, round(length * side / longest)) for length in (content.height, content.width))
        return bytes_needed(height, width, session.precision, parameters)

    style_side = round(parameters.style_size * parameters.style_scale)
    of_styles = 0
    for part, image in job.images.items():
        if part.startswith("style-"):
            ratio = style_side / max(image.width, image.height)
            size = max(1, round(image.height * ratio)), max(1, round(image.width * ratio))
            of_styles = max(of_styles, bytes_needed_for_style(*size, session.precision, parameters))
    if of_styles > available:
        raise JobError(
            f"a painting of {style_side} pixels takes about {of_styles / 1e9:.1f} GB of memory, and {free}.",
            f"style_size × style_scale of {int(style_side * (available / of_styles) ** 0.5) // 16 * 16} would fit.",
        )
    if needed(parameters.image_size) > available:
        fits = next((side for side in range(parameters.image_size, 15, -16) if needed(side) <= available), None)
        raise JobError(
            f"a picture of {parameters.image_size} pixels takes about {needed(parameters.image_size) / 1e9:.1f} GB of"
            f" memory, and {free}.",
            f"image_size {fits} would fit." if fits else "Not even the smallest picture would fit.",
        )
    room = _require_decoding(job, options)
    if room is None or gpus(options.device):
        return room
    return room - max(of_styles, needed(parameters.image_size))


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
