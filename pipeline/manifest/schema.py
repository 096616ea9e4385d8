"""The JSON Schema of a manifest: what its text may say, of which the models see what that was read as."""

from __future__ import annotations

from typing import Any

from pipeline.manifest.model import SWEPT_FIELDS, Manifest
from pipeline.manifest.parameters import Parameters

_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
}  # of pydantic, where null may stand, too
_NAME = {"type": ["string", "number"]}  # a number is taken as it is written
_STYLE = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/StyleImage"}]}
_STYLES = {"type": "array", "items": _STYLE, "minItems": 1}


def json_schema() -> dict[str, Any]:
    """JSON Schema of a manifest, for editors and other programs. It does not know what fields ask of one another."""
    schema = _with_bounds(Manifest.model_json_schema())
    fields = schema["properties"]
    for name, changed in (
        ("content", _NAME),
        ("name", _NAME),
        ("init_image", {"type": [*_NAME["type"], "null"]}),
        ("style", {"anyOf": [_NAME, _STYLE, _STYLES]}),
        ("preset", {"anyOf": [{"enum": fields["preset"]["enum"]}, _NAME]}),
        ("parameters", {"anyOf": [{"$ref": "#/$defs/Parameters"}, {"type": "null"}]}),
        ("sweep", {"anyOf": [_sweep(), {"type": "null"}]}),
    ):
        kept = {key: value for key, value in fields[name].items() if key in ("default", "description", "title")}
        fields[name] = {**kept, **changed}
    del schema["required"]  # `name` falls back on the file's, the others on the sweep's
    schema["allOf"] = [
        {"anyOf": [{"required": [name]}, {"required": ["sweep"], "properties": {"sweep": {"required": [name]}}}]}
        for name in SWEPT_FIELDS
    ]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_bounds(schema: Any) -> Any:
    if isinstance(schema, list):
        return list(map(_with_bounds, schema))
    if isinstance(schema, dict):
        return {_BOUNDS.get(key, key): _with_bounds(value) for key, value in schema.items()}
    return schema


def _sweep() -> dict[str, Any]:
    lists = {
        name: {"type": "array", "items": {"$ref": f"#/$defs/Parameters/properties/{name}"}, "minItems": 1}
        for name in Parameters.model_fields
    }
    photos = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    paintings = {"type": "array", "items": {"anyOf": [_STYLE, _STYLES]}, "minItems": 1}
    fields = {"content": {"anyOf": [{"type": "string"}, photos]}, "style": {"anyOf": [{"type": "string"}, paintings]}}
    return {"type": "object", "properties": {**fields, **lists}, "additionalProperties": False, "minProperties": 1}
