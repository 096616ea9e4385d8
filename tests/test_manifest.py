from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.document import read_document, write_document
from pipeline.errors import ManifestError
from pipeline.manifest import Manifest, default_name, json_schema, parse_manifest, parse_template
from pipeline.parameters import PRESETS, Parameters


def parse(text: str | bytes, file: str = "harbour.yaml") -> Manifest:
    return parse_manifest(text.encode() if isinstance(text, str) else text, file)


def problems(text: str | bytes, file: str = "harbour.yaml") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse(text, file)
    return list(caught.value.problems)


def _count_of_values(data: Any) -> int:
    """All values below a list or dict, itself left out."""
    inner = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return len(inner) + sum(map(_count_of_values, inner))


MINIMAL = "content: a.jpg\nstyle: b.jpg\n"


class TestReading:
    def test_a_minimal_manifest_gets_every_default(self) -> None:
        manifest = parse(MINIMAL)
        assert manifest.name == "harbour"
        assert manifest.images == {"content": "a.jpg", "style-1": "b.jpg"}
        assert manifest.preset == "standard"
        assert manifest.parameters == Parameters()
        assert manifest.parameters.style_size == manifest.parameters.image_size == 512

    def test_numbers_that_yaml_1_1_reads_as_text_are_numbers(self) -> None:
        parameters = parse(
            MINIMAL + "parameters: {style_weight: 1e-2, content_weight: 1E4, learning_rate: .02}"
        ).parameters
        assert (parameters.style_weight, parameters.content_weight, parameters.learning_rate) == (0.01, 10000.0, 0.02)

    def test_tags_that_say_what_is_written_are_read(self) -> None:
        manifest = parse(MINIMAL + "priority: !!int 3\nparameters: {style_weight: !!float 2e-2, seed: !!int '7'}")
        assert (manifest.priority, manifest.parameters.style_weight, manifest.parameters.seed) == (3, 0.02, 7)

    def test_off_means_off(self) -> None:
        assert parse(MINIMAL + "parameters: {pyramid: off}").parameters.pyramid == "off"

    def test_json_is_read_with_tabs_and_escapes(self) -> None:
        text = '{\n\t"content": "\\ud83d\\ude00.jpg",\n\t"style": ["b\\/c.jpg"], "parameters": {"style_weight": 1e-2}}'
        manifest = parse(text, "job.json")
        assert list(manifest.images.values()) == ["😀.jpg", "b/c.jpg"]
        assert manifest.parameters.style_weight == 0.01

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
    def test_what_windows_editors_save_is_read(self, encoding: str) -> None:
        assert parse("content: grün.jpg\r\nstyle: b.jpg\r\n".encode(encoding)).content == "grün.jpg"
        assert parse('{"content": "grün.jpg", "style": "b"}'.encode(encoding), "x.json").content == "grün.jpg"

    @pytest.mark.parametrize(
        "text",
        [
            '{"content"\n:\n"a", "style": "b"}',
            '{"content": "a", "style": "b\x7f\x80"}',
            '{"content": "a", "style": "b", "parameters": {"seed"\t\r\n:\t3}}',
            '{"content": "a", "style": "b", "name": "' + "x" * 90 + '", "parameters"\n: {}}',
            '{"' + "content" + '": "a?: -,[]{}#&*!|>%@`", "style": "b"}',
        ],
    )
    def test_whatever_is_json_is_read(self, text: str) -> None:
        data = json.loads(text)
        manifest = parse(text, "x.json")
        assert (manifest.content, manifest.style[0].image) == (data["content"], data["style"])

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\\n:,{[', max_size=4), inner),
            max_leaves=12,
        ),
        st.sampled_from([None, 1, "\t"]),
    )
    def test_every_value_of_json_has_the_line_it_stands_in(self, data: Any, indent: int | str | None) -> None:
        text = json.dumps(data, indent=indent, ensure_ascii=False)
        document = read_document(text.encode(), "x.json")
        assert document.data == data
        lines = text.split("\n")
        for path in document.lines:
            value = data
            for step in path:
                value = value[step]
            label = f"{json.dumps(path[-1], ensure_ascii=False)}:" if path and isinstance(path[-1], str) else ""
            start = "[{"[isinstance(value, dict)] if isinstance(value, dict | list) else ""
            shown = label or start or json.dumps(value, ensure_ascii=False)
            assert shown in lines[document.line(path) - 1]
        assert len(document.lines) == 1 + _count_of_values(data)

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

    @given(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["1e5", "off", "~", "0x1F", "<<", "."]))
    def test_what_is_written_is_read_as_the_same(self, text: str) -> None:
        assert read_document(write_document({"name": text, text: [1e-7, None, True]}), "x.yaml").data == {
            "name": text,
            text: [1e-7, None, True],
        }


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
            (b"{preset: tutorial, parameters: {style_weight: 5e-2}}", 1),
            ("preset: tutorial\r\nparameters: {style_weight: 5e-2}".encode("utf-16"), 2),
            (b"---\npreset: tutorial\nparameters:\n  style_weight: 5e-2\n...\n", 4),
        ],
    )
    def test_it_may_have_any_form_that_a_manifest_may_have(self, tmp_path: Path, data: bytes, line: int) -> None:
        (tmp_path / "night.yaml").write_bytes(data)
        parameters = self.parse(tmp_path, MINIMAL + "preset: night").parameters
        assert (parameters.style_weight, parameters.epsilon) == (0.05, 0.1)
        (tmp_path / "night.yaml").write_bytes(data.replace(b"5", b"x"))
        with pytest.raises(
            ManifestError, match=f"night.yaml, line {line}: `parameters.style_weight`: must be a number"
        ):
            self.parse(tmp_path, MINIMAL + "preset: night")

    def test_the_effective_manifest_does_without_it(self, tmp_path: Path) -> None:
        (tmp_path / "night.yaml").write_text("parameters: {style_weight: 5e-2}")
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


