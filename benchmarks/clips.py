"""How much a painted clip flickers, beside the same frames painted one by one.

    python -m benchmarks.clips [--size 192] [--frames 10] [--clips bigbuckbunny ...] [--paintings swirl ...]

Of each clip, painting and way: ``near`` and ``far``, the flicker (``pipeline.engine.sequence.flicker``) from the first
frame to the second and from the last but one to the last, and between these pairs, eight frames apart where there are
ten; style and content distance of the last three of these four, as ``benchmarks.measures`` has them; how far the mean
of pixels at rest drifts after the first frame, of 255; the processor's seconds a frame but the first. In brackets: as
parts of those painted one by one, of which there are these four only. Strips are left in ``benchmarks/results/clips/``:
the clip, then of each way the frames and eight times the differences of neighbours.

The ways: ``single``, one by one; ``start``, each from the last picture, moved, without a temporal loss; ``last``, with
it; ``flow``, with it from three frames, as clips are painted; ``difference``, without any flow, from what changes in
the clip itself (arXiv:2102.05822).
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from benchmarks.measures import gram_distance, measures
from benchmarks.strength import pictures
from pipeline.engine import flow, sequence
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.sequence import Frame
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.pictures import clips

Start = tuple[Any, tuple[Any, Any] | None]  # a frame's, and what it is to stay near to
STILL_PIXELS, STILL_LEVELS = 0.3, 4 / 255  # what moves or changes less is at rest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--clips", nargs="+", default=["bigbuckbunny", "carphone"])
    parser.add_argument("--paintings", nargs="+", default=["swirl", "the_scream", "wave"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["single", "start", "flow", "difference"])
    parser.add_argument("--steps", type=int, default=25, help="of each frame but the first")
    parser.add_argument("--weight", type=float, default=3e8, help="of the temporal loss")
    parser.add_argument("--shared", type=Path, default=common.HERE.parent.parent / "shared")
    arguments = parser.parse_args()
    paintings, _ = pictures(arguments.shared)
    kernels = common.load_weights().kernels
    stylizer, exact = Stylizer(Extractor(kernels, best_precision())), Extractor(kernels, "float32")
    figures = []
    for clip in arguments.clips:
        photos = _frames(arguments.shared / "clips" / f"{clip}.mp4", arguments)
        for name in arguments.paintings:
            painting = common.array(paintings[name](), arguments.size)
            strips = [np.concatenate(photos, 1)]
            single: dict[str, float] = {}
            for way in arguments.ways:
                painted, seconds = _painted(stylizer, photos, Style(painting, 1.0, name), way, arguments)
                found = _figures(exact, painted, painting, seconds)
                single = single or found
                figures.append({"clip": clip, "painting": name, "way": way, **found})
                told = "  ".join(
                    f"{key} {value:.4g} ({value / (single[key] or 1):.2f})" for key, value in found.items()
                )
                print(f"{clip:13} {name:11} {way:11} {told}", flush=True)
                if way != "single":
                    strips += _strips([frame.painted for frame in painted])
            place = common.RESULTS / "clips"
            place.mkdir(parents=True, exist_ok=True)
            common.image(np.concatenate(strips, 0)).save(place / f"{clip}-{name}-{arguments.size}.png")
    common.write(f"clips-{arguments.size}", figures)


def _frames(path: Path, arguments: argparse.Namespace) -> list[Any]:
    with path.open("rb") as file:
        coming = clips.frames_of(file, path.name, 10**9, arguments.size)
        read = [filmed.levels for filmed, _ in zip(coming, range(arguments.first + arguments.frames), strict=False)]
    return [levels.astype(np.float32) / 255 for levels in read[arguments.first :]]


def _painted(
    stylizer: Stylizer, photos: list[Any], painting: Style, way: str, arguments: argparse.Namespace
) -> tuple[list[Frame], float]:
    """The frames, and the processor's seconds of each but the first."""
    full = stylizer.settled(photos[0], [painting], common.parameters(image_size=arguments.size))
    short = full.model_copy(update={"pyramid": "off", "epochs": 1, "steps_per_epoch": arguments.steps})
    done: list[Frame] = []
    seconds = []
    for photo in photos if way != "single" else [*photos[:2], *photos[-2:]]:
        begun = time.process_time()
        given = WAYS[way](photo, done, arguments.weight) if done else None
        start, anchor = given or (None, None)
        *_, last = stylizer.run(photo, [painting], short if given else full, start=start, anchor=anchor)
        picture = np.round(stylizer.picture(last.state, full) * 255) / np.float32(255)
        seconds.append(time.process_time() - begun)
        done.append(Frame(photo, picture))
    return done, float(np.mean(seconds[1:]))


def _alone(photo: Any, done: list[Frame], weight: float) -> Start | None:
    return None


def _moved(ago: tuple[int, ...], with_loss: bool) -> Callable[[Any, list[Frame], float], Start | None]:
    def given(photo: Any, done: list[Frame], weight: float) -> Start | None:
        kept = sequence.kept(photo, {number: done[-number] for number in ago if number <= len(done)})
        if kept is None:
            return None
        return kept.start, (kept.picture, kept.where * np.float32(weight)) if with_loss else None

    return given


def _difference(photo: Any, done: list[Frame], weight: float) -> Start:
    picture = done[-1].painted + photo - done[-1].photo
    return np.clip(picture, 0.0, 1.0), (picture, np.full(photo.shape[:2], weight, np.float32))


WAYS = {
    "single": _alone,
    "start": _moved((1,), with_loss=False),
    "last": _moved((1,), with_loss=True),
    "flow": _moved(sequence.AGO, with_loss=True),
    "difference": _difference,
}


def _figures(exact: Extractor, painted: list[Frame], painting: Any, seconds: float) -> dict[str, float]:
    first, second, *_, last_but_one, last = painted
    still = np.ones(first.photo.shape[:2], bool)
    for before, after in itertools.pairwise(painted):
        still &= np.abs(flow.estimate(before.photo, after.photo)).max(-1) < STILL_PIXELS
        still &= np.abs(after.photo - first.photo).max(-1) < STILL_LEVELS
    means = np.array([frame.painted[still].mean() if still.any() else 0.0 for frame in painted[1:]])
    judged = (second, last_but_one, last)
    return {
        "near": (sequence.flicker(first, second) + sequence.flicker(last_but_one, last)) / 2,
        "far": (sequence.flicker(first, last_but_one) + sequence.flicker(second, last)) / 2,
        "style": float(np.mean([gram_distance(exact, frame.painted, painting) for frame in judged])),
        "content": float(np.mean([measures(exact, f.painted, f.photo, painting)["content"] for f in judged])),
        "drift": float(255 * np.abs(means - means[0]).max()),
        "still": float(still.mean()),
        "seconds": seconds,
    }


def _strips(pictures: list[Any]) -> list[Any]:
    changes = [np.clip(0.5 + 8 * (after - before), 0, 1) for before, after in itertools.pairwise(pictures)]
    return [np.concatenate(pictures, 1), np.concatenate([np.full_like(pictures[0], 0.5), *changes], 1)]


if __name__ == "__main__":
    main()
