"""The function to call: as the folder's way, without a folder."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import stylistic
from pipeline.engine.targets import TargetStore
from pipeline.errors import ImageError, ManifestError, UsageError
from tests.conftest import ROOT, Place, opened, picture

SMALL: dict[str, Any] = {"image_size": 64, "style_size": 64, "epochs": 1, "steps_per_epoch": 6, "device": "cpu"}


@pytest.fixture(autouse=True)
def _weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLISTIC_WEIGHTS", str(tiny_weights))


def test_it_paints_what_the_folder_paints(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters={"strength": 1.5})
    done = place.run("run", environment={"TF_NUM_INTRAOP_THREADS": ""})
    assert done.returncode == 0, done.stderr
    (log,) = place.logs()
    painted = stylistic.paint(place.inbox / "photo.png", str(place.inbox / "painting.png"), strength=1.5, **SMALL)
    np.testing.assert_array_equal(np.asarray(painted), np.asarray(opened(place.result(log))))
    assert painted.losses == stylistic.losses(place.outbox / log["job"]["id"]) == log["loss"]
    assert painted.parameters == log["manifest"]["parameters"]


def test_pictures_and_arrays_are_as_good_as_files(tmp_path: Path) -> None:
    photo, painting = picture(seed=1), picture(seed=2)
    photo.save(tmp_path / "photo.png")
    by_file = np.asarray(stylistic.paint(tmp_path / "photo.png", painting, **SMALL))
    np.testing.assert_array_equal(np.asarray(stylistic.paint(photo, np.asarray(painting), **SMALL)), by_file)
    floats = np.asarray(photo, np.float32) / 255
    styles = [{"image": painting, "weight": 2}]
    np.testing.assert_array_equal(np.asarray(stylistic.paint(floats, styles, **SMALL)), by_file)


@pytest.mark.parametrize("mode", ["L", "RGBA", "HSV", "La", "RGBa"])
def test_grey_alpha_and_modes_that_no_file_has_are_painted(mode: str) -> None:
    photo = picture(seed=1)
    if mode in ("La", "RGBa"):
        photo.putalpha(photo.convert("L"))
        photo = photo.convert(mode.upper())
    painted = stylistic.paint(photo.convert(mode), picture(seed=2), **SMALL)
    assert painted.mode == ("RGBA" if "A" in mode.upper() else "RGB")
    if mode in ("L", "RGBA"):
        by_array = stylistic.paint(np.asarray(photo.convert(mode)), picture(seed=2), **SMALL)
        np.testing.assert_array_equal(np.asarray(by_array), np.asarray(painted))


def test_a_tensor_is_an_array() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.asarray(picture(seed=1))

    painted = stylistic.paint(cast("Any", Tensor()), picture(seed=2), **SMALL)
    by_picture = stylistic.paint(picture(seed=1), picture(seed=2), **SMALL)
    np.testing.assert_array_equal(np.asarray(painted), np.asarray(by_picture))


def test_pictures_on_the_way_end_with_the_result(tmp_path: Path) -> None:
    given = list(stylistic.steps(picture(seed=1), picture(seed=2), every=2, **SMALL))
    assert [step.number for step in given] == [2, 4, 6]
    assert [step.result is None for step in given] == [True, True, False]
    assert given[0].picture.size == given[-1].picture.size == (64, 51)
    assert (np.asarray(given[0].picture) != np.asarray(given[-1].picture)).any()
    result = given[-1].result
    assert result is not None
    assert result.losses["total"][-1] == given[-1].losses["total"]


def test_a_way_that_is_left_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in stylistic.steps(picture(seed=1), picture(seed=2), **SMALL):
        assert os.listdir(tmp_path)
        break
    gc.collect()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        ("photo.png", {"style_wieght": 1}, "did you mean `style_weight`"),
        ("photo.png", {"preset": "nihgt"}, "preset"),
        ("photo.png", {"image_size": 3}, "image_size"),
        ("photo.png", {"protect": "face"}, "did you mean `faces`"),
        (["photo.png"], {}, "content"),
    ],
)
def test_a_field_that_cannot_be_is_told_as_of_a_manifest(content: Any, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as refused:
        stylistic.paint(content, "painting.png", **fields)
    assert said in str(refused.value)


def test_a_mask_of_what_is_protected_may_be_a_picture_or_an_array(tmp_path: Path) -> None:
    mask = Image.new("L", (40, 32))
    mask.paste(255, (10, 8, 30, 24))
    mask.save(tmp_path / "mask.png")
    photo, painting = picture(seed=1), picture(seed=2)
    by_file = np.asarray(stylistic.paint(photo, painting, protect=tmp_path / "mask.png", **SMALL))
    np.testing.assert_array_equal(np.asarray(stylistic.paint(photo, painting, protect=mask, **SMALL)), by_file)
    by_array = stylistic.paint(photo, painting, parameters={"protect": np.asarray(mask)}, **SMALL)
    np.testing.assert_array_equal(np.asarray(by_array), by_file)
    assert (by_file != np.asarray(stylistic.paint(photo, painting, protect="off", **SMALL))).any()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"device": "GPU"}, "device='GPU': must be auto, cpu or gpu"),
        ({"device": "cuda"}, "device='cuda': must be auto, cpu or gpu"),
        ({"every": "2"}, "every='2': must be a whole number of steps"),
        ({"every": -1}, "every=-1: must be a whole number of steps"),
        ({"frames": True}, "frames=True: a clip is many pictures"),
        ({"start": 1}, "start=1: a clip is many pictures"),
        ({"sweep": {"strength": [1]}}, "A sweep is many pictures"),
        ({"parameters": "draft"}, "`parameters`: must be lines of `key: value`, not 'draft'"),
    ],
)
def test_what_a_call_cannot_do_is_told(fields: dict[str, Any], said: str) -> None:
    with pytest.raises((UsageError, ManifestError)) as refused:
        next(stylistic.steps("photo.png", "painting.png", **fields))
    assert said in str(refused.value)


def test_the_fields_of_a_result_that_say_nothing_are_taken() -> None:
    said: dict[str, Any] = {"frames": False, "start": None, "end": None, "sweep": None, "parameters": None}
    assert stylistic.paint(picture(seed=1), picture(seed=2), **said, **SMALL).size == (64, 51)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nowhere.png", "nowhere.png: No such file"),
        (np.zeros((4, 4, 2)), "must be \\[H, W, 3\\]"),
        (np.zeros((1, 4, 4, 3)), "must be \\[H, W, 3\\]"),
        (b"\x89PNG", "a bytes is no picture"),
        (np.full((4, 4, 3), 2.0), "floats in \\[0, 1\\]"),
        (np.full((4, 4, 3), np.nan), "floats in \\[0, 1\\]"),
        (np.zeros((4, 4, 3), np.int64), "must be uint8"),
    ],
)
def test_an_image_that_cannot_be_is_told(content: Any, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        stylistic.paint(content, picture(seed=2), **SMALL)


def test_what_is_no_result_has_no_losses(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no result"):
        stylistic.losses(tmp_path)


def test_a_turned_photo_is_painted_upright() -> None:
    photo = picture(80, 40, seed=1)
    photo.getexif()[0x0112] = 6
    assert stylistic.paint(photo, picture(seed=2), **SMALL).size == (32, 64)


def test_a_result_is_a_picture_like_any(tmp_path: Path) -> None:
    stylistic.paint(picture(seed=1), picture(seed=2), **SMALL).convert("L").save(tmp_path / "grey.png")
    assert opened(tmp_path / "grey.png").size == (64, 51)


def test_the_notebook_of_the_examples_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells one after another; they need nothing of a notebook."""
    monkeypatch.chdir(ROOT / "examples")
    names: dict[str, Any] = {}
    for cell in json.loads(Path("painting.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["picture"].size == (128, 96)
    assert len(names["way"]) == 2


def test_calls_of_several_threads_make_the_pictures_that_they_make_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine keeps for the next picture is never another's: the photos are of one size."""
    busy = threading.Lock()
    at = TargetStore.at

    def alone(self: TargetStore, *given: Any) -> Any:
        assert busy.acquire(blocking=False), "two calls are in the engine at once"
        try:
            time.sleep(0.01)  # in which another thread would come
            return at(self, *given)
        finally:
            busy.release()

    photos = [picture(seed=seed) for seed in (1, 2, 3, 4)]
    wanted = [np.asarray(stylistic.paint(photo, picture(seed=9), **SMALL)) for photo in photos]
    monkeypatch.setattr(TargetStore, "at", alone)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda photo: np.asarray(stylistic.paint(photo, picture(seed=9), **SMALL)), photos))
    np.testing.assert_array_equal(found, wanted)
