from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from examples.portrait import portrait as drawn_portrait
from pipeline.engine import faces
from tests.conftest import opened, picture


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), np.float32) / 255


def portrait(shared: Path) -> Image.Image:
    return opened(shared / "images" / "astronaut.jpg").convert("RGB")


def test_a_face_is_found_where_it_is(shared: Path) -> None:
    (face,) = faces.find(array(portrait(shared)))
    assert face == pytest.approx((0.35, 0.12, 0.17, 0.22), abs=0.03)


def test_a_drawn_face_is_found_where_it_is() -> None:
    (face,) = faces.find(array(drawn_portrait(256, 288)))
    assert face == pytest.approx((0.36, 0.26, 0.29, 0.36), abs=0.03)


def test_small_faces_and_a_face_that_fills_the_picture_are_found(shared: Path) -> None:
    head = portrait(shared).crop((150, 20, 300, 200))
    group = opened(shared / "images" / "tubingen.jpg").convert("RGB").resize((512, 384))
    for place, size in enumerate([(36, 43), (60, 72)]):
        group.paste(head.resize(size, Image.Resampling.LANCZOS), (100 + 200 * place, 250))
    first, second = faces.find(array(group))
    assert (first.x, second.x) == pytest.approx((112 / 512, 320 / 512), abs=0.03)
    (large,) = faces.find(array(portrait(shared).crop((165, 50, 280, 180)).resize((460, 520))))
    assert large.width > 0.6


def test_each_face_of_a_crowd_is_found_and_none_is_compared_with_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    head = drawn_portrait(256, 288).convert("RGB").resize((36, 40), Image.Resampling.LANCZOS)
    crowd = np.tile(array(head), (12, 12, 1))
    faces.find(crowd[:80, :72])
    tracemalloc.start()
    found = faces.find(crowd)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    centres = {(int(12 * (face.x + face.width / 2)), int(12 * (face.y + face.height / 2))) for face in found}
    assert len(found) == len(centres) == 144
    assert peak < 50e6, "of 1,400 places; what each has in common with each of the others takes 150 MB"
    monkeypatch.setattr(faces, "MOST_BOXES", 100)
    assert len(faces.find(crowd)) == 100, "as many as a manifest may name"


@pytest.mark.parametrize("size", [(1, 1), (24, 24), (300, 3), (320, 240)])
def test_what_shows_nobody_has_no_face(size: tuple[int, int]) -> None:
    assert faces.find(array(picture(*size, seed=1))) == []
    assert faces.find(np.zeros((size[1], size[0], 3), np.float32)) == []


def test_paintings_and_views_have_none(shared: Path) -> None:
    for name in ("starry_night", "wave", "tubingen", "chicago"):
        view = opened(shared / "images" / f"{name}.jpg").convert("RGB")
        view.thumbnail((512, 512))
        assert faces.find(array(view)) == [], name


def test_a_face_that_is_cut_off_to_nothing_at_an_edge_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"box": box} for box in ([40, 10, 20, 30], [100, 10, 0, 30], [5, 80, 20, 0], [-9, 10, 0, 0])]
    detector = SimpleNamespace(detect_faces=lambda pixels: found)
    monkeypatch.setattr(faces, "_detector", lambda: detector)
    assert faces.find(np.zeros((80, 100, 3), np.float32)) == [(0.4, 0.125, 0.2, 0.375)]
