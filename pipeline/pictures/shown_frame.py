"""A frame of a video as it is shown: upright, in sRGB, of square pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.pictures.color_tags import SRGB, of_code_points
from pipeline.pictures.images import NEUTRAL

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream

BT709, _BT601, _HD_HEIGHT = 1, 5, 720  # H.273's matrices; without a word, which one is meant goes by the height
MOST_ASPECT = 4  # of a pixel

Levels = npt.NDArray[np.uint8]


def size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height as a frame is shown: its pixels made square, and turned."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width = max(1, round(frame.width * aspect)) if 1 / MOST_ASPECT <= aspect <= MOST_ASPECT else frame.width
    return (frame.height, width) if frame.rotation % 180 else (width, frame.height)


def levels(frame: VideoFrame, width: int, height: int) -> Levels:
    """A frame upright, in sRGB, without alpha, at a size."""
    has_alpha = any(component.is_alpha for component in frame.format.components)
    bits = max(component.bits for component in frame.format.components)
    space = of_code_points(frame.color_primaries, frame.color_trc) or SRGB
    kind = ("rgba64le" if has_alpha else "rgb48le") if bits > 8 else ("rgba" if has_alpha else "rgb24")
    matrix = frame.colorspace if frame.colorspace in (1, 4, 5, 6, 7, 9, 10) else None
    if matrix is None:
        matrix = BT709 if frame.height >= _HD_HEIGHT else _BT601
    pixels = frame.to_ndarray(format=kind, src_colorspace=matrix, interpolation="BICUBIC")
    rgb, alpha = pixels[..., :3], pixels[..., 3:]
    top = 65535 if bits > 8 else 255
    if not space.is_srgb:
        rgb = space.to_srgb(np.ascontiguousarray(rgb), top)
    elif bits > 8:
        rgb = np.rint(rgb / 257.0).astype(np.uint8)
    if has_alpha:
        share = alpha / np.float32(top)
        rgb = np.rint(rgb * share + np.array(NEUTRAL, np.float32) * (1.0 - share)).astype(np.uint8)
    return resized(np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4)), width, height)


def resized(levels: Levels, width: int, height: int) -> Levels:
    """A frame at another size, by Lanczos's filter; at its own it stays as it is."""
    if levels.shape[:2] == (height, width):
        return levels
    return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.LANCZOS))
