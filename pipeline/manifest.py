"""What a manifest may say, how one is read, and the sentences for what is wrong with it."""

from __future__ import annotations

import functools
import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from pipeline.document import read_document
from pipeline.errors import ManifestError
from pipeline.parameters import PRESETS, Float, Int, Model, Parameters, shown, suggestion

MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Limits:
    """What one job may ask of the machine; each has an option of its name."""

    max_pixels: int = 200_000_000
    max_steps: int = 100_000
    max_styles: int = 16
    max_manifest_bytes: int = 256 * 1024
    max_variants: int = 64


_SWEPT_FIELDS = ("content", "style")
_NO_IMAGES = b"\ncontent: none\nstyle: none\n"  # after a preset's lines, whose numbers they leave alone
_RESERVED_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_NAME = re.compile(r"\w(?:[\w. -]*[\w-])?")


def _valid_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise ValueError("may hold letters, digits, spaces and . _ - only, and starts with a letter or digit")
    if len(name) > MAX_NAME_CHARACTERS or len(name.encode()) > 2 * MAX_NAME_CHARACTERS:
        raise ValueError(f"is longer than {MAX_NAME_CHARACTERS} characters")
    if name.split(".")[0].lower() in _RESERVED_NAMES:
        raise ValueError(f"{name!r} is a name that Windows keeps for a device")
    return name


def _valid_path(path: str) -> str:
    if "\0" in path or not path.strip():
        raise ValueError("must be the path of an image")
    if len(path) > 1024:
        raise ValueError("is longer than 1024 characters")
    return path


def _as_styles(value: Any) -> Any:
    styles = value if isinstance(value, list) else [value]
    return [{"image": style} if isinstance(style, str) else style for style in styles]


def _first_of_sweep(sweep: Any) -> dict[str, Any]:
    """What stands for `content` and `style` where only a sweep names them."""
    if not isinstance(sweep, dict):
        return {}
    lists = {key: sweep[key] if isinstance(sweep[key], list) else [sweep[key]] for key in _SWEPT_FIELDS if key in sweep}
    return {key: values[0] for key, values in lists.items() if values}


def _lists_of_values(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("must be lines of `parameter: [value, value]`")
    value = {key: [v] if key in _SWEPT_FIELDS and isinstance(v, str) else v for key, v in value.items()}
    known = [*_SWEPT_FIELDS, *Parameters.model_fields]
    for key, values in value.items():
        if key not in known:
            raise ValueError(f"`{key}`: unknown{suggestion(str(key), known)}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"`{key}`: must be a list of values, not {shown(values)}")
    return value


_STYLE_SCHEMA = {
    "type": "object",
    "properties": {"image": {"type": "string"}, "weight": {"type": "number", "exclusiveMinimum": 0}}
    | {mask: {"type": ["string", "null"]} for mask in ("content_mask", "style_mask")},
    "required": ["image"],
    "additionalProperties": False,
}
_STYLES_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, _STYLE_SCHEMA]},
            "minItems": 1,
        },
    ]
}
_Path = Annotated[str, AfterValidator(_valid_path)]


class StyleImage(Model):
    """One of several style images; weights count relative to each other.

    Masks are greyscale: white is in, black is out, grey is a soft edge.
    """

    image: _Path
    weight: Float = Field(1.0, gt=0, le=1e6)
    content_mask: _Path | None = None  # where in the photo this style paints; None for everywhere
    style_mask: _Path | None = None  # which part of the painting counts; None for all of it


