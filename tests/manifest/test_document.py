"""YAML and JSON as people and programs write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ManifestError
from pipeline.manifest.document import read_document, write_document
from tests.manifest.conftest import MINIMAL, parse, problems


def _count_of_values(data: Any) -> int:
    """All values below a list or dict, itself left out."""
    inner = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return len(inner) + sum(map(_count_of_values, inner))


def test_numbers_that_yaml_1_1_reads_as_text_are_numbers() -> None:
    parameters = parse(MINIMAL + "parameters: {style_weight: 1e-2, content_weight: 1E4, learning_rate: .02}").parameters
    assert (parameters.style_weight, parameters.content_weight, parameters.learning_rate) == (0.01, 10000.0, 0.02)


def test_off_means_off() -> None:
    assert parse(MINIMAL + "parameters: {pyramid: off}").parameters.pyramid == "off"


def test_tags_that_say_what_is_written_are_read() -> None:
    manifest = parse(MINIMAL + "priority: !!int 3\nparameters: {style_weight: !!float 2e-2, seed: !!int '7'}")
    assert (manifest.priority, manifest.parameters.style_weight, manifest.parameters.seed) == (3, 0.02, 7)


def test_json_is_read_with_tabs_and_escapes() -> None:
    text = '{\n\t"content": "\\ud83d\\ude00.jpg",\n\t"style": ["b\\/c.jpg"], "parameters": {"style_weight": 1e-2}}'
    manifest = parse(text, "job.json")
    assert list(manifest.images.values()) == ["😀.jpg", "b/c.jpg"]
    assert manifest.parameters.style_weight == 0.01


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_what_windows_editors_save_is_read(encoding: str) -> None:
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
def test_whatever_is_json_is_read(text: str) -> None:
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
def test_every_value_of_json_has_the_line_it_stands_in(data: Any, indent: int | str | None) -> None:
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


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["1e5", "off", "~", "0x1F", "<<", "."]))
def test_what_is_written_is_read_as_the_same(text: str) -> None:
    assert read_document(write_document({"name": text, text: [1e-7, None, True]}), "x.yaml").data == {
        "name": text,
        text: [1e-7, None, True],
    }


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
        ("9" * 5000, "a whole number of thousands of digits"),
    ],
)
def test_what_is_wrong_with_json_is_said(text: str, sentence: str) -> None:
    assert sentence in "\n".join(problems(text, "x.json"))


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_manifest_or_a_sentence(data: bytes) -> None:
    for file in ("x.yaml", "x.json"):
        try:
            parse(data, file)
        except ManifestError as error:
            assert all(problem.startswith(file) for problem in error.problems)
