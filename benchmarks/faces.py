"""What becomes of faces, with and without `protect`: correlations with the photo inside each face, and of the rest.

    python -m benchmarks.faces PHOTO [PHOTO ...] --paintings PAINTING [PAINTING ...] [--size 256] [--strength 1]

Writes the pictures beside each other into benchmarks/results/. A detector of faces is no judge: it finds torn ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import filters

from benchmarks import common
from pipeline.engine import faces
from pipeline.engine.extractor import Extractor, best_precision
from pipeline.engine.faces import Face
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.pictures import color
from pipeline.pictures.protection import ellipses
from pipeline.worker.inputs import LEAST_SIDE

FACE_SIDE = 112  # pixels that a face is compared at
LAYER = "block4_conv2"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--paintings", type=Path, nargs="+", required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--strength", type=float, default=1.0)
    arguments = parser.parse_args()
    extractor = Extractor(common.load_weights().kernels, best_precision())
    stylizer = Stylizer(extractor)
    parameters = common.parameters(image_size=arguments.size, strength=arguments.strength)
    figures = []
    print("| photo, painting | edges in faces | lightness in faces | content distance of the rest |")
    for photo in arguments.photos:
        found = faces.find(common.load(photo, max(LEAST_SIDE, arguments.size)))
        content = common.load(photo, arguments.size)
        where = ellipses(found, *content.shape[:2])
        for painting in arguments.paintings:
            style = Style(common.load(painting, arguments.size), 1.0, painting.name)
            pictures = []
            for protected in (None, where):
                *_, last = stylizer.run(content, [style], parameters, protected=protected)
                pictures.append(stylizer.picture(last.state, parameters))
            rows = [_measured(extractor, content, picture, found, where) for picture in pictures]
            cells = [f"{before:.2f} → {after:.2f}" for before, after in zip(*rows, strict=True)]
            print(f"| {photo.stem}, {painting.stem} | {' | '.join(cells)} |", flush=True)
            figures.append({"photo": photo.stem, "painting": painting.stem, "off": rows[0], "faces": rows[1]})
            common.RESULTS.mkdir(exist_ok=True)
            beside = common.image(np.concatenate(pictures, 1))
            beside.save(common.RESULTS / f"faces-{photo.stem}-{painting.stem}.png")
    common.write("faces", figures)


def _measured(
    extractor: Extractor, photo: Any, picture: Any, found: list[Face], where: Any
) -> tuple[float, float, float]:
    of_faces = []
    for face in found:
        lights = [_lightness(image, face) for image in (photo, picture)]
        of_faces.append((_correlation(*map(filters.sobel, lights)), _correlation(*lights)))
    edges, lightness = np.mean(of_faces, 0) if of_faces else (np.nan, np.nan)
    features = [np.asarray(extractor.features(i[None], [LAYER])[LAYER], np.float32)[0] for i in (photo, picture)]
    height, width = features[0].shape[:2]
    rest = 1.0 - np.asarray(Image.fromarray(where).resize((width, height), Image.Resampling.BOX))[..., None]
    lost = float((rest * (features[0] - features[1]) ** 2).sum() / (rest * features[0] ** 2).sum())
    return float(edges), float(lightness), lost


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
