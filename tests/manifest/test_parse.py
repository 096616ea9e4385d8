"""From bytes to a manifest, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.errors import ManifestError
from pipeline.manifest.fields import MOST_BOXES
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import PRESETS, Parameters
from pipeline.manifest.parse import parse_manifest, parse_template
from tests.manifest.conftest import MINIMAL, parse, problems


class TestReading:
    def test_a_minimal_manifest_gets_every_default(self) -> None:
        manifest = parse(MINIMAL)
        assert manifest.name == "harbour"
        assert manifest.images == {"content": "a.jpg", "style-1": "b.jpg"}
        assert manifest.preset == "standard"
        assert manifest.parameters == Parameters()
        assert manifest.parameters.style_size == manifest.parameters.image_size == 512

    def test_several_styles_with_weights(self) -> None:
        manifest = parse("content: a\nstyle: [{image: b, weight: 2}, c]")
        assert [(style.image, style.weight) for style in manifest.style] == [("b", 2.0), ("c", 1.0)]

    def test_layers_as_list_or_with_weights(self) -> None:
        parameters = parse(
            MINIMAL + "parameters: {content_layers: {block4_conv2: 2}, style_layers: [block1_conv1]}"
        ).parameters
        assert parameters.content_layers == {"block4_conv2": 2.0}
        assert parameters.style_layers == {"block1_conv1": 1.0}

    def test_a_preset_is_a_base_that_the_rest_overrides(self) -> None:
        parameters = parse(MINIMAL + "preset: tutorial\nparameters: {epochs: 2}").parameters
        assert (parameters.epochs, parameters.steps_per_epoch, parameters.epsilon) == (2, 100, 0.1)
        assert (parameters.beta_1, parameters.beta_2, parameters.pyramid) == (0.99, 0.999, "off")

    @pytest.mark.parametrize("preset", PRESETS)
    def test_the_effective_manifest_says_the_same_again(self, preset: str) -> None:
        manifest = parse(f"content: a\nstyle: [b, c]\npreset: {preset}\nparameters: {{image_size: 300, epsilon: 1e-7}}")
        again = parse(yaml.safe_dump(manifest.effective()), "other-name.yaml")
        assert again == manifest
        assert set(manifest.effective()["parameters"]) == set(Parameters.model_fields)


class TestProtection:
    @pytest.mark.parametrize("words", ["auto", "faces", "off", "'off'"])
    def test_words(self, words: str) -> None:
        manifest = parse(MINIMAL + f"parameters: {{protect: {words}}}")
        assert manifest.parameters.protect == words.strip("'")
        assert "protect" not in manifest.images

    def test_a_mask_is_an_image_of_the_job(self) -> None:
        manifest = parse(MINIMAL + "parameters: {protect: masks/faces.png}")
        assert manifest.images["protect"] == "masks/faces.png"
        assert parse(yaml.safe_dump(manifest.effective())) == manifest

    def test_boxes_by_hand(self) -> None:
        manifest = parse(MINIMAL + "parameters: {protect: [{x: 0.4, y: 0, width: 0.2, height: 1}]}")
        (box,) = manifest.effective()["parameters"]["protect"]
        assert box == {"x": 0.4, "y": 0, "width": 0.2, "height": 1}
        assert parse(yaml.safe_dump(manifest.effective())) == manifest

    def test_it_can_be_swept(self) -> None:
        manifest = parse(MINIMAL + "sweep: {protect: [off, faces, mask.png, [{x: 0, y: 0, width: 1, height: 1}]]}")
        assert [one.parameters.protect for one in manifest.variants()][:3] == ["off", "faces", "mask.png"]
        assert "mask.png" in manifest.images.values()

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("face", "did you mean `faces`"),
            ("true", "must be auto, faces, off"),
            ("3", "must be auto, faces, off"),
            ("[]", "protect`: must not be empty"),
            ("{x: 0, y: 0, width: 1, height: 1}", "a list of boxes"),
            ("[{x: 0, y: 0, width: 1}]", "protect.0.height`: missing"),
            ("[{x: 0, y: 0, width: 1, height: 0}]", "protect.0.height`: must be from 1e-06 to 1, not 0"),
            ("[{x: 40, y: 0, width: 0.2, height: 0.1}]", "protect.0.x`: must be from 0 to below 1, not 40"),
            ("[{x: .nan, y: 0, width: 1, height: 1}]", "protect.0.x`: must be"),
            ("[{x: 0, y: 0, width: 1, height: 1, heigth: 1}]", "protect.0.heigth`: unknown; did you mean `height`?"),
            ("[[0, 0, 1, 1]]", "protect.0`: must be lines of `key: value`"),
            (f"{[{'x': 0, 'y': 0, 'width': 1, 'height': 1}] * 501}", "protect`: must be 500 at most"),
        ],
    )
    def test_what_is_none_is_told_in_one_sentence(self, value: str, said: str) -> None:
        with pytest.raises(ManifestError) as refused:
            parse(MINIMAL + f"parameters: {{protect: {value}}}")
        assert said in str(refused.value)
        assert str(refused.value).count("protect") == 1

    def test_as_many_faces_as_may_be_named_fit_into_a_manifest(self) -> None:
        boxes = [{"x": 0.123456, "y": 0.123456, "width": 0.123456, "height": 0.123456}] * MOST_BOXES
        manifest = parse(MINIMAL + f"parameters: {{protect: {boxes}}}")
        assert parse(yaml.safe_dump(manifest.effective())) == manifest


class TestOwnPresets:
    def parse(self, folder: Path, text: str) -> Manifest:
        return parse_manifest(text.encode(), "harbour.yaml", presets=folder)

    def test_a_preset_of_ones_own_is_a_base_like_the_others(self, tmp_path: Path) -> None:
        (tmp_path / "night.yaml").write_text("preset: tutorial\nparameters:\n  style_weight: 5e-2\n  epochs: 4\n")
        parameters = self.parse(
            tmp_path, MINIMAL + "preset: night\nparameters: {epochs: 7, image_size: 300}"
        ).parameters
        assert (parameters.style_weight, parameters.epochs, parameters.epsilon) == (0.05, 7, 0.1)
        assert parameters.style_size == 300

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (b"{preset: tutorial, parameters: {content_weight: 5e-2}}", 1),
            ("preset: tutorial\r\nparameters: {content_weight: 5e-2}".encode("utf-16"), 2),
            (b"---\npreset: tutorial\nparameters:\n  content_weight: 5e-2\n...\n", 4),
        ],
    )
    def test_it_may_have_any_form_that_a_manifest_may_have(self, tmp_path: Path, data: bytes, line: int) -> None:
        (tmp_path / "night.yaml").write_bytes(data)
        parameters = self.parse(tmp_path, MINIMAL + "preset: night").parameters
        assert (parameters.content_weight, parameters.epsilon) == (0.05, 0.1)
        (tmp_path / "night.yaml").write_bytes(data.replace(b"5", b"x"))
        with pytest.raises(
            ManifestError, match=f"night.yaml, line {line}: `parameters.content_weight`: must be a number"
        ):
            self.parse(tmp_path, MINIMAL + "preset: night")

    def test_the_effective_manifest_does_without_it(self, tmp_path: Path) -> None:
        (tmp_path / "night.yaml").write_text("parameters: {content_weight: 5e-2}")
        manifest = self.parse(tmp_path, MINIMAL + "preset: night")
        assert parse(yaml.safe_dump(manifest.effective())) == manifest

    def test_its_mistakes_are_told_with_its_own_lines(self, tmp_path: Path) -> None:
        (tmp_path / "night.yaml").write_text("parameters:\n  epochs: 0\n")
        with pytest.raises(ManifestError, match=r"night.yaml, line 2: `parameters.epochs`: must be from 1 to 1000"):
            self.parse(tmp_path, MINIMAL + "preset: night")
        (tmp_path / "night.yaml").write_text("epochs: 3\n")
        with pytest.raises(ManifestError, match=r"night.yaml: a preset has `parameters`"):
            self.parse(tmp_path, MINIMAL + "preset: night")

    @pytest.mark.parametrize("name", ["../night", "day", "/etc/passwd"])
    def test_no_other_file_is_read(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "presets").mkdir()
        (tmp_path / "night.yaml").write_text("parameters: {epochs: 4}")
        with pytest.raises(ManifestError, match="must be one of 'tutorial'"):
            self.parse(tmp_path / "presets", MINIMAL + f"preset: {name}")


class TestProblems:
    def test_every_problem_is_reported_at_once_with_its_line(self) -> None:
        text = (
            "content: a.jpg\nstyle: b.jpg\npriorty: 3\nparameters:\n  style_wieght: 1\n  epochs: 0\n  optimizer: sgd\n"
            "  content_layers: [block6_conv1]\n  steps_per_epoch: ten\n  learning_rate: .inf\n  seed: true\n"
        )
        assert problems(text) == [
            "harbour.yaml, line 3: `priorty`: unknown; did you mean `priority`?",
            "harbour.yaml, line 5: `parameters.style_wieght`: unknown; did you mean `style_weight`?",
            "harbour.yaml, line 6: `parameters.epochs`: must be from 1 to 1000, not 0",
            "harbour.yaml, line 7: `parameters.optimizer`: must be one of 'adam' or 'lbfgs', not 'sgd'",
            "harbour.yaml, line 8: `parameters.content_layers`: 'block6_conv1' is no convolution of VGG-19;"
            " did you mean `block5_conv1`?",
            "harbour.yaml, line 9: `parameters.steps_per_epoch`: must be a whole number from 1 to 10000, not 'ten'",
            "harbour.yaml, line 10: `parameters.learning_rate`: must be above 0 to 10, not inf",
            "harbour.yaml, line 11: `parameters.seed`: must be a number, not true",
        ]

    def test_json_problems_have_lines_too(self) -> None:
        text = '{\n "content": "a",\n "style": "b",\n "parameters": {\n  "epochs": -1\n }\n}'
        assert problems(text, "x.json") == ["x.json, line 5: `parameters.epochs`: must be from 1 to 1000, not -1"]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "empty"),
            ("# only a comment\n", "a list of `key: value` lines"),
            ("---\n", "a list of `key: value` lines"),
            ("- a\n- b\n", "a list of `key: value` lines"),
            ("content: [", "not well formed"),
            ("content: a\ncontent: b\n", "line 2: `content` stands twice; the first is in line 1"),
            ("a: &x 1\nb: *x\n", "line 2: aliases (*x) are not allowed"),
            ("content: !!python/name:os.system ''", "the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed"),
            ("a: 1\n---\nb: 2\n", "a second document"),
            ("content: a\nparameters:\n\tepochs: 2\n", "line 3: YAML does not allow tabs; use spaces before the word"),
            ("content: a\nstyle:\n- \timage: b\n\tweight: 2", "line 3: YAML does not allow tabs"),
            (MINIMAL + "preset: nihgt", "or have a file of its name in the folder of --presets, not 'nihgt'"),
            (MINIMAL + "style_weight: 1e-2", "line 3: `style_weight`: belongs under `parameters`, indented"),
            (MINIMAL + "parameters: {priority: 1}", "`parameters.priority`: belongs at the top, beside `content`"),
            (MINIMAL + "priority: !!int high", "line 3: 'high' is no whole number, as !!int says; leave the tag out"),
            (MINIMAL + "priority: !!float abc", "line 3: 'abc' is no number, as !!float says"),
            (MINIMAL + "priority: !!int 1_000", "'1_000' is no whole number"),
            (MINIMAL + "sweep: !!bool yes", "line 3: 'yes' is no truth value (true, false), as !!bool says"),
            (MINIMAL + "sweep: !!null nothing", "'nothing' is no null, as !!null says"),
            (MINIMAL + "parameters: {seed: !!int 0x10, image_size: !!float 1e3}", "'0x10' is no whole number"),
            ("{" * 50, "nested more than 20 levels"),
            ("[" * 100_000, "nested more than 20 levels"),
            ("x: " + "1" * 40, "a whole number of 40 digits"),
            ("a: " + "x" * 300_000, "more than 262,144 bytes, the limit for a manifest (--max-manifest-bytes)"),
            (b"\xff\xfeA", "not UTF-8"),
            ("content: a\nstyle: b\x01\n", "harbour.yaml, line 2: the control character U+0001; delete it, or save"),
            (b"\0" * 100, "line 1: the control character U+0000; delete it, or save the file as UTF-8"),
            (b"content: a\nstyle: \xe4\n", "line 2: not UTF-8"),
            ("content: a\n", "`style`: missing"),
            (MINIMAL + "name: ../../etc", "`name`: may hold letters"),
            (MINIMAL + "name: aux", "Windows keeps"),
            (MINIMAL + "name: " + "x" * 101, "longer than 100"),
            (MINIMAL + "name: a／b", "may hold letters"),
            (MINIMAL + "parameters: {pyramid: [512, 256]}", "coarse to fine"),
            (MINIMAL + "parameters: {pyramid: {512: 20, 256: 20}}", "coarse to fine"),
            (MINIMAL + "parameters: {pyramid: {256: 0}}", "must give each long side a number of steps"),
            (MINIMAL + "parameters: {pyramid: {256: 200000}}", "200,000 steps; the limit is 100,000 (--max-steps)"),
            (MINIMAL + "parameters: {content_layers: []}", "must not be empty"),
            (MINIMAL + "parameters: {strength: 11}", "`parameters.strength`: must be from 0 to 10, not 11"),
            (MINIMAL + "parameters: {content_limit: 0}", "must be auto, off or a number from 0.001 to 1000, not 0"),
            (
                MINIMAL + "parameters: {epochs: 1000, steps_per_epoch: 1000}",
                "1,000,000 steps; the limit is 100,000 (--max-steps)",
            ),
            ("content: a\nstyle: [" + "b, " * 17 + "]", "17 images; the limit is 16 (--max-styles)"),
            (
                MINIMAL + "parameters: {denoise: 1.5}",
                "`parameters.denoise`: must be auto or a number from 0 to 1, not 1.5",
            ),
            (MINIMAL + "parameters: {total_variation_weight: high}", "must be auto or a number from 0 to 1e+12"),
            (MINIMAL + "parameters: {denoise: true}", "`parameters.denoise`: must be auto or a number"),
            (
                MINIMAL + "parameters: {output_depth: 16, output_format: webp}",
                "line 3: `parameters`: `output_depth: 16` needs `output_format: png` or `tiff`, not webp",
            ),
            (MINIMAL + "parameters: {output_depth: 12}", "`parameters.output_depth`: must be one of 8 or 16, not 12"),
            (MINIMAL + "parameters: {timelapse: often}", "`parameters.timelapse`: must be true or false, not 'often'"),
            (
                MINIMAL + "parameters: {epochs: 10, snapshots: 1}",
                "`snapshots`: 1,000 pictures; the limit is 500 (--max-snapshots)",
            ),
            (
                MINIMAL + "parameters: {epochs: 3, snapshots: 1}\nsweep: {seed: [1, 2]}",
                "`snapshots`: 600 pictures; the limit is 500 (--max-snapshots)",
            ),
            (MINIMAL + "parameters: {init: file}", "`init: file` and `init_image: PATH` need each other"),
            (MINIMAL + "init_image: c.png", "`init: file` and `init_image: PATH` need each other"),
            ("content: a\nstyle: [{image: b, weight: 0}]", "`style.0.weight`: must be above 0"),
            ('content: "a\\0b"\nstyle: b', "must be the path of an image"),
        ],
    )
    def test_what_is_wrong_is_said(self, text: str | bytes, sentence: str) -> None:
        assert sentence in "\n".join(problems(text))


class TestTemplates:
    def test_a_template_has_no_content(self) -> None:
        manifest, again = parse_template(b"style: wave.jpg\nagain: true\npreset: draft\n", "style.yaml")
        assert (manifest.style[0].image, manifest.preset, manifest.parameters.epochs, again) == (
            "wave.jpg",
            "draft",
            1,
            True,
        )

    def test_photos_are_not_swept(self) -> None:
        with pytest.raises(ManifestError) as caught:
            parse_template(b"style: a.jpg\nsweep:\n  seed: [1]\n  content: [b.jpg]\n", "style.yaml")
        assert caught.value.problems[0].startswith("style.yaml, line 4: `sweep.content`: each photo")
