"""Pictures that are too narrow for the layers that look at them, or too large for a file; the size that would do."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import MAX_SIZE, MIN_SIZE, STYLE_SHARES, Parameters
from pipeline.manifest.schedule import schedule, smallest_side, style_side

Size = tuple[int, int]  # width and height, pixels


def unfit(manifest: Manifest, sizes: Mapping[str, Size]) -> str:
    """A sentence where nothing of a manifest can be painted, for a picture's shape or its size; else nothing.

    Args:
        manifest: the effective one.
        sizes: width and height of each image, by its path as the manifest writes it.
    """
    found = ""
    for run in manifest.runs():
        content = sizes[run.content]
        told = _print(run.parameters, run.content, content)
        if not told:
            parameters = run.sized(*content).parameters
            of_styles = (_style(parameters, style.image, sizes[style.image], content) for style in run.style)
            told = _content(parameters, run.content, content) or next(filter(None, of_styles), "")
        if not told:
            return ""
        found = found or told
    return found


def _print(parameters: Parameters, name: str, size: Size) -> str:
    """A print alone may be larger or smaller than pictures are: its pixels are not known before the photo is."""
    if parameters.print is None:
        return ""
    side, most, dpi = parameters.print.long_side(*size), parameters.most_size, parameters.print.dpi
    contradicts = "image_size" in parameters.model_fields_set and parameters.image_size != side
    if MIN_SIZE <= side <= most and not contradicts:
        return ""
    told = f"{name}: {size[0]}×{size[1]} pixels; `print` makes {side:,} of the long side"
    if contradicts:
        return f"{told}, and `image_size` says {parameters.image_size:,}. Leave `image_size` out."
    if side < MIN_SIZE:
        return f"{told}, and a picture has at least {MIN_SIZE}. Is the side in cm?"
    limit = f"a {parameters.output_format} has at most {most:,}"
    fits = int(dpi * most / side)
    return f"{told}, and {limit}. " + (f"dpi {fits} would do." if fits else "Ask for less paper.")


def _content(parameters: Parameters, name: str, size: Size) -> str:
    needed, side = smallest_side(parameters.layers), parameters.image_size
    width, height = _at(size, side)
    coarsest = schedule(parameters, height, width)[0][0]
    at, fits = _at(size, coarsest), _fitting(size, needed)
    if min(at) >= needed:
        return ""
    told = f"{name}: {size[0]}×{size[1]} pixels, too narrow: at"
    if coarsest < side and fits <= side:
        return f"{told} the first scale of `pyramid`, {coarsest}, it is {at[0]}×{at[1]}. {fits} would do, or `auto`."
    remedy = f"image_size {fits} would do." if fits <= MAX_SIZE else "Use a part of it that is less narrow."
    return f"{told} image_size {side} it is {width}×{height}. {remedy}"


def _style(parameters: Parameters, name: str, size: Size, content: Size) -> str:
    needed = smallest_side(STYLE_SHARES if parameters.style_layers == "auto" else parameters.style_layers)
    width, height = _at(content, parameters.image_size)
    ratio = schedule(parameters, height, width)[0][0] / max(width, height)
    asked = max(1, round(parameters.style_size * parameters.style_scale))
    side = style_side(parameters, height, width, max(size))
    if min(_at(_at(size, side), min(side, asked * ratio))) >= needed:
        return ""
    if min(_at(size, side)) < needed and side < asked:  # its own, beside a large picture
        told = f"{name}: {size[0]}×{size[1]} pixels, too narrow, as it is not enlarged beside a picture of this size."
        return f"{told} Use a larger file of it, or a part that is less narrow."
    fits = math.ceil(_fitting(size, math.ceil(needed / ratio)) / parameters.style_scale)
    remedy = f"style_size {fits} would do." if fits <= MAX_SIZE else "Use a part of it that is less narrow."
    scale = f" at the coarsest of its scales ({asked * ratio:.0f} pixels)" if ratio < 1 else ""
    return f"{name}: {size[0]}×{size[1]} pixels, too narrow at style_size {parameters.style_size}{scale}. {remedy}"


def _at(size: Size, long_side: float) -> Size:
    ratio = long_side / max(size)
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _fitting(size: Size, needed: int) -> int:
    """The long side at which the short one is as long as needed."""
    side = math.ceil((needed - 0.5) * max(size) / min(size))
    while min(_at(size, side)) < needed:
        side += 1
    return side
