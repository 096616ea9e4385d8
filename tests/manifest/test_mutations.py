"""Whatever becomes of a manifest on its way, reading it ends in a manifest or in sentences, and soon."""

from __future__ import annotations

import copy
import json
import random
import time
from typing import Any

import pytest
import yaml

from pipeline.errors import ManifestError
from pipeline.manifest.document import write_document
from pipeline.manifest.model import Manifest
from pipeline.manifest.parse import parse_manifest
from tests.faults.test_broken_input import NASTY

SECONDS = 1.0  # of processor time for one manifest; a usual one takes a thousandth
BASES: list[dict[str, Any]] = [
    {"content": "a.jpg", "style": "b.jpg", "parameters": {"epochs": 2, "style_weight": 0.01, "pyramid": [64, 128]}},
    {
        "content": "photo.png",
        "style": [
            {"image": "b", "weight": 2, "content_mask": "m", "style_mask": "n"},
            {"image": "c", "content_mask": None},
            "d",
        ],
        "name": "ein Bild",
        "priority": -3,
        "preset": "tutorial",
        "parameters": {"content_layers": {"block5_conv2": 1.5}, "style_layers": ["block1_conv1"], "denoise": "auto"},
    },
    {
        "content": "a",
        "sweep": {
            "style": ["b", ["c", {"image": "d", "weight": 3}]],
            "style_weight": [1e-3, 1e-2],
            "image_size": [64, 96],
            "content_layers": [["block4_conv2"], {"block5_conv2": 2}],
        },
    },
    {"content": "日本.jpg", "style": "b", "init_image": "c", "parameters": {"init": "file", "color": "match"}},
]
WORDS = [
    "!!int ", "!!float ", "!!bool ", "!!null ", "!!str ", "!x ", "&a ", "*a ", "<<: ", "? ", "- ", ": ", ", ", "|\n  ",
    ">-\n", "---\n", "...\n", "%YAML 1.1\n", "# ", "\t", "\n", "\r", "\u2028", "\x85", "\0", "\x1b", "\x7f", "\ufeff",
    "{", "}", "[", "]", '"', "'", "\\", "\\ud83d", "\\udc00", "\\u0000", "\\x00", "null", "true", "~", ".nan", "-.inf",
    "1e999", "-1", "0", "9" * 25, "0x1F", "1_000", "1e-2", "٣", "é", "\U0001f600", "\u0301" * 40, "x" * 2000, "[" * 8,
    "content", "style", "sweep", "parameters", "epochs", "preset", "off", "auto", "../../x", "photos/*", "{a: " * 25,
]  # fmt: skip


def mutations(count: int, seed: int) -> list[tuple[str, bytes]]:
    """So many manifests, most of them broken, with the names of their files; the same ones for the same seed."""
    dice = random.Random(seed)
    return [_mutation(dice) for _ in range(count)]


def _mutation(dice: random.Random) -> tuple[str, bytes]:
    data = json.loads(json.dumps(dice.choice(BASES)))
    for _ in range(dice.choice((0, 0, 1, 3))):
        _replace_a_value(dice, data)
    match dice.randrange(4):
        case 0:
            file, text = "x.json", json.dumps(data, indent=dice.choice((None, 1)), ensure_ascii=dice.random() < 0.5)
        case 1:
            file, text = "x.json", json.dumps(data, indent="\t")
        case 2:
            file, text = "x.yaml", yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
        case _:
            file, text = "x.yaml", yaml.safe_dump(data, default_flow_style=True, width=1000)
    raw = bytearray(text.encode(dice.choice(("utf-8",) * 8 + ("utf-16", "utf-16-le", "utf-32")), "surrogatepass"))
    for _ in range(dice.choice((0, 1, 1, 2, 6))):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(5):
            case 0:
                raw[at:at] = dice.choice(WORDS).encode("utf-8", "surrogatepass")
            case 1:
                del raw[at : at + dice.choice((1, 1, 2, 20))]
            case 2:
                raw[at : at + 1] = bytes([dice.randrange(256)])
            case 3:
                start = dice.randrange(len(raw) + 1)
                raw[at:at] = raw[start : start + dice.randrange(60)] * dice.choice((1, 1, 2, 300))
            case 4:
                word = dice.choice(WORDS).encode("utf-8", "surrogatepass")
                raw[at : at + len(word)] = word
    return file, bytes(raw)