class TestSweep:
    TEXT = MINIMAL + (
        "name: h\nsweep:\n  style_weight: [1e-3, 1e-2]\n  content_layers: [[block4_conv2], {block5_conv2: 2}]\n"
    )

    def test_it_is_every_combination_the_last_field_changing_fastest(self) -> None:
        variants = parse(self.TEXT).variants()
        assert [(v.parameters.style_weight, list(v.parameters.content_layers.items())) for v in variants] == [
            (0.001, [("block4_conv2", 1.0)]),
            (0.001, [("block5_conv2", 2.0)]),
            (0.01, [("block4_conv2", 1.0)]),
            (0.01, [("block5_conv2", 2.0)]),
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
        assert manifest.steps == 4 * 300

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
            (MINIMAL + "parameters: {content_layers: []}", "must not be empty"),
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
            (MINIMAL + "parameters: {init: file}", "`init: file` and `init_image: PATH` need each other"),
            (MINIMAL + "init_image: c.png", "`init: file` and `init_image: PATH` need each other"),
            ("content: a\nstyle: [{image: b, weight: 0}]", "`style.0.weight`: must be above 0"),
            ('content: "a\\0b"\nstyle: b', "must be the path of an image"),
        ],
    )
    def test_what_is_wrong_is_said(self, text: str | bytes, sentence: str) -> None:
        assert sentence in "\n".join(problems(text))

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            (
                '{"content": "a",\n"style": "b",\n"content": "c"}',
                "line 3: `content` stands twice; the first is in line 1",
            ),
            ('{"content": "\\ud83d.jpg",\n"style": "b"}', "x.json, line 1: \\ud83d is half of a character"),
            ('{"content": "a",\n"\\udc00": "b"}', "x.json, line 2: \\udc00 is half of a character"),
            ('{"content": "a",\n"style": "b\x02"}', "x.json, line 2: the control character U+0002; delete it"),
            ('{"content": "a",\n"style" "b"}', "x.json, line 2: not well-formed JSON: Expecting ':' delimiter"),
            ('{"a":\n' * 30 + "1" + "}" * 30, "x.json, line 21: nested more than 20 levels deep"),
            ("[" * 100_000, "nested more than 20 levels deep"),
            ("[" + "0," * 20_000 + "0]", "more than 10,000 values"),
            ("9" * 5000, "not well-formed JSON"),
        ],
    )
    def test_what_is_wrong_with_json_is_said(self, text: str, sentence: str) -> None:
        assert sentence in "\n".join(problems(text, "x.json"))

    @given(st.binary(max_size=400))
    def test_any_bytes_end_in_a_manifest_or_a_sentence(self, data: bytes) -> None:
        for file in ("x.yaml", "x.json"):
            try:
                parse(data, file)
            except ManifestError as error:
                assert all(problem.startswith(file) for problem in error.problems)


class TestNames:
    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("harbour.yaml", "harbour"),
            ("my photo (3).yml", "my photo -3"),
            ("..json", "job"),
            ("CON.yaml", "job-CON"),
            ("a\nb\x1b[31m.yaml", "a-b-31m"),
            ("日本.yaml", "日本"),
            ("x" * 300 + ".yaml", "x" * 50),
            (b"\xff\xfe.yaml".decode("utf-8", "surrogateescape"), "job"),
        ],
    )
    def test_a_file_name_becomes_a_safe_name(self, file: str, name: str) -> None:
        assert default_name(file) == name


def test_the_schema_describes_what_is_accepted() -> None:
    schema = json_schema()
    assert schema["required"] == ["content", "style"]
    assert set(schema["$defs"]["Parameters"]["properties"]) == set(Parameters.model_fields)
    assert schema["$defs"]["Parameters"]["properties"]["epochs"]["maximum"] == 1000
    json.dumps(schema)


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


class TestTemplates:
    def test_a_template_has_no_content(self) -> None:
        manifest, again = parse_template(b"style: wave.jpg\nagain: yes\npreset: draft\n", "style.yaml")
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
