"""Ours beside other recipes, by numbers that none of them optimises, and by eyes that do not know which is which.

    python -m benchmarks.others [--size 256] [--pairs harbour-swirl ...] [--shared FOLDER]
    python -m benchmarks.others --votes FILE ...

Paints each pair by the tutorial's recipe and by ours, as ``benchmarks/results/others-<size>/<pair>-<recipe>.png``; what
is there is not painted again. A picture of another program that is put there by such a name is measured with the rest;
``inputs/`` has what it should start from. ``blind/index.html`` there shows them by twos, shuffled, without names, and
gives a file of votes, which ``--votes`` counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from benchmarks.faces import in_faces
from benchmarks.measures import independent_measures
from benchmarks.sheets import paint, painted
from benchmarks.strength import pictures
from pipeline.engine import faces
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.pictures.protection import ellipses

OURS = "standard"
RECIPES = ("tutorial", OURS)
PAIRS = ("harbour-swirl", "harbour-woodcut", "harbour-dots", "portrait-starry_night", "portrait-wave")
MORE_PAIRS = ("tubingen-starry_night", "tubingen-wave", "chicago-the_scream")
SELF = "swirl-swirl"  # a painting as photo and style at once, which should stay itself
PAGE, KEY = "index.html", "key.json"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--pairs", nargs="+")
    parser.add_argument("--shared", type=Path, default=common.HERE.parent.parent / "shared")
    parser.add_argument("--votes", type=Path, nargs="+")
    arguments = parser.parse_args()
    folder = common.RESULTS / f"others-{arguments.size}"
    if arguments.votes:
        print("\n".join(counted(folder / "blind", arguments.votes)))
        return
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    images = _images(arguments.shared)
    kernels = common.load_weights().kernels
    stylizer, exact = Stylizer(Extractor(kernels, best_precision())), Extractor(kernels, "float32")
    figures = []
    there = [pair for pair in (*PAIRS, *MORE_PAIRS) if set(pair.split("-")) <= images.keys()]
    for pair in arguments.pairs or [*there, SELF]:
        photo, painting = (common.array(images[name](), arguments.size) for name in pair.split("-"))
        for recipe in RECIPES:
            kept = folder / f"{pair}-{recipe}.png"
            if not kept.exists():
                _paint(stylizer, photo, painting, pair, recipe, kept)
        for what, image in (("photo", photo), ("painting", painting)):
            common.image(image).save(folder / "inputs" / f"{pair}-{what}.png")
        for recipe in _recipes(folder, pair):
            figure = _measured(exact, folder / f"{pair}-{recipe}.png", photo, painting, pair == SELF)
            figures.append({"pair": pair, "recipe": recipe, **figure})
            line = "  ".join(f"{key} {value:.3g}" for key, value in figure.items())
            print(f"{pair:22} {recipe:9} {line}", flush=True)
    print("\n".join(_means(figures)))
    common.write(f"others-{arguments.size}", figures)
    print(blind_page(folder, sorted({figure["pair"] for figure in figures} - {SELF})))


def _images(shared: Path) -> dict[str, Any]:
    """Photos and paintings by name, a portrait among them."""
    from skimage import data

    paintings, photos = pictures(shared)
    return {**paintings, **photos, "portrait": lambda: Image.fromarray(data.astronaut())}


def _paint(stylizer: Stylizer, photo: Any, painting: Any, pair: str, recipe: str, target: Path) -> None:
    """As the command would, faces looked for."""
    found = faces.find(photo) if recipe == OURS else []
    protected = ellipses(found, *photo.shape[:2]) if found else None
    paint(stylizer, photo, Style(painting, 1.0, pair), recipe, target, protected)


def _recipes(folder: Path, pair: str) -> list[str]:
    """Those that a pair has a picture of."""
    return sorted(path.stem.removeprefix(f"{pair}-") for path in folder.glob(f"{pair}-*.png"))


def _measured(extractor: Extractor, path: Path, photo: Any, painting: Any, is_self: bool) -> dict[str, float]:
    picture, seconds = painted(path)
    if picture.shape != photo.shape:  # another program may round otherwise
        height, width = photo.shape[:2]
        picture = np.asarray(common.image(picture).resize((width, height), Image.Resampling.LANCZOS), np.float32) / 255
    if is_self:
        return {"psnr": -10 * math.log10(float(np.mean((picture - photo) ** 2)) or 1e-10), "seconds": seconds}
    of_faces = in_faces(photo, picture, faces.find(photo))
    return {
        "seconds": seconds,
        **independent_measures(extractor, picture, photo, painting),
        **{f"face {key}": value for key, value in of_faces.items() if not math.isnan(value)},
    }


def _means(figures: list[dict[str, Any]]) -> list[str]:
    """Of each recipe over the pairs that it has painted."""
    lines = []
    for recipe in sorted({figure["recipe"] for figure in figures}):
        own = [figure for figure in figures if figure["recipe"] == recipe]
        keys = dict.fromkeys(key for figure in own for key in figure if key not in ("pair", "recipe"))
        means = {key: np.nanmean([figure[key] for figure in own if key in figure]) for key in keys}
        line = "  ".join(f"{key} {value:.3g}" for key, value in means.items())
        lines.append(f"{f'all {len(own)}':22} {recipe:9} {line}")
    return lines


def blind_page(folder: Path, pairs: list[str]) -> Path:
    """Write the page of blind pairs of our picture and each other one into ``folder/blind``, and give its path.

    A picture is named there by its digest, which tells nobody what it is, and is the same when the page is made again.
    ``key.json`` has what each is: look at it afterwards.
    """
    blind = folder / "blind"
    blind.mkdir(exist_ok=True)
    key: dict[str, list[str]] = {}
    questions = []

    def hidden(pair: str, recipe: str) -> str:
        source = folder / f"{pair}-{recipe}.png"
        name = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
        with Image.open(source) as image:  # without what it says of itself
            image.convert("RGB").save(blind / f"{name}.png")
        key[name] = [pair, recipe]
        return name

    for pair in pairs:
        for what in ("photo", "painting"):
            shutil.copy(folder / "inputs" / f"{pair}-{what}.png", blind)
        for other in _recipes(folder, pair):
            if other != OURS:
                given = {what: f"{pair}-{what}.png" for what in ("photo", "painting")}
                questions.append({**given, "pictures": [hidden(pair, recipe) for recipe in (OURS, other)]})
    page = (common.HERE / "blind.html").read_text(encoding="utf-8")
    page = page.replace("const QUESTIONS = [];", f"const QUESTIONS = {json.dumps(questions)};")
    (blind / PAGE).write_text(page, encoding="utf-8")
    (blind / KEY).write_text(json.dumps(key, indent=1), encoding="utf-8")
    return blind / PAGE


def counted(blind: Path, files: list[Path]) -> list[str]:
    """How often ours was chosen before each other recipe, in files of votes."""
    key = json.loads((blind / KEY).read_text(encoding="utf-8"))
    tally: Counter[tuple[str, str]] = Counter()
    for file in files:
        for vote in json.loads(file.read_text(encoding="utf-8"))["votes"]:
            recipes = [key[name][1] for name in vote["pictures"]]
            (other,) = (recipe for recipe in recipes if recipe != OURS)
            tally[other, "neither" if vote["chosen"] is None else key[vote["chosen"]][1]] += 1
    return [
        f"beside {other}: {OURS} {tally[other, OURS]}, {other} {tally[other, other]}, neither {tally[other, 'neither']}"
        for other in sorted({other for other, _ in tally})
    ]


if __name__ == "__main__":
    main()