def _replace_a_value(dice: random.Random, data: Any) -> None:
    """Put something else in place of a value at any depth."""
    while True:
        steps = list(data) if isinstance(data, dict) else list(range(len(data)))
        if not steps:
            return
        step = dice.choice(steps)
        if not isinstance(data[step], dict | list) or dice.random() < 0.3:
            data[step] = copy.deepcopy(dice.choice(NASTY))
            return
        data = data[step]


def read(file: str, data: bytes) -> Manifest | None:
    """The manifest; None where it is refused, in sentences that can be shown to somebody."""
    start = time.process_time()
    try:
        manifest = parse_manifest(data, file)
        assert manifest.images["content"] == manifest.content
        assert manifest.steps > 0
        again = parse_manifest(write_document(manifest.effective()), file.replace("json", "yaml"))
        assert again == manifest
    except ManifestError as error:
        assert 0 < len(error.problems) <= 100
        for problem in error.problems:
            assert problem.startswith(file), problem
            assert len(problem.encode()) < 2000, problem
        return None
    finally:
        seconds = time.process_time() - start
        assert seconds < SECONDS, f"{seconds:g} s for {data[:2000]!r}"
    return manifest


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"wieght{n}: {n}\n" for n in range(4000)),
        json.dumps({"content": "a", "style": [{"image": "b", "weight": -1}] * 2400}),
        json.dumps({"content": "a", "style": "b", "parameters": {"style_layers": ["block1_conv1"] * 9000}}),
        json.dumps({"content": "a", "style": "b", "parameters": {"style_layers": [f"l{n}" for n in range(9000)]}}),
        json.dumps({"content": "a", "style": "b", "parameters": {f"seed{n}": n for n in range(4500)}}),
        json.dumps({"content": "a", "style": "b", "parameters": {"pyramid": list(range(16, 9000))}}),
        json.dumps({"content": "a", "style": "b", "name": "\u0315\u0301" * 60_000}, ensure_ascii=False),
        json.dumps({"content": "a", "style": "b", "x" * 200_000: 1}),
        json.dumps({"content": "a", "style": "b", "sweep": {"style": [["b"] * 140] * 64}}),
        "content: a\nstyle: b\nsweep: {style_weight: [" + "1e-2, " * 4000 + "]}",
        "content: " + "a " * 100_000 + "\nstyle: b",
        '{"content": "' + "\\u00e4" * 40_000 + '", "style": "b"}',
        '{"content": "' + '\\"' * 100_000,
        "content: '" + "''" * 100_000,
        "[" * 200_000,
        "? " * 100_000,
        "- " * 100_000,
        "a:\n" * 80_000,
        "{" * 200_000,
        "!" * 200_000,
        "&a " * 60_000,
    ],
    ids=lambda text: text[:40],
)
@pytest.mark.parametrize("file", ["x.yaml", "x.json"])
def test_a_manifest_that_is_made_to_be_slow_is_answered_soon(file: str, text: str) -> None:
    assert len(text.encode()) < 262_144
    read(file, text.encode())


def test_any_mutation_ends_in_a_manifest_or_in_sentences(is_long: bool) -> None:
    count = 100_000 if is_long else 2000
    ran = 0
    for number, (file, data) in enumerate(mutations(count, seed=1)):
        try:
            ran += read(file, data) is not None
        except Exception as error:
            raise AssertionError(f"mutation {number} of {file}: {data!r}") from error
    print(f"manifests mutated: {count}, of which {ran} are manifests and {count - ran} are refused with sentences")
    assert count / 20 < ran < count / 2
