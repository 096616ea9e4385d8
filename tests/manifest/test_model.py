"""Sweeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from pipeline.manifest.parameters import Parameters
from pipeline.manifest.parse import parse_manifest
from tests.manifest.conftest import MINIMAL, parse, problems


class TestSweep:
    TEXT = MINIMAL + (
        "name: h\nsweep:\n  style_weight: [1e-3, 1e-2]\n  content_layers: [[block4_conv2], {block5_conv2: 2}]\n"
    )

    def test_it_is_every_combination_the_last_field_changing_fastest(self) -> None:
        variants = parse(self.TEXT).variants()
        assert [(v.parameters.style_weight, v.parameters.content_layers) for v in variants] == [
            (0.001, {"block4_conv2": 1.0}),
            (0.001, {"block5_conv2": 2.0}),
            (0.01, {"block4_conv2": 1.0}),
            (0.01, {"block5_conv2": 2.0}),
        ]
        assert [variant.name for variant in variants] == ["h-001", "h-002", "h-003", "h-004"]
        assert all(variant.sweep is None for variant in variants)

    def test_its_images_are_those_of_all_variants(self) -> None:
        manifest = parse("content: a\nsweep: {style: [b, [c, {image: d, weight: 2}]]}")
        assert manifest.images == {"content": "a", "style-1": "b", "sweep-1": "c", "sweep-2": "d"}
        assert [style.weight for style in manifest.variants()[1].style] == [1.0, 2.0]

    def test_a_swept_image_size_takes_the_style_size_along(self) -> None:
        manifest = parse(MINIMAL + "parameters: {image_size: 80}\nsweep: {image_size: [64, 96]}")
        for one in (manifest, parse(yaml.safe_dump(manifest.effective())), manifest.with_contents(["c"])):
            assert [variant.parameters.style_size for variant in one.variants()] == [64, 96]

    @pytest.mark.parametrize("base", ["image_size: 80, style_size: 80", "style_size: 512"])
    def test_a_style_size_that_was_given_stays_whatever_it_equals(self, base: str) -> None:
        manifest = parse(MINIMAL + f"parameters: {{{base}}}\nsweep: {{image_size: [64, 96]}}")
        given = manifest.parameters.style_size
        for one in (manifest, parse(yaml.safe_dump(manifest.effective())), manifest.with_contents(["c"])):
            assert [variant.parameters.style_size for variant in one.variants()] == [given, given]

    def test_the_effective_manifest_says_the_same_again(self) -> None:
        manifest = parse(self.TEXT)
        assert parse(yaml.safe_dump(manifest.effective())) == manifest
        assert manifest.steps == 4 * 200

    @pytest.mark.parametrize("file", ["a.yaml", "a.json"])
    def test_a_pyramid_may_give_each_side_its_steps(self, file: str) -> None:
        steps = {"128": 150, "256": 100} if file == "a.json" else {128: 150, 256: 100}
        fields = {"content": "a", "style": "b", "parameters": {"pyramid": steps}}
        text = json.dumps(fields) if file == "a.json" else yaml.safe_dump(fields)
        manifest = parse(text, file)
        assert manifest.parameters.pyramid == {128: 150, 256: 100}
        assert manifest.steps == 250
        assert parse(yaml.safe_dump(manifest.effective())) == manifest

    def test_an_image_to_start_from_belongs_to_the_variants_that_start_from_it(self) -> None:
        manifest = parse(MINIMAL + "init_image: c.jpg\nsweep: {init: [content, file, noise]}")
        assert [variant.init_image for variant in manifest.variants()] == [None, "c.jpg", None]
        assert manifest.images == {"content": "a.jpg", "style-1": "b.jpg", "init": "c.jpg"}
        assert parse(yaml.safe_dump(manifest.effective())) == manifest
        for wrong in ("sweep: {init: [content, file]}", "init_image: c.jpg\nsweep: {init: [content, noise]}"):
            assert "need each other" in problems(MINIMAL + wrong)[0]

    def test_one_fault_of_a_combination_is_told_once(self) -> None:
        assert len(problems(MINIMAL + "sweep: {image_size: [x]}")) == 1

    def test_an_explicit_auto_is_the_default(self) -> None:
        autos = "{style_weight: auto, content_limit: auto, content_layers: auto, style_layers: auto}"
        assert parse(MINIMAL + f"parameters: {autos}").parameters == Parameters()

    def test_what_a_sweep_asks_for_is_the_sum_of_its_variants(self) -> None:
        usual = MINIMAL + f"preset: tutorial\nsweep: {{seed: {list(range(64))}}}"
        assert parse(usual).steps == 64_000
        text = MINIMAL + "parameters: {steps_per_epoch: 10000}\nsweep: {epochs: [1000, 999]}"
        assert problems(text) == [
            "harbour.yaml, line 4: `sweep`: 19,990,000 steps in all 2 combinations; the limit is 100,000 (--max-steps)"
        ]

    def test_a_sweep_may_try_more_paintings_than_a_picture_may_mix(self) -> None:
        letters = "bcdefghijklmnopqrs"
        assert len(parse(f"content: a\nsweep: {{style: [{', '.join(letters)}]}}").variants()) == 18
        assert problems(f"content: a\nsweep: {{style: [b, [{', '.join(letters)}]]}}") == [
            "harbour.yaml, line 2: `sweep`: a combination of 18 style images; the limit is 16 (--max-styles)"
        ]

    @pytest.mark.parametrize(
        ("sweep", "sentence"),
        [
            ("{style_wieght: [1]}", "`style_wieght`: unknown; did you mean `style_weight`?"),
            ("{preset: [draft, fine]}", "`preset`: only parameters, `content` and `style` are swept"),
            (
                "{image_size: [x]}",
                "`sweep`, `parameters.image_size`: must be a whole number from 16 to",
            ),
            ("{style_weight: 1}", "`style_weight`: must be a list of values, not 1"),
            ("{style_weight: []}", "`style_weight`: must be a list of values"),
            ("{epochs: [1, 0]}", "line 3: `sweep`, `parameters.epochs`: must be from 1 to 1000, not 0"),
            (f"{{seed: {list(range(65))}}}", "65 combinations; the limit is 64 (--max-variants)"),
            ("{}", "must not be empty"),
            ("[1, 2]", "must be lines of `parameter: [value, value]`"),
        ],
    )
    def test_what_is_wrong_is_said(self, sweep: str, sentence: str) -> None:
        assert sentence in "\n".join(problems(MINIMAL + f"sweep: {sweep}"))


class TestNamesOfVariants:
    def names(self, name: str, **sweep: Any) -> list[str]:
        data = json.dumps({"style": "wave.jpg", "name": name, "sweep": sweep})
        return [variant.name for variant in parse_manifest(data.encode(), "s.json").variants()]

    def test_photos_name_their_pictures(self) -> None:
        assert self.names("trip", content=["a/harbour.jpg", "a/Büro 2.png"]) == ["harbour", "Büro 2"]

    @pytest.mark.parametrize("photos", [["a/p.jpg", "b/P.jpg"], ["trip.jpg", "p.jpg"], ["trip.sheet.png", "p.jpg"]])
    def test_where_that_would_not_tell_them_apart_there_is_a_number(self, photos: list[str]) -> None:
        first = photos[0].split("/")[-1].rsplit(".", 1)[0]
        assert self.names("trip", content=photos)[0] == f"trip-001-{first}"

    def test_a_photo_in_several_variants_has_numbers(self) -> None:
        names = self.names("trip", content=["p.jpg", "q.jpg"], seed=[1, 2])
        assert names == ["trip-001-p", "trip-002-p", "trip-003-q", "trip-004-q"]

    def test_long_names_are_cut_in_front(self) -> None:
        (name, _) = self.names("写" * 66, content=["画" * 50 + ".jpg"], seed=[1, 2])
        assert name.endswith("-001-" + "画" * 50)
        assert len(name.encode()) <= 200
