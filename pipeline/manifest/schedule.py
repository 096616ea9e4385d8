"""The sizes that a picture runs at, coarse to fine, and the steps at each: what costs time and memory."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.manifest.parameters import Parameters

LARGE = {"float32": 2_500_000, "bfloat16": 5_000_000}  # pixels, by the precision
PAIRS, FEWER_PAIRS = 10, 3  # of L-BFGS's history, which is most of what a large picture takes
FEWER_FROM = 2**20  # pixels
FEW_STEPS = 12  # after which one pair has done as well as any number
COARSEST_SIDE = 128  # pixels; below it an automatic pyramid gains nothing


def block(layer: str) -> int:
    """The block (1 to 5) that a layer name such as ``block4_conv2`` belongs to."""
    return int(layer[len("block") : layer.index("_")])


def is_large(height: int, width: int, precision: str) -> bool:
    """Whether a picture is painted in strips. By its size and precision alone: the same job gives the same bytes."""
    return height * width > LARGE[precision]


def style_side(parameters: Parameters, height: int, width: int, own: int) -> int:
    """Pixels of a painting's long side beside a picture of a height and a width, where its file has ``own``.

    Beside a large picture it is not enlarged, but for larger strokes: blur would be its finest strokes.
    """
    asked = max(1, round(parameters.style_size * parameters.style_scale))
    if height * width <= LARGE["float32"]:
        return asked
    return min(asked, max(1, round(own * max(1.0, parameters.style_scale))))


def lbfgs_pairs(height: int, width: int, steps: int) -> int:
    """How many moves L-BFGS remembers of a picture that gets so many steps."""
    if height * width <= FEWER_FROM:
        return PAIRS
    return FEWER_PAIRS if steps > FEW_STEPS else 1


def smallest_side(layers: Collection[str]) -> int:
    """Pixels that the short side of an image needs, so that pooling leaves something at the deepest of ``layers``."""
    return 1 << (max(block(layer) for layer in layers) - 1)


def schedule(parameters: Parameters, height: int, width: int) -> list[tuple[int, int]]:
    """Scales, coarse to fine, as (long side in pixels, steps); steps add up to ``parameters.steps``.

    ``auto`` halves the long side as long as it keeps ``COARSEST_SIDE`` pixels and the short side what the layers need,
    and gives each scale twice the steps of the next: a step there costs a quarter. A list of sides shares them evenly.
    The finest gets what division leaves over. Steps that are given for sides beyond the image's are run at its own.
    """
    side, short = max(height, width), min(height, width)
    pyramid = parameters.pyramid
    if isinstance(pyramid, dict):
        coarser = [(s, steps) for s, steps in pyramid.items() if s < side]
        rest = parameters.steps - sum(steps for _, steps in coarser)
        return [*coarser, (side, rest)] if rest else [*coarser[:-1], (side, coarser[-1][1])]
    sides = [side]
    if pyramid == "auto":
        while sides[0] // 2 >= COARSEST_SIDE and short * sides[0] // 2 >= smallest_side(parameters.layers) * side:
            sides.insert(0, sides[0] // 2)
    elif pyramid != "off":
        sides = [*(s for s in pyramid if s < side), side]
    total = parameters.steps
    sides = sides[-total:]
    parts = [2**k if pyramid == "auto" else 1 for k in reversed(range(len(sides)))]
    shares = [total * part // sum(parts) for part in parts[:-1]]
    return list(zip(sides, [*shares, total - sum(shares)], strict=True))
