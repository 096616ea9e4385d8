"""What typists, word processors and other languages put into a manifest: what was meant is said, or done."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import ManifestError
from pipeline.manifest.parse import parse_template
from tests.manifest.conftest import MINIMAL, parse, problems

WITH = MINIMAL + "parameters:\n  "
SAID = {  # by kind: the file, its text, and what is said
    "a no-break space behind a colon": (
        "a.yaml",
        "content:\u00a0a.jpg\nstyle: b.jpg",
        "line 1: a no-break space (U+00A0)",
    ),
    "one behind a space": ("a.yaml", "content: a.jpg\nstyle: \u202fb.jpg", "line 2: a no-break space (U+202F)"),
    "indented by them": (
        "a.yaml",
        MINIMAL + "parameters:\n\u00a0\u00a0epochs: 3",
        "a no-break space (U+00A0) where a plain",
    ),
    "behind a dash": ("a.yaml", "content: a.jpg\nstyle:\n  -\u00a0b.jpg", "line 3: a no-break space"),
    "a wide space": ("a.yaml", "content:\u3000a.jpg\nstyle: b", "a character that cannot be seen (U+3000)"),
    "an unseen character": ("a.yaml", "\u200bcontent: a.jpg\nstyle: b", "a character that cannot be seen (U+200B)"),
    "in JSON": ("a.json", '{"content":\u00a0"a", "style": "b"}', "line 1: a no-break space (U+00A0)"),
    "a tab": ("a.yaml", MINIMAL + "parameters:\n\tepochs: 3", "YAML does not allow tabs"),
    "curly quotes": ("a.yaml", "content: “a.jpg”\nstyle: b.jpg", "line 1: '“a.jpg”' stands in typographic quotes; use"),
    "German ones": ("a.yaml", "content: a.jpg\nstyle: „b.jpg“", "stands in typographic quotes"),
    "French ones": ("a.yaml", "content: a.jpg\nstyle: «b.jpg»", "stands in typographic quotes"),
    "single ones, in a list": ("a.yaml", "content: a.jpg\nstyle: [‘b.jpg’, ‘c.jpg’]", "stands in typographic quotes"),
    "around a key": ("a.yaml", "“content”: a.jpg\nstyle: b.jpg", "'“content”' stands in typographic quotes"),
    "in JSON, around keys": ("a.json", "{“content”: “a”}", "line 1: typographic quotes; use straight ones"),
    "in JSON, around values": ("a.json", '{"content": “a”}', "line 1: typographic quotes; use straight ones"),
    "rich text": (
        "a.yaml",
        "{\\rtf1\\ansi content: a.jpg\\\n}",
        "rich text (RTF), not plain text; save it as plain text",
    ),
    "Word": ("a.yaml", "PK\x03\x04content", "a document of an office program, not plain text"),
    "a web page": ("a.yaml", "<!DOCTYPE html>\n<html>content: a", "a web page or XML, not plain text"),
    "a decimal comma": ("a.yaml", MINIMAL + "parameters: {strength: '1,5'}", "not '1,5'; a decimal has a point: 1.5"),
    "in a block": ("a.yaml", WITH + "strength: 1,5", "not '1,5'; a decimal has a point: 1.5"),
    "in braces": (
        "a.yaml",
        MINIMAL + "parameters: {strength: 1,5}",
        "`parameters.5`: a number behind a comma; a decimal",
    ),
    "at the top, in braces": ("a.yaml", "{content: a, style: b, priority: 1,5}", "`5`: a number behind a comma"),
    "in JSON, a comma": ("a.json", '{"parameters": {"strength": 1,5}}', "a decimal has a point, not a comma: 1.5"),
    "a weight": ("a.yaml", WITH + "style_weight: 0,01", "not '0,01'; a decimal has a point: 0.01"),
    "a grouped number": (
        "a.yaml",
        WITH + "steps_per_epoch: 1,000",
        "write 1000, or with a point 1.000",
    ),
    "grouped by spaces": (
        "a.yaml",
        WITH + "image_size: 1 024",
        "without marks between its digits: 1024",
    ),
    "grouped by points": ("a.yaml", WITH + "snapshots: 1.000.000", "its digits: 1000000"),
    "pixels": ("a.yaml", WITH + "image_size: 96px", "not '96px'; write the number alone: 96"),
    "spaced pixels": ("a.yaml", WITH + "image_size: 512 pixels", "write the number alone: 512"),
    "a percentage": (
        "a.yaml",
        WITH + "strength: 50%",
        "not '50%'; write 0.5 for that part of one",
    ),
    "a percentage of a weight": (
        "a.yaml",
        WITH + "content_weight: 50%",
        "write the number alone: 50, or 0.5 for that part of one",
    ),
    "a number of base 16": ("a.yaml", WITH + "epochs: 0x10", "not '0x10'; write 16"),
    "times": ("a.yaml", WITH + "strength: 2x", "write the number alone: 2"),
    "sides": ("a.yaml", WITH + "image_size: 512x384", "not '512x384'; write the longer side alone: 512"),
    "a fraction": ("a.yaml", WITH + "strength: ½", "not '½'; write 0.5"),
    "a suffix": ("a.yaml", WITH + "output_format: jpg", "not 'jpg'; did you mean `jpeg`?"),
    "a capital": ("a.yaml", WITH + "optimizer: Adam", "not 'Adam'; did you mean `adam`?"),
    "several photos": (
        "a.yaml",
        "content: [a.jpg, b.jpg]\nstyle: c.jpg",
        "`content`: one photo, not ['a.jpg', 'b",
    ),
    "a longer word": ("a.yaml", "content: a\nstyle_image: b", "`style_image`: unknown; did you mean `style`?"),
    "a layer alone": ("a.yaml", WITH + "style_layers: block5", "must be a list of layers, such as [block4_conv2]"),
    "a star": (
        "a.yaml",
        "content: *.jpg\nstyle: b.jpg",
        "line 1: a value that begins with `*` stands in quotes, such as '*.jpg'",
    ),
    "an at sign, in a list": (
        "a.yaml",
        "content: a\nstyle:\n  - @b.jpg",
        "line 3: a value that begins with `@`",
    ),
    "Markdown": ("a.yaml", "```yaml\ncontent: a.jpg\nstyle: b.jpg\n```\n", "line 1: a fence of Markdown; delete"),
    "one line for all": (
        "a.yaml",
        "content: a.jpg; style: b.jpg",
        "line 1: two keys in one line; begin a line",
    ),
    "TOML": ("a.yaml", 'content = "a.jpg"\nstyle = "b.jpg"', "a colon in place of `=`, such as `content: …`"),
    "no space": ("a.yaml", "content:a.jpg\nstyle:b.jpg", "a space belongs behind the colon, such as `content: …`"),
    "several jobs": ("a.yaml", "- content: a.jpg\n  style: b.jpg\n", "this is a list of several: drop a file for each"),
    "in JSON, a comment": ("a.json", '{\n// mine\n"content": "a"}', "line 2: a comment, which JSON has not"),
    "in JSON, one behind": (
        "a.json",
        '{"content": "a", # mine\n"style": "b"}',
        "line 1: a comment, which JSON has not",
    ),
    "in JSON, a last comma": ("a.json", '{"content": "a",\n}', "a comma before the closing `}`; delete it"),
    "in JSON, of a list": ("a.json", '{"style": ["a", ]}', "a comma before the closing `]`; delete it"),
    "in JSON, single quotes": ("a.json", "{'content': 'a'}", "line 1: single quotes; JSON has double ones"),
    # Of each of these a quarter of a megabyte took minutes, or the words of Python were told.
    "in JSON, a digit behind many digits": (
        "a.json",
        f'{{"content": "{"1" * 250_000}", 5}}',
        "line 1: not well-formed JSON",
    ),
    "in JSON, a number of many digits": (
        "a.json",
        f'{{"priority": {"1" * 5000}}}',
        "a whole number of thousands of digits",
    ),
    "sides of many digits": ("a.yaml", WITH + f"image_size: {'1' * 5000}x2", "must be a whole number from 16"),
    "in JSON, a scale of many digits": (
        "a.json",
        f'{{"content": "a", "style": "b", "parameters": {{"pyramid": {{"{"1" * 5000}": 3}}}}}}',
        "`parameters.pyramid`: must be auto, off, a list of long sides",
    ),
    "of a word or a number": ("a.yaml", WITH + "denoise: 0,5", "a decimal has a point: 0.5"),
}


@pytest.mark.parametrize("file, text, says", SAID.values(), ids=SAID)
def test_what_was_meant_is_said(file: str, text: str, says: str) -> None:
    assert says in "\n".join(problems(text, file))


@pytest.mark.parametrize(
    "field",
    [
        "epochs: 1,5",
        "epochs: ½",
        "epochs: 5000x2",
        "epochs: 0x1000",
        "protect: '1'",
        "protect: 50%",
        "print: ½",
        "pyramid: 1,5",
        "denoise: 150%",
        "protect: [{x: 150%, y: 0, width: 0.1, height: 0.1}]",
    ],
)
def test_no_hint_is_refused_itself(field: str) -> None:
    assert "write" not in problems(WITH + field)[0]
    assert "a decimal has a point" not in problems(WITH + field)[0]


def test_part_of_a_hint_that_may_not_be_is_left_out() -> None:
    assert problems(WITH + "epochs: 50%")[0].endswith("not '50%'; write the number alone: 50")
    assert problems(WITH + "image_size: 1,024")[0].endswith("not '1,024'; write 1024")
    assert problems(WITH + "protect: [{x: 50%, y: 0, width: 0.1, height: 0.1}]")[0].endswith(
        "; write 0.5 for that part of one"
    )


@pytest.mark.parametrize("again", ["yes", "on", "1", "true", "'true'"])
def test_true_is_read_alike_in_a_style_and_in_parameters(again: str) -> None:
    assert parse_template(f"style: b.jpg\nagain: {again}\n".encode(), "style.yaml")[1] is True
    assert parse(WITH + f"timelapse: {again}").parameters.timelapse
    assert parse_template(b"style: b.jpg\nagain: no\n", "style.yaml")[1] is False
    with pytest.raises(ManifestError, match="line 2: `again`: must be true or false, not 'perhaps'"):
        parse_template(b"style: b.jpg\nagain: perhaps\n", "style.yaml")


@pytest.mark.parametrize(
    "text, name",
    [
        ("name: 0123", "0123"),
        ("name: 007.50", "007.50"),
        ("name: 2026", "2026"),
        ("name: 1e3", "1e3"),
        ("name: yes", "yes"),
        ("name: no", "no"),
        ("name: off", "off"),
        ("name: true", "true"),
        ("name: No", "No"),
        ("name: 2026-01-02", "2026-01-02"),
        ("name: '0123'", "0123"),
    ],
)
def test_a_name_is_what_is_written(text: str, name: str) -> None:
    assert parse(f"{MINIMAL}{text}\n").name == name
    assert parse_template(f"style: b.jpg\n{text}\n".encode(), "style.yaml")[0].name == name


def test_a_picture_may_be_called_like_a_number() -> None:
    manifest = parse("content: 0123\nstyle: 2026\n")
    assert list(manifest.images.values()) == ["0123", "2026"]
    assert parse(json.dumps({"content": "a", "style": "b", "name": 12}), "a.json").name == "12"


@pytest.mark.parametrize(
    "name", ["a\u00a0b.jpg", "Bild 10.05\u202fPM.png", "“a”.jpg", "a “b”.jpg", "it's.jpg", "1,5.jpg"]
)
def test_what_may_stand_in_a_file_name_is_left(name: str) -> None:
    assert parse(f"content: {name}\nstyle: b.jpg\n").content == name


@pytest.mark.parametrize("text", ["", "name: ", "name: null", "name: ~"])
def test_no_name_is_no_name(text: str) -> None:
    if not text:
        assert parse(MINIMAL, "harbour.yaml").name == "harbour"
    else:
        assert "`name`" in problems(MINIMAL + text)[0]
