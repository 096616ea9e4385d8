"""What moves between two frames of a clip, how far that can be trusted, and what a frame is to keep of the one before.

Flow is ``[H, W, 2]`` float32, x and y in pixels: what is at p in the later frame was at p + w(p) in the earlier one.
Images are RGB ``[H, W, 3]`` float32 in [0, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.engine.scales import Image

Flow = npt.NDArray[np.float32]
LEAST_SIDE = 16  # pixels; with less OpenCV ends the process


class Anchor(NamedTuple):
    """A picture ``[H, W, 3]`` that another is to stay near to, and how much at each pixel, ``[H, W]`` float32."""

    picture: Image
    weight: Image


def estimate(earlier: Image, later: Image) -> Flow:
    """Where what is seen in ``later`` was in ``earlier``, by dense inverse search (Kroeger et al. 2016,
    https://arxiv.org/abs/1603.03590). Images that are too narrow for it are taken for still."""
    height, width = later.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return np.zeros((height, width, 2), np.float32)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    return np.asarray(search.calc(_grey(later), _grey(earlier), None), np.float32)


def warped(image: Image, flow: Flow) -> Image:
    """An image or another field ``[H, W, …]`` of the earlier frame, moved to where the later one has it."""
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    # In a clip each picture is the last one moved: by bilinear ones it grows dull, by OpenCV's bicubic too crisp.
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE), np.float32)


def reliability(flow: Flow, back: Flow) -> Image:
    """Where flow can be trusted, ``[H, W]``, 1 or 0 (Ruder et al. 2016, https://arxiv.org/abs/1604.08610, eq. 5 to 7).

    It is not where the way back leads elsewhere, ``|w + ŵ|² > 0.01 (|w|² + |ŵ|²) + 0.5``, at the edges of what moves,
    ``|∇w|² > 0.01 |w|² + 0.002``, and where something has come in from outside the picture.

    Args:
        flow: w, from the later frame to the earlier one.
        back: from the earlier to the later; ŵ is that where w leads to.
    """
    height, width = flow.shape[:2]
    returned = warped(back, flow)
    length = np.square(flow).sum(-1)
    returns = np.square(flow + returned).sum(-1) <= 0.01 * (length + np.square(returned).sum(-1)) + 0.5
    slope = sum(np.square(part).sum(-1) for part in np.gradient(flow, axis=(0, 1)))
    is_inside = slope <= 0.01 * length + 0.002
    rows, columns = np.mgrid[:height, :width]
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    is_seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.asarray(returns & is_inside & is_seen, np.float32)


def _grey(image: Image) -> npt.NDArray[np.uint8]:
    grey: npt.NDArray[np.uint8] = np.round(image @ np.array([0.299, 0.587, 0.114], np.float32) * 255).astype(np.uint8)
    return np.ascontiguousarray(grey)
