"""What is protected, through the installed command, with a tiny VGG-19 and the real detector of faces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from examples.portrait import portrait
from tests.conftest import Place, opened

BOX = {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}


def pictures(place: Place) -> dict[str, tuple[dict[str, Any], Any]]:
    """Run; each log and its picture, by the job's name."""
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    return {log["job"]["name"]: (log, np.asarray(opened(place.result(log)))) for log in place.logs()}


def test_a_face_stands_in_the_manifest_which_makes_the_same_picture(place: Place) -> None:
    place.pair()
    portrait(256, 288).save(place.inbox / "photo.png")
    place.manifest("a.yaml", parameters={"image_size": 96})
    log, picture = pictures(place)["a"]
    (box,) = log["manifest"]["parameters"]["protect"]
    assert [box[side] for side in ("x", "y", "width", "height")] == pytest.approx((0.36, 0.26, 0.29, 0.36), abs=0.03)
    effective = yaml.safe_load((place.outbox / log["job"]["id"] / "manifest.yaml").read_text())
    for name, protect in (("again", effective["parameters"]["protect"]), ("off", "off")):
        parameters = {**effective["parameters"], "protect": protect}
        (place.inbox / f"{name}.yaml").write_text(yaml.safe_dump({**effective, "name": name, "parameters": parameters}))
    found = pictures(place)
    np.testing.assert_array_equal(found["again"][1], picture)
    assert (found["off"][1] != picture).any()


def test_a_photo_of_nobody_is_painted_as_if_nobody_had_looked(place: Place) -> None:
    place.pair()
    for protect in ("auto", "off"):
        place.manifest(f"{protect}.yaml", parameters={"protect": protect})
    found = pictures(place)
    assert found["auto"][0]["manifest"]["parameters"]["protect"] == "off"
    np.testing.assert_array_equal(found["auto"][1], found["off"][1])


def test_a_mask_a_box_and_nothing_can_be_swept(place: Place) -> None:
    place.pair()
    mask = Image.new("L", (40, 32))
    mask.paste(255, (10, 8, 30, 24))
    mask.save(place.inbox / "mask.png")
    place.manifest("a.yaml", sweep={"protect": ["off", "mask.png", [BOX]]})
    place.manifest("mask.yaml", parameters={"protect": "mask.png"})
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    log = next(log for log in place.logs() if log["variants"])
    folder = place.outbox / log["job"]["id"]
    off, by_mask, by_box = (np.asarray(opened(folder / row["file"])) for row in log["variants"])
    assert (off != by_mask).any()
    assert (by_mask != by_box).any()
    alone = next(log for log in place.logs() if log["job"]["name"] == "mask")
    np.testing.assert_array_equal(np.asarray(opened(place.result(alone))), by_mask)
    assert alone["inputs"]["others"][0]["file"] == "mask.png"


def test_styles_that_have_places_and_what_is_protected_go_together(place: Place) -> None:
    place.pair()
    place.photo("other.png", seed=5)
    mask = Image.new("L", (40, 32))
    mask.paste(255, (0, 0, 20, 32))
    mask.save(place.inbox / "left.png")
    styles = [{"image": "painting.png", "content_mask": "left.png"}, {"image": "other.png"}]
    mask.rotate(180).save(place.inbox / "right.png")
    for name, protect in (("off", "off"), ("mask", "right.png")):
        place.manifest(f"{name}.yaml", style=styles, parameters={"protect": protect})
    found = pictures(place)
    log, picture = found["mask"]
    assert (picture != found["off"][1]).any()
    assert {part["file"] for part in log["inputs"]["others"]} == {"left.png", "right.png"}
    effective = yaml.safe_load((place.outbox / log["job"]["id"] / "manifest.yaml").read_text())
    (place.inbox / "again.yaml").write_text(yaml.safe_dump({**effective, "name": "again"}))
    np.testing.assert_array_equal(pictures(place)["again"][1], picture)


@pytest.mark.stand_in
def test_a_mask_of_a_style_folder_goes_with_each_photo(place: Place) -> None:
    folder = place.inbox / "wave"
    place.photo("wave/style.png", seed=1)
    place.photo("wave/mask.png", seed=2)
    place.photo("wave/a.png", seed=3)
    (folder / "style.yaml").write_text(
        "style: style.png\nparameters: {protect: mask.png, steps_per_epoch: 2, epochs: 1}\n"
    )
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    assert [log["status"] for log in place.logs()] == ["done"], "the mask is no photo"
    assert place.logs()[0]["inputs"]["others"][0]["file"].endswith("mask.png")


@pytest.mark.stand_in
def test_a_mask_that_is_missing_or_black_is_told(place: Place) -> None:
    place.pair()
    Image.new("L", (8, 8)).save(place.inbox / "black.png")
    for name in ("black", "gone"):
        place.manifest(f"{name}.yaml", parameters={"protect": f"{name}.png"})
    assert place.run("run", "--input-timeout", "1").returncode == 1
    errors = {log["job"]["name"]: log["error"] for log in place.logs()}
    assert errors["black"].startswith("black.png: black all over.")
    assert "gone.png" in errors["gone"]
