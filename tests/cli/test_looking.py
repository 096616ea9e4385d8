"""`inspect`, in this process, with a stand-in for the classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import looking
from pipeline.engine.weights import CLASSIFIER_FILE
from tests.conftest import picture


def inspect(*arguments: str) -> Result:
    return CliRunner().invoke(looking.inspect, arguments)


@pytest.fixture(autouse=True)
def classifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The weights that a classifier was asked for with; it sees cats, and has a file in the cache."""
    asked: list[Path | None] = []

    def classifier(weights: Path | None) -> Any:
        asked.append(weights)
        return lambda image: [("cat", 0.9)], lambda image, layer: image

    monkeypatch.setattr(looking, "_classifier", classifier)
    monkeypatch.setattr(looking, "weights_cache", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / CLASSIFIER_FILE).touch()
    for name in ("a/p.png", "b/P.png", "b/q.png"):
        Path(name).parent.mkdir(exist_ok=True)
        picture(32, 24).save(name)
    return asked


def test_the_weights_that_paint_say_nothing_of_the_classifier(
    tiny_weights: Path, classifiers: list[Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLISTIC_WEIGHTS", str(tiny_weights))
    assert "VGG-19 sees      cat 90%" in inspect("a/p.png").stdout
    Path(CLASSIFIER_FILE).unlink()
    assert "VGG-19 sees" not in inspect("a/p.png").stdout
    assert "VGG-19 sees" in inspect("a/p.png", "--weights", "whole.h5").stdout
    assert classifiers == [None, Path("whole.h5")]


@pytest.mark.parametrize("bad, code", [("missing.png", 3), ("text.png", 1)])
def test_an_image_that_cannot_be_used_is_told_and_the_others_go_on(bad: str, code: int) -> None:
    Path("text.png").write_text("no image at all, but some text")
    done = inspect("--json", "a/p.png", bad, "b/q.png")
    assert done.exit_code == code
    assert done.stderr.startswith(f"stylistic: {bad}: ")
    assert [one["file"] for one in json.loads(done.stdout)] == ["a/p.png", "b/q.png"]
    assert inspect("a/p.png").exit_code == 0


def test_layers_of_photos_of_one_name_are_drawn_beside_one_another() -> None:
    told = inspect("--layers", "a/p.png", "b/P.png", "b/q.png").stdout
    drawn = [line.split()[-1] for line in told.splitlines() if "drawn in" in line]
    assert drawn == ["p.layers.png", "P-2.layers.png", "q.layers.png"]
    assert all(map(Path.exists, map(Path, drawn)))
