"""What becomes of faces, with and without `protect`: correlations with the photo inside each face, and of the rest.

    python -m benchmarks.faces [PHOTO ...] [--paintings NAME|FILE ...] [--size 384] [--strength 1] [--shared FOLDER]

PHOTO is a file, by default the portrait of FOLDER and a frame of its telephone's clip; paintings are those that
``benchmarks.strength`` knows by name, or files. The pictures lie in ``benchmarks/results/faces-<size>-<strength>/`` and
are not painted again: remove them after a change of the engine (those of `faces` alone, if it is protection's). A
detector of faces is no judge: it finds torn ones.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import filters

from benchmarks import common
from benchmarks.measures import color_distance, gram_distance
from benchmarks.strength import pictures
from pipeline.engine import faces
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.faces import Face
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.pictures import color
from pipeline.pictures.protection import ellipses
from pipeline.worker.inputs import LEAST_SIDE

FRAME = 40
FACE_SIDE = 112  # pixels that a face is compared at
LAYERS = {"content": "block4_conv2", "content5": "block5_conv2"}  # which the objective holds, each by itself
PAINTINGS = ("wash", "wave", "starry_night", "the_scream", "swirl", "glass")  # calm to loud
OF_REST = (*LAYERS, "style", "style/2", "colour")
WANTED = {"edges": 0.58, "lightness": 0.86}  # at least, in each face


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--paintings", nargs="+", default=PAINTINGS)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--shared", type=Path, default=common.HERE.parent.parent / "shared")
    arguments = parser.parse_args()
    known, _ = pictures(arguments.shared)
    size, folder = arguments.size, common.RESULTS / f"faces-{arguments.size}-{arguments.strength:g}"
    folder.mkdir(parents=True, exist_ok=True)
    kernels = common.load_weights().kernels
    stylizer, exact = Stylizer(Extractor(kernels, best_precision())), Extractor(kernels, "float32")
    parameters = common.parameters(image_size=size, strength=arguments.strength)
    figures = []
    print("| photo, painting | edges in faces | lightness in faces | of the rest: " + " | ".join(OF_REST) + " |")
    for photo in arguments.photos or [arguments.shared / "images" / "astronaut.jpg", _frame(arguments.shared, folder)]:
        found = faces.find(common.load(photo, max(LEAST_SIDE, size)))
        content = common.load(photo, size)
        where = ellipses(found, *content.shape[:2])
        for name in arguments.paintings:
            painting = common.array(known[name](), size) if name in known else common.load(Path(name), size)
            rows, shown = [], []
            for protected in (None, where):
                kept = folder / f"{photo.stem}-{Path(name).stem}-{'off' if protected is None else 'faces'}.png"
                if not kept.exists():
                    for step in stylizer.run(content, [Style(painting, 1.0, name)], parameters, protected=protected):
                        last = step  # not a list of all: each has a state
                    common.image(stylizer.picture(last.state, parameters)).save(kept)
                shown.append(common.load(kept, size))
                rest = _rest(exact, content, shown[-1], painting, where)
                rows.append({**in_faces(content, shown[-1], found), **rest})
            cells = [f"{rows[0][key]:.3g} → {rows[1][key]:.3g}" for key in rows[0]]
            print(f"| {photo.stem}, {Path(name).stem} | {' | '.join(cells)} |", flush=True)
            figures.append({"photo": photo.stem, "painting": Path(name).stem, "off": rows[0], "faces": rows[1]})
            common.image(np.concatenate(shown, 1)).save(folder / f"{photo.stem}-{Path(name).stem}.png")
    print("\n".join(_verdict(figures)))
    common.write(f"faces-{size}-{arguments.strength:g}", figures)


def _frame(shared: Path, folder: Path) -> Path:
    """Frame ``FRAME`` of the clip of a man who speaks in a car, as ``folder/carphone.png``."""
    import av

    path = folder / "carphone.png"
    with av.open(shared / "clips" / "carphone.mp4") as clip:
        frame = next(itertools.islice(clip.decode(video=0), FRAME, None))
        Image.fromarray(frame.to_ndarray(format="rgb24")).save(path)
    return path


def in_faces(photo: Any, picture: Any, found: list[Face]) -> dict[str, float]:
    """Correlations with the photo, of Sobel magnitudes and of the lightness: means over the faces."""
    of_faces = []
    for face in found:
        lights = [_lightness(image, face) for image in (photo, picture)]
        of_faces.append((_correlation(*map(filters.sobel, lights)), _correlation(*lights)))
    edges, lightness = np.mean(of_faces, 0) if of_faces else (np.nan, np.nan)
    return {"edges": float(edges), "lightness": float(lightness)}


def _rest(extractor: Extractor, photo: Any, picture: Any, painting: Any, where: Any) -> dict[str, float]:
    """Of what lies outside the map: ``OF_REST``, content distances, Gram distances and the colours'."""
    rest = 1.0 - where
    of_both = [extractor.features(image[None], list(LAYERS.values())) for image in (picture, photo)]
    content = {}
    for name, layer in LAYERS.items():
        found, target = (np.asarray(features[layer])[0] for features in of_both)
        shares = np.asarray(Image.fromarray(rest).resize(found.shape[1::-1], Image.Resampling.BOX))[..., None]
        content[name] = float((shares * (found - target) ** 2).sum() / (shares * target**2).sum())
    return {
        **content,
        "style": gram_distance(extractor, picture, painting, 1.0, rest),
        "style/2": gram_distance(extractor, picture, painting, 0.5, rest),
        "colour": color_distance(picture[rest > 0.5][None], painting),
    }


def _verdict(figures: list[dict[str, Any]]) -> list[str]:
    """The worst of each measure over all pairs, beside what is wanted."""
    lines = [
        f"{key} in faces: {min(figure['faces'][key] for figure in figures):.2f} at least, wanted {least}"
        for key, least in WANTED.items()
    ]
    for key in OF_REST:
        changes = [figure["faces"][key] / figure["off"][key] - 1 for figure in figures]
        lines.append(f"{key} of the rest: {min(changes):+.1%} to {max(changes):+.1%}, mean {np.mean(changes):+.1%}")
    return lines


def _lightness(image: Any, face: Face) -> Any:
    height, width = image.shape[:2]
    left, top = round(face.x * width), round(face.y * height)
    box = (left, top, left + round(face.width * width), top + round(face.height * height))
    cut = common.image(image).crop(box).resize((FACE_SIDE, FACE_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(cut, np.float32) / 255 @ color.LUMA


def _correlation(one: Any, other: Any) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


if __name__ == "__main__":
    main()
