"""How much memory a picture takes while it is painted, and how much disk its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipeline.errors import JobError
from pipeline.forecast.work import Painting, Source
from pipeline.manifest.parameters import CONTENT_SHARES, STYLE_SHARES, Parameters
from pipeline.manifest.schedule import block, is_large, lbfgs_pairs, schedule, style_side

MUCH = 2_000_000_000  # bytes, that are told
# Bytes that a step of Adam takes for each pixel where the whole is done at once: with some room over what
# benchmarks/memory.py measures, as the kernel ends a process that takes more than there is.
BYTES_PER_PIXEL = {
    ("gram", "float32"): 2300,
    ("gram", "bfloat16"): 1250,
    ("wasserstein", "float32"): 2650,
    ("wasserstein", "bfloat16"): 1750,
}
BYTES_PER_PIXEL_OF_LBFGS = 300  # its history
# Of each layer that is looked at beside the usual ones, for 64 channels at full size; for each region that a painting
# has to itself all style layers are looked at once more. Measured at 256 px: 150 to 180, 380 to 470.
BYTES_PER_PIXEL_OF_CONTENT_LAYER, BYTES_PER_PIXEL_OF_STYLE_LAYER = 200, 450
BYTES_PER_PIXEL_OF_REGION = 8  # its masks
# Likewise in strips: of a strip, whatever the picture's size, and for each pixel; with L-BFGS for each pair, too.
IN_STRIPS = {"float32": (2_000_000_000, 530), "bfloat16": (1_100_000_000, 210)}
OF_EACH_PAIR = 55
# Of a painting while its statistics are computed; measured at 2048 px. Without a gradient nothing is kept.
BYTES_PER_PIXEL_OF_STYLE = {
    ("gram", "float32"): 700,
    ("gram", "bfloat16"): 400,
    ("wasserstein", "float32"): 700,
    ("wasserstein", "bfloat16"): 1050,
}
STYLE_IN_STRIPS = {"float32": (1_200_000_000, 160), "bfloat16": (700_000_000, 90)}


def bytes_of(painting: Painting, precision: str) -> int:
    """``bytes_needed`` of a picture."""
    return bytes_needed(*painting.size, precision, painting.parameters, painting.regions)


def bytes_needed(height: int, width: int, precision: str, parameters: Parameters, regions: int = 1) -> int:
    """About how much memory a run takes beyond the extractor, in bytes, with so many style losses of their own."""
    is_lbfgs = parameters.optimizer == "lbfgs"
    of_heads, usual = _further_heads(parameters, regions), BYTES_PER_PIXEL[parameters.style_loss, precision]
    if is_large(height, width, precision):
        of_strip, each = IN_STRIPS[precision]
        of_lbfgs = OF_EACH_PAIR * _pairs(height, width, parameters)
        each += BYTES_PER_PIXEL_OF_REGION * (regions - 1)
        return of_strip * (usual + of_heads) // usual + height * width * (each + is_lbfgs * of_lbfgs)
    return height * width * (usual + of_heads + is_lbfgs * BYTES_PER_PIXEL_OF_LBFGS)


def _further_heads(parameters: Parameters, regions: int) -> int:
    """Bytes a pixel of the layers that are looked at beside the usual ones."""
    content = CONTENT_SHARES if parameters.content_layers == "auto" else parameters.content_layers
    style = STYLE_SHARES if parameters.style_layers == "auto" else parameters.style_layers
    of_content = BYTES_PER_PIXEL_OF_CONTENT_LAYER * (_part_of_full(content) - _part_of_full(CONTENT_SHARES))
    of_style = BYTES_PER_PIXEL_OF_STYLE_LAYER * (regions * _part_of_full(style) - _part_of_full(STYLE_SHARES))
    return round(max(0.0, of_content + of_style))


def _part_of_full(layers: Iterable[str]) -> float:
    """The activations of layers, of which ``block1_conv1`` counts 1."""
    numbers = [block(layer) - 1 for layer in layers]
    return sum(min(2.0**number, 8.0) / 4.0**number for number in numbers)


def require_room(painting: Painting, precision: str, available: int, told: str) -> int:
    """Refuse a picture that takes more memory than is available, or one of whose paintings does.

    Args:
        painting: the picture.
        precision: in which it is painted.
        available: bytes.
        told: a few words for them, such as ``24.0 GB are free``.

    Returns:
        The bytes that it takes.

    Raises:
        JobError: it takes more.
    """
    for side, of_style in _of_styles(painting, precision):
        if of_style(side) > available:
            fits = _fitting(of_style, side, available)
            raise JobError(
                f"a painting of {side} pixels takes about {of_style(side) / 1e9:.1f} GB of memory, and {told}.",
                f"style_size × style_scale of {fits} would fit." if fits else "Not even the smallest would fit.",
            )

    def of_picture(side: int) -> int:
        size = scaled(painting.width, painting.height, side)
        return bytes_needed(*size, precision, painting.parameters, painting.regions)

    side = painting.parameters.image_size
    if of_picture(side) > available:
        fits = _fitting(of_picture, side, available)
        raise JobError(
            f"a picture of {side} pixels takes about {of_picture(side) / 1e9:.1f} GB of memory, and {told}.",
            f"{smaller(painting.parameters, fits)} would fit." if fits else "Not even the smallest picture would fit.",
        )
    return bytes_at_once(painting, precision)


def bytes_at_once(painting: Painting, precision: str) -> int:
    """The most that a picture takes, or the statistics of one of its paintings."""
    return max([bytes_of(painting, precision), *(taken(side) for side, taken in _of_styles(painting, precision))])


def _of_styles(painting: Painting, precision: str) -> Iterator[tuple[int, Callable[[int], int]]]:
    """Of each of a picture's paintings the long side that it is used at, and the bytes that its statistics take by
    that."""
    for part, image in painting.images.items():
        if part.startswith("style-"):

            def taken(side: int, image: Source = image) -> int:
                size = scaled(image.width, image.height, side)
                return bytes_needed_for_style(*size, precision, painting.parameters)

            yield style_side(painting.parameters, *painting.size, max(image.width, image.height)), taken


def _fitting(needed: Callable[[int], int], side: int, available: int) -> int | None:
    """The largest side that fits, in steps of 16; in strips a picture may take less than a smaller one without."""
    return next((one for one in range(side // 16 * 16, 15, -16) if needed(one) <= available), None)


def smaller(parameters: Parameters, side: int) -> str:
    """What to ask for, to have a long side of so many pixels."""
    if parameters.print is None:
        return f"image_size {side}"
    return f"dpi {int(parameters.print.dpi * side / parameters.image_size)}"


def scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """Height and width of an image whose long side is ``side``."""
    ratio = side / max(width, height)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def bytes_of_checkpoints(height: int, width: int, parameters: Parameters) -> int:
    """How much disk a run's checkpoints take, the last beside the next, in bytes: the optimizer's state."""
    images = 3  # Adam's: the picture and two moments
    if parameters.optimizer == "lbfgs":
        images = 4 + 2 * _pairs(height, width, parameters)
    return 2 * images * height * width * 3 * 4


def _pairs(height: int, width: int, parameters: Parameters) -> int:
    """Those of L-BFGS at the last scale, which takes most."""
    return lbfgs_pairs(height, width, schedule(parameters, height, width)[-1][1])


def bytes_needed_for_style(height: int, width: int, precision: str, parameters: Parameters) -> int:
    """About how much memory a painting's statistics take while they are computed, in bytes."""
    if is_large(height, width, precision):
        of_strip, each = STYLE_IN_STRIPS[precision]
        return of_strip + height * width * each
    return height * width * BYTES_PER_PIXEL_OF_STYLE[parameters.style_loss, precision]