class Manifest(Model):
    """A job: a photo, the painting or paintings to paint it like, and how."""

    content: Annotated[_Path, Field(description="the photo; relative to the manifest")]
    style: Annotated[
        list[StyleImage],
        BeforeValidator(_as_styles),
        Field(min_length=1, description="the painting, or a list of paintings with weights"),
        WithJsonSchema(_STYLES_SCHEMA),
    ]
    init_image: Annotated[_Path | None, Field(description="the picture to start from, with `init: file`")] = None
    name: Annotated[str, AfterValidator(_valid_name)]
    priority: Int = Field(0, ge=-1000, le=1000, description="higher runs first")
    preset: Annotated[Literal["tutorial", "draft", "standard", "fine"], Field(description="or one of --presets")] = (
        "standard"
    )
    parameters: Parameters = Parameters()
    sweep: Annotated[
        Annotated[dict[str, list[Any]], Field(min_length=1)] | None,
        BeforeValidator(_lists_of_values),
        Field(description="lists of values for parameters, `style` or `content`: every combination runs"),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _rest_on_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = {**_first_of_sweep(data.get("sweep")), **data}
        base = PRESETS.get(str(data.get("preset", "standard")), {})
        given = data.get("parameters")
        given = {} if given is None else given
        return {**data, "parameters": {**base, **given} if isinstance(given, dict) else given}

    @model_validator(mode="after")
    def _start_from_something(self) -> Manifest:
        if (self.init_image is not None) is not (self.parameters.init == "file"):
            raise ValueError("`init: file` and `init_image: PATH` need each other")
        return self

    def variants(self) -> list[Manifest]:
        """Every combination of a sweep as a manifest of its own, the last field changing fastest.

        Raises:
            ValidationError: a combination cannot be run.
        """
        found: list[Manifest] = []
        base = {**self.effective(), "sweep": None}
        swept = self.sweep or {}
        for values in itertools.product(*swept.values()):
            changes = dict(zip(swept, values, strict=True))
            fields = {key: changes.pop(key) for key in ("content", "style") if key in changes}
            if self.parameters.style_size == self.parameters.image_size and "image_size" in changes:
                changes.setdefault("style_size", changes["image_size"])
            parameters = {**base["parameters"], **changes}
            name = f"{self.name[: MAX_NAME_CHARACTERS - 8].rstrip()}-{len(found) + 1:03}"
            found.append(Manifest.model_validate({**base, **fields, "name": name, "parameters": parameters}))
        return found

    def excess_of_variants(self, limits: Limits) -> str:
        """A sentence where a sweep has too many; else nothing."""
        count = math.prod(map(len, (self.sweep or {}).values()))
        if count <= limits.max_variants:
            return ""
        return f"`sweep`: {count:,} combinations; the limit is {limits.max_variants} (--max-variants)"

    def with_contents(self, paths: list[str]) -> Manifest:
        """The manifest with a sweep over these content images."""
        data = self.effective()
        return Manifest.model_validate({**data, "content": paths[0], "sweep": {**data["sweep"], "content": paths}})

    @property
    def steps(self) -> int:
        """Steps in all, of every variant."""
        runs = self.variants() if self.sweep else [self]
        return sum(run.parameters.steps for run in runs)

    def effective(self) -> dict[str, Any]:
        """Plain data with every default filled in; as a manifest it makes the same picture."""
        return self.model_dump(mode="json")

    @functools.cached_property
    def images(self) -> dict[str, str]:
        """The path of each image as written, by its part: ``content``, ``style-1``, ``mask-1-content``, ``init``…"""
        parts = {"content": self.content, **{f"style-{n}": style.image for n, style in enumerate(self.style, 1)}}
        for number, style in enumerate(self.style, 1):
            masks = {"content": style.content_mask, "style": style.style_mask}
            parts |= {f"mask-{number}-{of}": path for of, path in masks.items() if path}
        if self.init_image:
            parts["init"] = self.init_image
        if self.sweep:
            others = {path for variant in self.variants() for path in variant.images.values()} - set(parts.values())
            parts |= {f"sweep-{n}": path for n, path in enumerate(sorted(others), 1)}
        return parts


def json_schema() -> dict[str, Any]:
    """JSON Schema of a manifest, for editors and other programs."""
    schema = Manifest.model_json_schema()
    # `name` falls back on the file's name, which the model does not know.
    schema["required"].remove("name")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def parse_manifest(
    data: bytes, file: str, name: str | None = None, limits: Limits = Limits(), presets: Path | None = None
) -> Manifest:
    """The manifest in ``data``.

    Args:
        data: YAML, or JSON if ``file`` ends in ``.json``.
        file: the name of the file, for its form and for the sentences.
        name: the job's name where the manifest gives none; default: from the name of the file.
        limits: refused beyond.
        presets: a folder of presets of one's own.

    Raises:
        ManifestError: with every problem, each a sentence that names file, line and field.
    """
    if len(data) > limits.max_manifest_bytes:
        raise ManifestError(
            f"{file}: more than {limits.max_manifest_bytes:,} bytes, the limit for a manifest (--max-manifest-bytes)."
        )
    document = read_document(data, file)
    if not isinstance(document.data, dict):
        raise ManifestError(f"{file}: a manifest is a list of `key: value` lines, such as `content: photo.jpg`.")
    fields = {"name": name or default_name(file), **document.data}
    try:
        manifest = Manifest.model_validate(_on_own_preset(fields, presets, limits))
    except ValidationError as error:
        found = [
            (document.line(problem["loc"]), _sentence(problem))
            for problem in error.errors()
            # style_size waits for image_size, whose own problem is in the list.
            if problem["type"] != "default_factory_not_called"
        ]
        raise ManifestError(*(f"{file}, line {line}: {text}" for line, text in sorted(found))) from None
    excesses = []
    if len(manifest.style) > limits.max_styles:
        excess = f"`style`: {len(manifest.style)} images; the limit is {limits.max_styles} (--max-styles)"
        excesses.append(f"{file}, line {document.line(['style'])}: {excess}")
    steps = manifest.parameters.steps
    if steps > limits.max_steps:
        excess = f"`epochs` × `steps_per_epoch`: {steps:,} steps; the limit is {limits.max_steps:,} (--max-steps)"
        excesses.append(f"{file}, line {document.line(['parameters', 'epochs'])}: {excess}")
    if excess := manifest.excess_of_variants(limits):
        excesses.append(f"{file}, line {document.line(['sweep'])}: {excess}")
    if excesses:
        raise ManifestError(*excesses)
    try:
        manifest.variants()
    except ValidationError as error:
        line = document.line(["sweep"])
        raise ManifestError(*(f"{file}, line {line}: `sweep`, {_sentence(p)}" for p in error.errors())) from None
    return manifest


def _on_own_preset(fields: dict[str, Any], presets: Path | None, limits: Limits) -> dict[str, Any]:
    """A manifest's fields with those of a preset of one's own filled in, resting on the built-in one that it rests on.

    A preset's file is a manifest without images: `parameters`, and `preset` for its own base.
    """
    preset = fields.get("preset")
    if presets is None or preset in PRESETS or not isinstance(preset, str) or not _NAME.fullmatch(preset):
        return fields
    path = presets / f"{preset}.yaml"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return fields
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}).") from None
    own = read_document(data, path.name).data
    if not isinstance(own, dict) or not set(own) <= {"preset", "parameters"}:
        raise ManifestError(f"{path.name}: a preset has `parameters`, and `preset` for what it rests on, alone.")
    given = fields.get("parameters")
    # Read as a manifest, so that its mistakes are told with its own lines.
    base = parse_manifest(data + _NO_IMAGES, path.name, preset, limits)
    parameters = base.parameters.model_dump(mode="json", exclude_unset=True)
    given = {} if given is None else given
    return {
        **fields,
        "preset": base.preset,
        "parameters": {**parameters, **given} if isinstance(given, dict) else given,
    }


