"""Whether one `strength` means the same for any painting: content distances over paintings, photos and strengths.

    python -m benchmarks.strength [--size 192] [--paintings night ...] [--photos harbour ...] [--shared FOLDER]
        [--classifier FILE]

Prints ``‖F − F_c‖² / ‖F_c‖²`` at block4_conv2 and block5_conv2 for each, their spread at each strength, and the part of
the time that went into finding the weight; draws ``docs/tuning/strength.jpg`` and a sheet of all paintings for each
photo, ``benchmarks/results/strength-<photo>.jpg``. The classifier is VGG-19 whole in Keras's HDF5 layout: with it the
class that a photo is taken for is looked for among its pictures' likeliest ten. FOLDER has more paintings and photos in
``images/``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from benchmarks.measures import measures
from benchmarks.paintings import PAINTINGS
from examples.draw import harbour
from pipeline.engine import weights
from pipeline.engine.classify import Classifier
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.pictures.contact import contact_sheet

SHEET = common.HERE.parent / "docs" / "tuning" / "strength.jpg"
STRENGTHS = (0.5, 1.0, 2.0)
SHOWN_PHOTO, SHOWN = "harbour", ("night", "ink", "swirl", "poster", "glass")  # on the sheet
SURE = 0.5  # probability from which a photo's class is looked for in its pictures
MORE_PAINTINGS, MORE_PHOTOS = ("starry_night", "the_scream", "wave"), ("tubingen", "chicago")
TILE = 240


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--paintings", nargs="+")
    parser.add_argument("--photos", nargs="+")
    parser.add_argument("--shared", type=Path, default=common.HERE.parent.parent / "shared")
    parser.add_argument("--classifier", type=Path)
    arguments = parser.parse_args()
    paintings, photos = pictures(arguments.shared)
    kernels = common.load_weights().kernels
    exact, stylizer = Extractor(kernels, "float32"), Stylizer(Extractor(kernels, best_precision()))
    classifier = None
    if arguments.classifier:
        classifier = Classifier(exact, weights.load_classifier(arguments.classifier, Path(), print).dense)
    painting_names = arguments.paintings or list(paintings)
    figures: list[dict[str, Any]] = []
    for photo_name in arguments.photos or photos:
        photo = common.array(photos[photo_name](), arguments.size)
        likeliest, probability = classifier.top(photo, 1)[0] if classifier else ("", 0.0)
        shown: dict[tuple[str, float], Image.Image] = {}
        for painting_name, strength in itertools.product(painting_names, STRENGTHS):
            painting = common.array(paintings[painting_name](), arguments.size)
            picture, figure = _paint(stylizer, photo, Style(painting, 1.0, painting_name), strength)
            figure = {"photo": photo_name, "painting": painting_name, **figure}
            figure |= measures(exact, picture, photo, painting)
            if classifier and probability >= SURE:
                figure["recognised"] = likeliest in {name for name, _ in classifier.top(picture, 10)}
            figures.append(figure)
            shown[painting_name, strength] = common.image(picture)
            print(
                f"{photo_name:10} {painting_name:13} {strength:3g}  block4_conv2 {figure['content']:.2f}"
                f"  block5_conv2 {figure['content5']:.2f}  correlation {figure['correlation']:.2f}"
                f"  colour {figure['colour']:4.1f}  {figure.get('recognised', '')}",
                flush=True,
            )
        common.RESULTS.mkdir(exist_ok=True)
        _sheet(shown, painting_names).save(common.RESULTS / f"strength-{photo_name}.jpg", quality=92)
        if photo_name == SHOWN_PHOTO:
            _sheet(shown, SHOWN).save(SHEET, quality=86)
    print("\n".join(spreads(figures)))
    common.write("strength", figures)


def _paint(stylizer: Stylizer, photo: Any, style: Style, strength: float) -> tuple[Any, dict[str, Any]]:
    """A picture of 75 steps at two scales, and how long it took to find its weight and to paint it."""
    size = max(photo.shape[:2])
    asked = common.parameters(strength=strength, image_size=size, pyramid={size // 2: 50, size: 25})
    begun = time.perf_counter()
    parameters = stylizer.settled(photo, [style], asked)
    found = time.perf_counter()
    for step in stylizer.run(photo, [style], parameters):
        last = step
    seconds = {"settling_seconds": found - begun, "seconds": time.perf_counter() - begun}
    return (
        stylizer.picture(last.state, parameters),
        {"strength": strength, "style_weight": parameters.style_weight, **seconds},
    )


def _sheet(shown: dict[tuple[str, float], Image.Image], names: Sequence[str]) -> Image.Image:
    """A row of pictures for each strength."""
    tiles = [("", shown.get((name, strength))) for strength in STRENGTHS for name in names]
    return contact_sheet(tiles, len(names), TILE, names, [f"strength {strength:g}" for strength in STRENGTHS])


def spreads(figures: list[dict[str, Any]]) -> list[str]:
    """At each strength the lowest, median and highest content distance, and the photos that are recognised still; the
    part of the time that the weight took."""
    lines = []
    for strength in STRENGTHS:
        of_strength = [figure for figure in figures if figure["strength"] == strength]
        parts = []
        for layer, key in (("block4_conv2", "content"), ("block5_conv2", "content5")):
            found = sorted(figure[key] for figure in of_strength)
            middle = statistics.median(found)
            parts.append(f"{layer} {found[0]:.2f} {middle:.2f} {found[-1]:.2f} ({found[-1] / found[0]:.1f} : 1)")
        recognised = [figure["recognised"] for figure in of_strength if "recognised" in figure]
        if recognised:
            parts.append(f"recognised {sum(recognised)} of {len(recognised)}")
        lines.append(f"strength {strength:g}: " + ", ".join(parts))
    shares = [figure["settling_seconds"] / figure["seconds"] for figure in figures]
    lines.append(f"finding the weight: {statistics.median(shares):.1%} of a picture's time, {max(shares):.1%} at most")
    return lines


def pictures(shared: Path) -> tuple[dict[str, Callable[[], Image.Image]], dict[str, Callable[[], Image.Image]]]:
    """Paintings and photos by name, each a function that gives it; those of ``shared`` where they are there."""
    from skimage import data

    def opened(name: str) -> Callable[[], Image.Image]:
        return lambda: Image.open(shared / "images" / f"{name}.jpg").convert("RGB")

    def there(names: tuple[str, ...]) -> dict[str, Callable[[], Image.Image]]:
        return {name: opened(name) for name in names if (shared / "images" / f"{name}.jpg").exists()}

    photos = {"harbour": harbour, "espresso": lambda: Image.fromarray(data.coffee())}
    photos["cat"] = lambda: Image.fromarray(data.chelsea())
    return {**PAINTINGS, **there(MORE_PAINTINGS)}, {**photos, **there(MORE_PHOTOS)}


if __name__ == "__main__":
    main()
