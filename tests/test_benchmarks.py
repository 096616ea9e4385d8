"""The tutorial recipe that we compare with is what it claims to be, measures see what they are named after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import measures, others
from benchmarks.tutorial import make_step
from pipeline.engine.extractor import Extractor
from tests.conftest import opened, picture, tiny_kernels


def test_the_tutorial_recipe_agrees_with_the_reference(shared: Path, real_kernels: dict[str, Any]) -> None:
    reference = json.loads((shared / "reference" / "objective.json").read_text())
    content, style = (
        np.asarray(opened(shared / "reference" / reference[key]).convert("RGB"), np.float32) / np.float32(255)
        for key in ("content", "style")
    )
    step = make_step(real_kernels, content, style)
    for expected in reference["adam_trajectory_from_content"]["steps"][:8]:
        assert step() == pytest.approx(expected["total"], rel=0.01)


class TestMeasures:
    """A tower before a flat sky, and a painting of fine stripes."""

    SKY = np.full((128, 128, 3), 0.6, np.float32)
    STRIPES = np.tile(np.array([0.2, 0.2, 0.8, 0.8], np.float32)[:, None, None], (32, 128, 3))
    STRIPES[5, 5] = (1.0, 0.0, 0.0)  # a painting without any speckle has no part of it

    @pytest.fixture
    def extractor(self) -> Extractor:
        return Extractor(tiny_kernels(), "float32")

    @property
    def photo(self) -> Any:
        photo = self.SKY.copy()
        photo[:, :16:2] = 0.1
        return photo

    def striped(self, columns: slice) -> Any:
        """The photo with the painting's stripes in some columns."""
        found = self.photo
        found[:, columns] = self.STRIPES[:, columns]
        return found

    def test_a_photo_unpainted_has_all_edges_and_no_ghosts(self, extractor: Extractor) -> None:
        found = measures.independent_measures(extractor, self.photo, self.photo, self.STRIPES)
        assert found["edges"] == pytest.approx(1.0)
        assert found["content"] == found["ghosts"] == 0.0

    def test_ghosts_are_what_is_painted_into_a_flat_sky_wherever_it_is(self, extractor: Extractor) -> None:
        beside, away = (
            measures.ghosts(extractor, self.striped(columns), self.photo, self.STRIPES)
            for columns in (slice(24, 40), slice(90, 106))
        )
        assert beside["ghosts"] > 0.05
        assert away["ghosts"] > 0.05
        assert beside["halo"] > 2
        assert away["halo"] < 0.5

    def test_the_painting_is_no_distance_from_itself_and_closer_than_the_photo(self, extractor: Extractor) -> None:
        for ratio in (1.0, 0.5):
            assert measures.sliced_distance(extractor, self.STRIPES, self.STRIPES, ratio) == 0.0
        near = measures.sliced_distance(extractor, self.striped(slice(24, 128)), self.STRIPES)
        assert near < 0.8 * measures.sliced_distance(extractor, self.photo, self.STRIPES)


def test_a_page_of_blind_pairs_tells_no_recipe_and_its_votes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    for seed, name in enumerate(
        ("inputs/a-b-photo", "inputs/a-b-painting", "a-b-standard", "a-b-tutorial", "a-b-peer")
    ):
        picture(seed=seed).save(tmp_path / f"{name}.png", pnginfo=None)
    page = others.blind_page(tmp_path, ["a-b"])
    text = page.read_text()
    for recipe in ("standard", "tutorial", "peer"):
        assert recipe not in text
    questions = json.loads(text.split("const QUESTIONS = ")[1].split(";\n")[0])
    assert len(questions) == 2
    ours = next(name for name, what in json.loads((page.parent / "key.json").read_text()).items() if "standard" in what)
    votes = [
        {"pictures": questions[0]["pictures"], "chosen": ours},
        {"pictures": questions[1]["pictures"][::-1], "chosen": None},
    ]
    file = tmp_path / "votes.json"
    file.write_text(json.dumps({"votes": votes}))
    assert others.counted(page.parent, [file, file]) == [
        "beside peer: standard 2, peer 0, neither 0",
        "beside tutorial: standard 0, tutorial 0, neither 2",
    ]
    for question in questions:
        for name in (question["photo"], question["painting"], *(f"{one}.png" for one in question["pictures"])):
            assert opened(page.parent / name).size == (80, 64)
