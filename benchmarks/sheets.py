"""Side by side: the tutorial recipe and each preset, on pairs of pictures that the project draws itself.

    python -m benchmarks.sheets [--size 384] [--pairs harbour-swirl ...]

Writes ``docs/sheets/<pair>.jpg``, with the seconds that each took, and prints how far each is from the style at
several scales and from the content; at the end, as parts of the tutorial's. A distance is the tutorial's loss,
evaluated in float32 and without weights.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from examples.draw import glass, harbour, swirl
from pipeline.engine import objective
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.stylize import Style, Stylizer
from pipeline.manifest.parameters import CONTENT_LAYERS, STYLE_LAYERS
from pipeline.pictures.contact import contact_sheet

SHEETS = common.HERE.parent / "docs" / "sheets"
# The tutorial's recipe in the precision that is fast here: within 1.5 % of float32, so the same picture.
PRESETS = {"tutorial": {"precision": "auto"}, "draft": {}, "standard": {}, "fine": {}}
TILE = 300  # pixels of a picture's long side on a sheet


def dots(width: int = 768, height: int = 608) -> Image.Image:
    """Points of pure colour, warm over cool, around a bright path: nothing is mixed but in the eye."""
    rng = np.random.default_rng(3)
    image = Image.new("RGB", (width * 2, height * 2), (236, 226, 200))
    draw = ImageDraw.Draw(image)
    cool = [(40, 70, 150), (60, 120, 90), (110, 80, 160), (30, 110, 150), (70, 150, 110)]
    warm = [(240, 180, 60), (230, 120, 60), (250, 220, 140), (220, 90, 90), (245, 240, 220)]
    for _ in range(26_000):
        x, y = rng.random(2)
        path = abs(y - 0.55 - 0.22 * math.sin(5 * x + 0.6))
        colors = warm if rng.random() < math.exp(-((path / 0.16) ** 2)) * 0.9 + 0.08 else cool
        red, green, blue = (int(np.clip(c + rng.normal(0, 14), 0, 255)) for c in colors[rng.integers(len(colors))])
        radius = rng.uniform(6, 12)
        center = (x * width * 2, y * height * 2)
        box = [center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius]
        draw.ellipse(box, fill=(red, green, blue))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def woodcut(width: int = 768, height: int = 608) -> Image.Image:
    """Waves cut in wood: bands of parallel lines, thick in the troughs, in three inks on paper."""
    y, x = np.mgrid[0 : height * 2, 0 : width * 2].astype(np.float64)
    u, v = x / width, y / height
    height_of = v + 0.16 * np.sin(3.1 * u + 0.8) + 0.07 * np.sin(7.3 * u - 2 * v) + 0.03 * np.sin(17 * u + 5 * v)
    lines = 0.5 + 0.5 * np.sin(2 * np.pi * height_of * 26)
    tone = 0.5 + 0.45 * np.sin(2 * np.pi * height_of * 2.2 + 1.5 * np.sin(4 * u))
    ink = np.clip((lines - (1 - tone)) * 14 + 0.5, 0, 1)[..., None]
    band = np.floor(height_of * 2.2 + 0.25).astype(int) % 3
    inks = np.array([[24, 40, 66], [150, 44, 38], [34, 88, 92]], np.float64)[band]
    paper = np.array([238, 226, 196]) + np.random.default_rng(2).normal(0, 4, (height * 2, width * 2, 1))
    pixels = np.clip(paper * (1 - ink) + inks * ink, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)


PAIRS: dict[str, tuple[Callable[[], Image.Image], Callable[[], Image.Image]]] = {
    "harbour-swirl": (harbour, swirl),
    "harbour-glass": (harbour, glass),
    "harbour-dots": (harbour, dots),
    "harbour-woodcut": (harbour, woodcut),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    arguments = parser.parse_args()
    SHEETS.mkdir(exist_ok=True)
    kernels = common.load_weights().kernels
    stylizer = Stylizer(Extractor(kernels, best_precision()))
    exact = Extractor(kernels, "float32")
    figures = []
    for pair in arguments.pairs:
        content, style = (_array(draw(), arguments.size) for draw in PAIRS[pair])
        tiles = [("content", content), ("style", style)]
        for preset, changes in PRESETS.items():
            parameters = common.parameters(preset=preset, image_size=arguments.size, **changes)
            begun = time.perf_counter()
            for step in stylizer.run(content, [Style(style, 1.0, pair)], parameters):
                last = step
            seconds = time.perf_counter() - begun
            picture = stylizer.picture(last.state, parameters)
            tiles.append((f"{preset}, {seconds:.0f} s", picture))
            distances = _distances(exact, picture, content, style)
            figures.append({"pair": pair, "preset": preset, "seconds": seconds, **distances})
            print(
                f"{pair:16} {preset:9} {seconds:6.0f} s  " + "  ".join(f"{k} {v:.3g}" for k, v in distances.items()),
                flush=True,
            )
        pictures = [(caption, Image.fromarray((tile * 255).round().astype(np.uint8))) for caption, tile in tiles]
        contact_sheet(pictures, 3, TILE).save(SHEETS / f"{pair}.jpg", quality=86)
    for preset in PRESETS:
        print(
            f"{'all':16} {preset:9} "
            + "  ".join(f"{k} {v:.2f}" for k, v in _times_the_tutorials(figures, preset).items())
        )
    common.write("sheets", figures)


def _times_the_tutorials(figures: list[dict[str, Any]], preset: str) -> dict[str, float]:
    """Each measure of a preset over the tutorial's, as the geometric mean of the pairs."""
    of_tutorial = {figure["pair"]: figure for figure in figures if figure["preset"] == "tutorial"}
    ours = [figure for figure in figures if figure["preset"] == preset]
    measures = [key for key in ours[0] if key not in ("pair", "preset")]
    return {
        key: statistics.geometric_mean(figure[key] / of_tutorial[figure["pair"]][key] for figure in ours)
        for key in measures
    }


def _array(picture: Image.Image, side: int) -> Any:
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32) / 255


def _distances(extractor: Extractor, picture: Any, content: Any, style: Any) -> dict[str, float]:
    """The style's at the full size, a half and a quarter of it, and the content's."""

    def summary(image: Any, ratio: float) -> dict[str, Any]:
        size = [round(side * ratio) for side in image.shape[:2]]
        scaled = tf.image.resize(image[None], size, "area")
        return extractor.features(scaled, [*STYLE_LAYERS, *CONTENT_LAYERS])

    ones = tf.ones([len(STYLE_LAYERS)])
    found = {}
    for name, ratio in (("style", 1.0), ("style/2", 0.5), ("style/4", 0.25)):
        of_picture, of_style = summary(picture, ratio), summary(style, ratio)
        grams = [
            [objective.gram_matrix(features[layer]) for layer in STYLE_LAYERS] for features in (of_picture, of_style)
        ]
        found[name] = float(objective.style_loss(grams[0], grams[1], ones))
    features, targets = ([summary(image, 1.0)[layer] for layer in CONTENT_LAYERS] for image in (picture, content))
    found["content"] = float(objective.content_loss(features, targets, tf.ones([1])))
    return found


if __name__ == "__main__":
    main()
