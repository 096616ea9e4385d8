"""Side by side: the tutorial recipe and each preset, on pairs of pictures.

    python -m benchmarks.sheets [--size 256] [--pairs harbour-swirl ...] [--shared FOLDER] [--presets standard ...]

Draws a sheet for each pair, at full size and with the processor's seconds that each picture took, and prints the
figures of ``benchmarks.measures``; at the end their means, Gram distances and seconds as parts of the tutorial's.
Sheets of our own pairs with every preset are ``docs/sheets/<pair>.jpg``; others, as those of FOLDER's ``images/``, are
left in ``benchmarks/results/<size>/``. There lie the pictures too, and those that are there are not painted again:
remove them after a change of the engine, all but the tutorial's, which takes most of the time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from benchmarks.measures import measures
from benchmarks.strength import pictures
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.pictures.contact import contact_sheet

SHEETS = common.HERE.parent / "docs" / "sheets"
# The tutorial's recipe in the precision that is fast here: within 1.5 % of float32, so the same picture.
PRESETS: dict[str, dict[str, Any]] = {"tutorial": {"precision": "auto"}, "draft": {}, "standard": {}, "fine": {}}
PAIRS = ("harbour-swirl", "harbour-glass", "harbour-dots", "harbour-woodcut")
MORE_PAIRS = ("tubingen-starry_night", "tubingen-the_scream", "chicago-wave", "chicago-starry_night")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--pairs", nargs="+")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--shared", type=Path, default=common.HERE.parent.parent / "shared")
    arguments = parser.parse_args()
    paintings, photos = pictures(arguments.shared)
    there = [*PAIRS, *(pair for pair in MORE_PAIRS if pair.split("-")[0] in photos)]
    kernels = common.load_weights().kernels
    stylizer, exact = Stylizer(Extractor(kernels, best_precision())), Extractor(kernels, "float32")
    figures = []
    for pair in arguments.pairs or there:
        photo_name, painting_name = pair.split("-")
        photo = common.array(photos[photo_name](), arguments.size)
        painting = common.array(paintings[painting_name](), arguments.size)
        tiles = [("content", common.image(photo)), ("style", common.image(painting))]
        folder = common.RESULTS / str(arguments.size)
        folder.mkdir(parents=True, exist_ok=True)
        for preset in arguments.presets:
            kept = folder / f"{pair}-{preset}.png"
            if not kept.exists():
                paint(stylizer, photo, Style(painting, 1.0, pair), preset, kept)
            picture, seconds = painted(kept)
            tiles.append((f"{preset}, {seconds:.0f} s", common.image(picture)))
            found = {"seconds": seconds, **measures(exact, picture, photo, painting)}
            figures.append({"pair": pair, "preset": preset, **found})
            print(f"{pair:22} {preset:9} " + _line(found), flush=True)
        is_shown = pair in PAIRS and arguments.presets == list(PRESETS)
        sheet = (SHEETS if is_shown else folder) / f"{pair}.jpg"
        contact_sheet(tiles, 3, arguments.size).save(sheet, quality=86)
    for preset in arguments.presets:
        print(f"{'all':22} {preset:9} " + _line(_means(figures, preset)))
    common.write(f"sheets-{arguments.size}", figures)


def paint(
    stylizer: Stylizer, photo: Any, style: Style, preset: str, target: Path, protected: Any | None = None
) -> None:
    """Paint a picture into a PNG that says how many of the processor's seconds it took."""
    parameters = common.parameters(preset=preset, image_size=max(photo.shape[:2]), **PRESETS[preset])
    begun = time.process_time()
    for step in stylizer.run(photo, [style], parameters, protected=protected):
        last = step
    about = PngInfo()
    about.add_text("seconds", f"{time.process_time() - begun:.1f}")
    common.image(stylizer.picture(last.state, parameters)).save(target, pnginfo=about)


def painted(path: Path) -> tuple[Any, float]:
    """A picture that ``paint`` has left, and its seconds."""
    with Image.open(path) as picture:
        return common.array(picture, max(picture.size)), float(picture.info["seconds"])


def _means(figures: list[dict[str, Any]], preset: str) -> dict[str, float]:
    """Of a preset's measures over the pairs; of Gram distances and seconds, as parts of the tutorial's, geometric."""
    ours = [figure for figure in figures if figure["preset"] == preset]
    of_tutorial = {figure["pair"]: figure for figure in figures if figure["preset"] == "tutorial"}
    found = {}
    for key in ours[0].keys() - {"pair", "preset"}:
        if of_tutorial and key in ("seconds", "style", "style/2", "style/4"):
            found[key] = statistics.geometric_mean(figure[key] / of_tutorial[figure["pair"]][key] for figure in ours)
        else:
            found[key] = statistics.fmean(figure[key] for figure in ours)
    return {key: found[key] for key in ours[0] if key in found}


def _line(found: dict[str, float]) -> str:
    return "  ".join(f"{key} {value:.3g}" for key, value in found.items())


if __name__ == "__main__":
    main()
