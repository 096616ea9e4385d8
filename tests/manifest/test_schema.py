"""The JSON Schema beside what is read: what it refuses is refused, and what the docs show is taken by both."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from pipeline.errors import ManifestError
from pipeline.manifest.document import read_document
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schema import json_schema
from tests.conftest import ROOT
from tests.manifest.conftest import MINIMAL, parse

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
WITH = MINIMAL + "parameters: "


def faults(text: str) -> list[str]:
    data: Any = json.loads(json.dumps(read_document(text.encode(), "a.yaml").data))  # JSON has no numbers for keys
    return [error.message for error in VALIDATOR.iter_errors(data)]


def is_manifest(text: str) -> bool:
    try:
        return bool(parse(text, "a.yaml"))
    except ManifestError:
        return False


def test_it_is_a_schema_that_knows_each_parameter_and_its_range() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["$defs"]["Parameters"]["properties"]) == set(Parameters.model_fields)
    assert schema["$defs"]["Parameters"]["properties"]["epochs"]["maximum"] == 1000


def test_it_takes_each_manifest_that_the_docs_show() -> None:
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
    shown = [found for page in pages for found in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    shown += [path.read_text("utf-8") for path in ROOT.glob("examples/*/job.yaml")]
    whole = list(filter(is_manifest, shown))
    assert len(whole) >= 9
    assert {text: told for text in whole if (told := faults(text))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "content: a.jpg\nsweep: {style: [b.jpg, [b.jpg, {image: c.jpg, weight: 2}]]}",
        "sweep: {content: [a.jpg, b.jpg], style: c.jpg}",
        "content: a.jpg\nstyle: {image: wave.jpg, weight: 2}",
        MINIMAL + "parameters:",
        MINIMAL + "sweep:",
        MINIMAL + "name: 2026",
        "content: 0123\nstyle: 2026",
        WITH + "{print: {width_cm: 90, dpi: 300}, protect: off, content_limit: off, denoise: auto}",
        WITH + "{protect: mask.png, pyramid: {128: 150, 256: 100}, content_layers: {block4_conv2: 0.5}}",
        WITH + "{protect: [{x: 0.35, y: 0.12, width: 0.17, height: 0.22}], style_layers: [block1_conv1]}",
        MINIMAL + "sweep: {pyramid: [auto, [128, 256]], print: [{height_cm: 10}], protect: [off, mask.png]}",
    ],
)
def test_it_takes_what_is_read(text: str) -> None:
    assert is_manifest(text)
    assert faults(text) == []


def test_a_preset_of_ones_own_is_none_of_its_faults() -> None:
    assert faults(MINIMAL + "preset: night") == []


@pytest.mark.parametrize(
    "text",
    [
        "content: a.jpg",
        "style: a.jpg\nsweep: {strength: [1]}",
        "content: a.jpg\nstyle: {weight: 2}",
        "content: a.jpg\nstyle: []",
        MINIMAL + "colour: red",
        MINIMAL + "start: -1",
        MINIMAL + "sweep: {}",
        MINIMAL + "sweep: {strength: 1}",
        MINIMAL + "sweep: {strength: []}",
        MINIMAL + "sweep: {epochs: [1, 0]}",
        MINIMAL + "sweep: {preset: [draft]}",
        WITH + "{content_layers: {block4_conv2: -1}}",
        WITH + "{content_layers: {}}",
        WITH + "{protect: face}",
        WITH + "{protect: []}",
        WITH + "{pyramid: []}",
        WITH + "{pyramid: {128: 0}}",
        WITH + "{print: {width_cm: 0}}",
    ],
)
def test_it_refuses_what_is_refused(text: str) -> None:
    assert not is_manifest(text)
    assert faults(text) != []
