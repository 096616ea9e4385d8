"""What VGG-19 sees, noise, colours and advice, through the installed command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.conftest import ROOT, Place, opened
from tests.pictures import test_color_tags as color_files
from tests.pictures.test_advice import ODD

with_classifier = pytest.mark.xdist_group("classifier")  # of one process: it is made once


@pytest.fixture(scope="session")
def whole_vgg19(shared: Path) -> Iterator[Path]:
    """VGG-19 with its classifier as Keras's HDF5 file, in memory where that goes: half a gigabyte holds up a disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        path = Path(folder, "vgg19.h5")
        subprocess.run([sys.executable, shared / "weights" / "make_keras_h5.py", path], check=True, capture_output=True)
        yield path


def inspect(place: Place, *arguments: str) -> list[dict[str, Any]]:
    done = place.run("inspect", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout, parse_constant=lambda constant: pytest.fail(constant))
    return found


def photo(place: Place, name: str, grain: float = 0.0) -> str:
    pixels = getattr(data, name)() + np.random.default_rng(0).normal(0, grain, getattr(data, name)().shape)
    path = place.root / f"{name}-{grain:g}.png"
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return str(path)


@with_classifier
def test_vgg19_recognises_a_cat_an_espresso_and_a_rocket(place: Place, whole_vgg19: Path) -> None:
    photos = [photo(place, name) for name in ("chelsea", "coffee", "rocket")]
    cat, espresso, rocket = inspect(place, *photos, "--weights", str(whole_vgg19))
    assert cat["classes"][0][0] in ("Egyptian cat", "tabby", "tiger cat")
    assert espresso["classes"][0][0] == "espresso"
    assert "missile" in [name for name, _ in rocket["classes"]]
    for found in (cat, espresso, rocket):
        probabilities = [probability for _, probability in found["classes"]]
        assert len(probabilities) == 5
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0.5 < sum(probabilities) <= 1.0001
    advice = {suggestion["parameter"]: suggestion for suggestion in espresso["suggestions"]}
    assert advice["content_layers"]["value"] == ["block5_conv2"]
    assert "espresso" in advice["content_layers"]["reason"]


@with_classifier
def test_the_deeper_the_layer_the_less_is_kept(place: Place, whole_vgg19: Path) -> None:
    arguments = ["--layers", "--image-size", "64", "--weights", str(whole_vgg19)]
    (found,) = inspect(place, photo(place, "coffee"), *arguments)
    kept = {survival["layer"]: survival["kept"] for survival in found["layers"]}
    assert kept["block1_conv2"] >= 2
    assert kept["block1_conv2"] > kept["block5_conv3"]
    assert opened(place.root / "coffee-0.layers.png").width > 4 * 64


def test_without_a_classifier_the_rest_is_told(place: Place) -> None:
    clean, noisy = inspect(
        place, photo(place, "chelsea"), photo(place, "chelsea", grain=15), "--no-classifier", "--image-size", "451"
    )
    assert clean["classes"] is None
    assert clean["noise"] < 2
    assert noisy["noise"] == pytest.approx(15, abs=3)
    for found, least in ((clean, 0.0), (noisy, 0.4)):
        advice = {suggestion["parameter"]: suggestion["value"] for suggestion in found["suggestions"]}
        assert advice["denoise"] >= least
        assert (advice["denoise"] == 0.0) is (least == 0.0)
    table = place.run("inspect", "--no-classifier", photo(place, "chelsea"))
    assert "451×300, runs at 512×341" in table.stdout
    assert "moderately coloured" in table.stdout


def test_nothing_is_fetched_that_was_not_asked_for(real_place: Place) -> None:
    nothing_there = {"XDG_CACHE_HOME": str(real_place.root / "cache")}
    done = real_place.run("inspect", photo(real_place, "chelsea"), environment=nothing_there)
    assert (done.returncode, done.stderr) == (0, "")
    assert "moderately coloured" in done.stdout
    assert not (real_place.root / "cache").exists()


def test_a_classifier_that_cannot_be_had_is_told(place: Place) -> None:
    done = place.run("inspect", photo(place, "chelsea"), "--weights", str(place.environment["STYLISTIC_WEIGHTS"]))
    assert done.returncode == 0
    assert "VGG-19 without its classifier" in done.stderr
    assert "noise" in done.stdout


def test_a_file_that_is_no_image_is_told(place: Place) -> None:
    (place.root / "text.png").write_text("no image at all, but some text")
    done = place.run("inspect", "--no-classifier", "text.png")
    assert done.returncode != 0
    assert "not an image of a known format" in done.stderr


def test_each_command_that_looks_takes_each_picture_of_the_project(place: Place) -> None:
    pictures = sorted(map(str, [*ROOT.glob("examples/*/*.jpg"), *ROOT.glob("docs/*.jpg")]))
    assert len(pictures) >= 5
    assert [found["file"] for found in inspect(place, "--no-classes", *pictures)] == pictures
    for command in (
        ["inspect", "--no-classes", *pictures],
        ["submit", "--dry-run", *pictures, "--style", pictures[0]],
        ["submit", "--dry-run", pictures[0], "--style", *pictures],
        ["submit", *pictures, "--style", pictures[-1]],
        ["check", *map(str, ROOT.glob("examples/*/job.yaml"))],
    ):
        done = place.run(*command)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    submitted = sorted(map(str, place.inbox.glob("*/job.yaml")))
    assert len(submitted) == len(pictures)
    assert place.run("check", *submitted).returncode == 0


def test_an_odd_picture_is_told_in_json_and_painted_with_all_that_is_chosen_by_it(place: Place) -> None:
    """Such as one of a single colour, as photo and as painting."""
    for what, image in ODD.items():
        image.save(place.photo(f"{what}.png"))
    found = inspect(place, "--no-classes", *map(str, place.inbox.glob("*.png")))
    assert len(found) == len(ODD)
    place.pair()
    chosen = {"denoise": "auto", "total_variation_weight": "auto"}
    photos = [f"{what}.png" for what in ODD]
    place.manifest("photos.yaml", content=photos[0], sweep={"content": photos}, parameters=chosen)
    place.manifest("paintings.yaml", sweep={"style": photos}, parameters={**chosen, "color": "match"})
    done = place.run("run")
    logs = {log["job"]["name"]: log for log in place.logs()}
    assert done.returncode == 0, [log["error"] for log in logs.values()]


def test_the_colours_that_are_told_are_those_that_the_file_means(place: Place) -> None:
    """Of one picture in sRGB, and in spaces that a file tells of without a profile."""
    Image.fromarray(np.rint(color_files.RGB * 255).astype(np.uint8)).save(place.root / "a.png")
    kinds = ("PNG cICP, PQ, 16 bits", "HEIC, Display P3", "HEIC, HLG, 10 bits", "AVIF, Display P3", "PNG gAMA 1.0")
    for number, kind in enumerate(kinds):
        (place.root / f"{number}.jpg").write_bytes(color_files.FILES[kind][0])
    files = [f"{number}.jpg" for number in range(len(kinds))]
    first, *others = inspect(place, "--no-classes", "--image-size", "80", "a.png", *files)
    for kind, found in zip(kinds, others, strict=True):
        assert found["colorfulness"] == pytest.approx(first["colorfulness"], abs=1.5), kind