def default_name(file: str) -> str:
    """A job's name from the name of its manifest or folder, made safe as a file name."""
    stem = unicodedata.normalize("NFC", re.sub(r"\.(ya?ml|json)$", "", file, flags=re.IGNORECASE))
    name = re.sub(r"[^\w. -]+", "-", stem)[: MAX_NAME_CHARACTERS // 2].strip(" .-_")
    try:
        return _valid_name(name)
    except ValueError:
        return f"job-{name}" if name else "job"


def _sentence(problem: ErrorDetails) -> str:
    location = [part for part in problem["loc"] if part != "[key]"]
    field = ".".join(str(part) for part in location) or "manifest"
    context: Mapping[str, Any] = problem.get("ctx", {})
    value = shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden":
            known = _fields(location[:-1])
            return f"`{field}`: unknown{suggestion(str(location[-1]), known)}"
        case "missing":
            return f"`{field}`: missing"
        case "value_error":
            return f"`{field}`: {context['error']}"
        case "literal_error":
            return f"`{field}`: must be one of {context['expected']}, not {value}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"`{field}`: must be {_range(location, context)}, not {value}"
        case kind if kind.startswith(("int_", "float_")):
            number = "a whole number" if kind.startswith("int_") else "a number"
            return f"`{field}`: must be {number}{_and_range(location)}, not {value}"
        case "finite_number":
            return f"`{field}`: must be a finite number{_and_range(location)}, not {value}"
        case "too_short":
            return f"`{field}`: must not be empty"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"`{field}`: must be lines of `key: value`, not {value}"
        case _:
            return f"`{field}`: {problem['msg'].replace('Input should', 'must')}, not {value}"


def _fields(location: Iterable[int | str]) -> list[str]:
    match list(location):
        case ["parameters"]:
            return list(Parameters.model_fields)
        case ["style", *_]:
            return list(StyleImage.model_fields)
        case _:
            return list(Manifest.model_fields)


def _range(location: list[int | str], context: Mapping[str, Any]) -> str:
    if words := _and_range(location):
        return words.strip()
    names = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    return " and ".join(f"{names[key]} {bound:g}" for key, bound in context.items() if key in names)


def _and_range(location: list[int | str]) -> str:
    models: dict[str, type[BaseModel]] = {"parameters": Parameters, "style": StyleImage}
    model = models.get(str(location[0]), Manifest)
    schema = model.model_json_schema()["properties"].get(str(location[-1]), {})
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None or high is None:
        return ""
    above = "above" if "exclusiveMinimum" in schema else "from"
    below = "to below" if "exclusiveMaximum" in schema else "to"
    return f" {above} {low:g} {below} {high:g}" if high < 1e6 else f" {above} {low:g} {below} {high:.0g}"
