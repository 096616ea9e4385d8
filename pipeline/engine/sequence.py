"""What a frame of a clip takes over from the frames before it, and how much two painted frames flicker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.engine import flow
from pipeline.engine.scales import Image

AGO = (1, 2, 4)  # frames that another is compared with
CUT = 0.3  # of the pixels: where fewer can be trusted another scene has begun


class Frame(NamedTuple):
    """A frame as it was filmed and as it was painted, RGB ``[H, W, 3]`` float32 in [0, 1]."""

    photo: Image
    painted: Image


class Kept(NamedTuple):
    """What of earlier frames a frame keeps."""

    start: Image  # [H, W, 3]: their paint, also where it can only be guessed where it has gone
    picture: Image  # [H, W, 3]: the same paint where that is known, of no meaning elsewhere
    where: Image  # [H, W], 1 where it is known, 0 elsewhere
    from_last: Image  # [H, W], 1 where it is that of the last frame

    def flicker(self, painted: Image) -> float:
        """``Σ c |V_t − warp(V_t−1)|² / Σ c`` of the frame as it is painted ``[H, W, 3]`` over the flow of what was
        filmed (Lai et al. 2018, https://arxiv.org/abs/1808.00449, section 4.2); 0 where nothing can be followed."""
        squares = np.square(painted - self.picture).sum(-1)
        return float((self.from_last * squares).sum() / max(1.0, float(self.from_last.sum())))


def kept(photo: Image, earlier: Mapping[int, Frame], cut: float = CUT) -> Kept | None:
    """What a frame keeps of those before it; None where another scene has begun.

    Each pixel is taken from the nearest frame in which it can be found, so that what was hidden for a moment comes back
    as it was (Ruder et al. 2016, https://arxiv.org/abs/1604.08610, section 5). Where it is found in none, the frame
    starts from the last one's paint all the same: the few steps that it gets do not paint over a photo.

    Args:
        photo: the frame, RGB ``[H, W, 3]`` float32 in [0, 1].
        earlier: painted frames by how many frames ago they were, 1 among them.
        cut: the part of the pixels under which it has.
    """
    where = np.zeros(photo.shape[:2], np.float32)
    picture, last, from_last = np.zeros_like(photo), photo, where
    for ago in sorted(earlier):
        before = earlier[ago]
        back, found = _followed(before.photo, photo)
        if ago == 1 and found.mean() < cut:
            return None
        moved, new = np.clip(flow.warped(before.painted, back), 0.0, 1.0), found * (1.0 - where)
        picture += new[..., None] * moved
        where = where + new
        last, from_last = (moved, new) if ago == 1 else (last, from_last)
    return Kept(picture + (1.0 - where[..., None]) * last, picture, where, from_last)


def is_cut(before: Image, photo: Image, cut: float = CUT) -> bool:
    """Whether another scene begins with a frame, by the one before it, as ``kept`` finds it."""
    return bool(_followed(before, photo)[1].mean() < cut)


def _followed(before: Image, photo: Image) -> tuple[flow.Flow, Image]:
    """The flow from a frame to an earlier one, and where it can be trusted."""
    back = flow.estimate(before, photo)
    return back, flow.reliability(back, flow.estimate(photo, before))


def flicker(before: Frame, after: Frame) -> float:
    """``Kept.flicker`` of two frames, whatever lies between them."""
    found = kept(after.photo, {1: before}, cut=0.0)
    assert found is not None
    return found.flicker(after.painted)
