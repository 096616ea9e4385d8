"""What pydantic finds wrong with a manifest, as sentences to the person who wrote it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pipeline.errors import short, shown, suggestion
from pipeline.manifest import slips
from pipeline.manifest.fields import PROTECTION_TAGS, Box, Print
from pipeline.manifest.model import Manifest, StyleImage
from pipeline.manifest.parameters import Parameters

_EXAMPLES = {
    "content": "; name a photo, such as `content: harbour.jpg`",
    "style": "; name a painting, such as `style: wave.jpg`",
}

_PYDANTICS_OWN = ("[key]", *PROTECTION_TAGS)


def sentence(problem: ErrorDetails) -> str:
    """What is wrong, where in the manifest, and what it must be."""
    location = [part for part in problem["loc"] if part not in _PYDANTICS_OWN]
    field = ".".join(short(str(part)) for part in location) or "manifest"
    context: Mapping[str, Any] = problem.get("ctx", {})
    value = shown(problem["input"])
    meant = slips.number_meant(problem["input"], functools.partial(_takes, location))
    match problem["type"]:
        case "extra_forbidden" if str(location[-1]).isdigit() and problem["input"] is None:
            return f"`{field}`: a number behind a comma; a decimal has a point, not a comma, such as 1.{location[-1]}"
        case "extra_forbidden":
            return f"`{field}`: {_elsewhere(location) or 'unknown' + suggestion(str(location[-1]), _fields(location))}"
        case "missing":
            return f"`{field}`: missing{_EXAMPLES.get(field, '')}"
        case "value_error":
            return f"`{field}`: {context['error']}{meant}"
        case "literal_error":
            own = ", or have a file of its name in the folder of --presets" if location == ["preset"] else ""
            known = re.findall("'([^']*)'", str(context["expected"]))
            near = suggestion(str(problem["input"]).casefold(), known)
            return f"`{field}`: must be one of {context['expected']}{own}, not {value}{near}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"`{field}`: must be {_range(location, context)}, not {value}"
        case kind if kind.startswith(("int_", "float_")):
            number = "a whole number" if kind.startswith("int_") else "a number"
            return f"`{field}`: must be {number}{_and_range(location)}, not {value}{meant}"
        case "bool_type" | "bool_parsing":
            return f"`{field}`: must be true or false, not {value}"
        case "finite_number":
            return f"`{field}`: must be a finite number{_and_range(location)}, not {value}"
        case "too_short":
            return f"`{field}`: must not be empty"
        case "too_long":
            return f"`{field}`: must be {context['max_length']} at most"
        case "dict_type" if str(location[-1]).endswith("_layers"):
            return (
                f"`{field}`: must be a list of layers, such as [block4_conv2], or lines of `layer: weight`, not {value}"
            )
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"`{field}`: must be lines of `key: value`, not {value}"
        case "string_type" if location == ["content"] and isinstance(problem["input"], list):
            return f"`{field}`: one photo, not {value}; several are a `sweep`, or for `stylistic submit`"
        case "string_type":
            return f"`{field}`: must be text, not {value}"
        case _:
            return f"`{field}`: {problem['msg'].replace('Input should', 'must')}, not {value}"


def _elsewhere(location: list[int | str]) -> str:
    """Where a known word belongs that stands in the wrong place."""
    match location:
        case [str(word)] if word in Parameters.model_fields:
            return "belongs under `parameters`, indented"
        case ["parameters", str(word)] if word in Manifest.model_fields:
            return "belongs at the top, beside `content`, not under `parameters`"
        case _:
            return ""


def _fields(location: list[int | str]) -> list[str]:
    """The words that are known where the last one of ``location`` stands."""
    match location[:-1]:
        case ["parameters"]:
            return list(Parameters.model_fields)
        case ["style", *_]:
            return list(StyleImage.model_fields)
        case ["parameters", "protect", *_]:
            return list(Box.model_fields)
        case _:
            return list(Manifest.model_fields)


def _range(location: list[int | str], context: Mapping[str, Any]) -> str:
    if words := _and_range(location):
        return words.strip()
    names = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    return " and ".join(f"{names[key]} {bound:g}" for key, bound in context.items() if key in names)


@functools.cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _of_schema(location: list[int | str]) -> dict[str, Any]:
    """What is known of a field of a manifest or of what is in it; nothing of the weight of a layer."""
    model: type[BaseModel] = Manifest
    match location:
        case ["parameters", "protect", _, _]:
            model = Box
        case ["parameters", "print", _]:
            model = Print
        case ["parameters", *_]:
            model = Parameters
        case ["style", *_]:
            model = StyleImage
    found: dict[str, Any] = _schema(model)["properties"].get(str(location[-1]) if location else "", {})
    return found


def _takes(location: list[int | str], number: float) -> bool:
    """Whether a number may stand somewhere, as far as that is known."""
    schema = _of_schema(location)
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") in ("integer", "number")]
    return not schema or any(
        (one["type"] == "number" or number == int(number))
        and one.get("minimum", -math.inf) <= number <= one.get("maximum", math.inf)
        and one.get("exclusiveMinimum", -math.inf) < number < one.get("exclusiveMaximum", math.inf)
        for one in kinds
    )


def _and_range(location: list[int | str]) -> str:
    schema = _of_schema(location)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None or high is None:
        return ""
    above = "above" if "exclusiveMinimum" in schema else "from"
    below = "to below" if "exclusiveMaximum" in schema else "to"
    return f" {above} {low:g} {below} {high:g}" if high < 1e6 else f" {above} {low:g} {below} {high:.0g}"
