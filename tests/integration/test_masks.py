"""Styles by region, through the installed command."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from pipeline.engine import objective
from pipeline.engine.extractor import Extractor
from tests.conftest import Place, opened, per_position, tiny_kernels

STRONG = {
    "content_weight": 0.0,
    "style_weight": 1e4,
    "style_loss": "gram",
    "total_variation_weight": 0.0,
    "steps_per_epoch": 40,
}
LAYERS = ["block1_conv1", "block2_conv1"]


def texture(kind: str) -> Any:
    """Red stripes across, or blue dots."""
    y, x = np.mgrid[0:64, 0:64]
    pattern = (np.sin(y * 1.2) > 0) if kind == "stripes" else ((x % 8 < 4) & (y % 8 < 4))
    ink = np.array([220, 60, 40] if kind == "stripes" else [40, 70, 220])
    return np.where(pattern[..., None], ink, 230).astype(np.uint8)


def gram_distance(extractor: Extractor, picture: Any, style: Any) -> float:
    """Of Gram matrices, summed over the layers."""
    found = [
        extractor.features(tf.constant(image[None].astype(np.float32) / 255), LAYERS) for image in (picture, style)
    ]
    of_picture, of_style = (
        [per_position(objective.gram_sums, features[layer]) for layer in LAYERS] for features in found
    )
    return float(tf.reduce_sum(objective.gram_distances(of_picture, of_style)))


def test_each_region_follows_its_own_style(place: Place) -> None:
    for kind in ("stripes", "dots"):
        Image.fromarray(texture(kind)).save(place.inbox / f"{kind}.png")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(place.inbox / "photo.png")
    left = np.zeros((64, 64), np.uint8)
    left[:, :32] = 255
    Image.fromarray(left).save(place.inbox / "left.png")
    Image.fromarray(255 - left).save(place.inbox / "right.png")
    styles = [
        {"image": "stripes.png", "content_mask": "left.png"},
        {"image": "dots.png", "content_mask": "right.png"},
    ]
    for optimizer in ("lbfgs", "adam"):
        parameters = {**STRONG, "init": "noise", "style_layers": LAYERS, "optimizer": optimizer}
        place.manifest(f"{optimizer}.yaml", style=styles, parameters=parameters)
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    extractor = Extractor(tiny_kernels(), "float32")
    for log in place.logs():
        picture = np.asarray(opened(place.result(log)).convert("RGB"))
        for half, own, other in ((picture[:, :28], "stripes", "dots"), (picture[:, 36:], "dots", "stripes")):
            near, far = (gram_distance(extractor, half, texture(kind)) for kind in (own, other))
            assert near < 0.5 * far, (log["job"]["name"], own)
    assert {part["file"] for part in log["inputs"]["others"]} == {"left.png", "right.png"}


def test_a_part_of_the_painting_is_taken(place: Place) -> None:
    both = np.concatenate([texture("stripes"), texture("dots")], axis=1)
    Image.fromarray(both).save(place.inbox / "both.png")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(place.inbox / "photo.png")
    mask = np.zeros((64, 128), np.uint8)
    mask[:, :64] = 255
    Image.fromarray(mask).save(place.inbox / "stripes-only.png")
    style = [{"image": "both.png", "style_mask": "stripes-only.png"}]
    parameters = {**STRONG, "init": "noise", "style_layers": LAYERS, "style_size": 128}
    place.manifest("a.yaml", style=style, parameters=parameters)
    assert place.run("run").returncode == 0
    (log,) = place.logs()
    picture = np.asarray(opened(place.result(log)).convert("RGB"))
    extractor = Extractor(tiny_kernels(), "float32")
    near, far = (gram_distance(extractor, picture, texture(kind)) for kind in ("stripes", "dots"))
    assert near < 0.5 * far


def test_a_mask_that_lets_nothing_in_is_told(place: Place) -> None:
    place.pair()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(place.inbox / "black.png")
    place.manifest("a.yaml", style=[{"image": "painting.png", "content_mask": "black.png"}])
    assert place.run("run").returncode == 1
    (log,) = place.logs()
    assert "black.png: black all over. White is where" in log["error"]
