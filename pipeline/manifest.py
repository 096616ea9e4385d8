"""What a manifest may say, how one is read, and the sentences for what is wrong with it."""

from __future__ import annotations

import functools
import itertools
import math
import re
import unicodedata
from collections.abc import Mapping
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

from pipeline.document import Document, read_document, short, shown
from pipeline.errors import ManifestError
from pipeline.parameters import PRESETS, Float, Int, Model, Parameters, suggestion

MAX_NAME_CHARACTERS = 100
MAX_PROBLEMS = 50  # told at once


@dataclass(frozen=True)
class Limits:
    """What one job may ask of the machine; each has an option of its name."""

    max_pixels: int = 200_000_000
    max_steps: int = 100_000
    max_styles: int = 16
    max_manifest_bytes: int = 256 * 1024
    max_variants: int = 64
    max_depth: int = 16  # of folders in a job folder
    max_files: int = 10_000  # in a job folder


_SWEPT_FIELDS = ("content", "style")
_RESERVED_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_NAME = re.compile(r"\w(?:[\w. -]*[\w-])?")


def _valid_name(name: str) -> str:
    if len(name) <= 10 * MAX_NAME_CHARACTERS:  # normalising marks without end takes its time
        name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise ValueError("may hold letters, digits, spaces and . _ - only, and starts with a letter or digit")
    if len(name) > MAX_NAME_CHARACTERS or len(name.encode()) > 2 * MAX_NAME_CHARACTERS:
        raise ValueError(f"is longer than {MAX_NAME_CHARACTERS} characters")
    if name.split(".")[0].lower() in _RESERVED_NAMES:
        raise ValueError(f"{shown(name)} is a name that Windows keeps for a device")
    return name


def _with_tail(name: str, tail: str) -> str:
    """A name with something added, cut before that where it would grow too long."""
    while len(name + tail) > MAX_NAME_CHARACTERS or len((name + tail).encode()) > 2 * MAX_NAME_CHARACTERS:
        name = name[:-1].rstrip(" .-")
    return name + tail


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
            raise ValueError(f"`{short(str(key))}`: unknown{suggestion(str(key), known)}")
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
        combinations = [dict(zip(swept, values, strict=True)) for values in itertools.product(*swept.values())]
        for name, changes in zip(self._names([one.get("content") for one in combinations]), combinations, strict=True):
            fields = {key: changes.pop(key) for key in ("content", "style") if key in changes}
            parameters = {**base["parameters"], **changes}
            found.append(Manifest.model_validate({**base, **fields, "name": name, "parameters": parameters}))
        return found

    def _names(self, contents: list[Any]) -> list[str]:
        """Names for the variants, by their photos: these alone where they tell all apart, also from the whole."""
        photos = [default_name(Path(content).stem) if isinstance(content, str) else "" for content in contents]
        are_clear = all(photos) and len(set(map(str.casefold, photos))) == len(photos)
        if are_clear and not any(f"{photo}.".startswith(f"{self.name}.") for photo in photos):
            return photos
        tails = [f"-{number:03}{photo and '-'}{photo}" for number, photo in enumerate(photos, 1)]
        return [_with_tail(self.name, tail) for tail in tails]

    def excess_of_variants(self, limits: Limits) -> str:
        """A sentence where a sweep has too many variants, or these ask for too much; else nothing.

        Raises:
            ValidationError: a combination cannot be run.
        """
        count = math.prod(map(len, (self.sweep or {}).values()))
        if count > limits.max_variants:
            return f"`sweep`: {count:,} combinations; the limit is {limits.max_variants} (--max-variants)"
        styles = max(len(run.style) for run in self.variants())
        if styles > limits.max_styles:
            return f"`sweep`: a combination of {styles} style images; the limit is {limits.max_styles} (--max-styles)"
        if self.steps > limits.max_steps:
            asked = f"{self.steps:,} steps in all {count} combinations"
            return f"`sweep`: {asked}; the limit is {limits.max_steps:,} (--max-steps)"
        return ""

    def with_contents(self, paths: list[str]) -> Manifest:
        """The manifest with a sweep over these content images."""
        data = self.effective()
        return Manifest.model_validate({**data, "content": paths[0], "sweep": {**data["sweep"], "content": paths}})

    @property
    def steps(self) -> int:
        """Steps in all, of every variant."""
        runs = self.variants() if self.sweep else [self]
        return sum(run.parameters.epochs * run.parameters.steps_per_epoch for run in runs)

    def effective(self) -> dict[str, Any]:
        """Plain data with every default filled in; as a manifest it makes the same picture.

        Where a sweep changes `image_size` and nobody gave a `style_size`, it stays out, as it follows each one.
        """
        data = self.model_dump(mode="json")
        if "image_size" in (self.sweep or {}) and "style_size" not in self.parameters.model_fields_set:
            del data["parameters"]["style_size"]
        return data

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
    document = _read(data, file, limits)
    if not isinstance(document.data, dict):
        raise ManifestError(f"{file}: a manifest is a list of `key: value` lines, such as `content: photo.jpg`.")
    fields = _on_own_preset({"name": name or default_name(file), **document.data}, presets, limits)
    return _validated(fields, document, file, limits)


def parse_template(
    data: bytes, file: str, limits: Limits = Limits(), presets: Path | None = None
) -> tuple[Manifest, bool]:
    """The manifest without `content` in ``data``, as of a style folder, and whether it says `again: true`.

    ``content``, and ``name`` where it gives none, are `photo`. Arguments and errors as ``parse_manifest``.
    """
    document = _read(data, file, limits)
    if not isinstance(document.data, dict):
        raise ManifestError(f"{file}: a style is a list of `key: value` lines, such as `style: painting.jpg`.")
    fields = dict(document.data)
    again = fields.pop("again", False)
    problems = []
    if not isinstance(again, bool):
        problems.append(f"{file}, line {document.line(['again'])}: `again`: must be true or false, not {shown(again)}")
    if "content" in fields:
        problems.append(f"{file}, line {document.line(['content'])}: `content`: each photo of the folder is one")
    if isinstance(fields.get("sweep"), dict) and "content" in fields["sweep"]:
        line = document.line(["sweep", "content"])
        problems.append(f"{file}, line {line}: `sweep.content`: each photo of the folder is a job of its own")
    if problems:
        raise ManifestError(*problems)
    fields = _on_own_preset({"name": "photo", **fields, "content": "photo"}, presets, limits)
    return _validated(fields, document, file, limits), again


def _read(data: bytes, file: str, limits: Limits) -> Document:
    if len(data) > limits.max_manifest_bytes:
        limit = f"{limits.max_manifest_bytes:,} bytes, the limit for a manifest (--max-manifest-bytes)"
        raise ManifestError(f"{file}: more than {limit}.")
    return read_document(data, file)


def _validated(fields: dict[str, Any], document: Document, file: str, limits: Limits) -> Manifest:
    """The manifest of these fields; what is wrong with it is told with the lines of the document."""
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        # style_size waits for image_size, whose own problem is in the list.
        found = [problem for problem in error.errors() if problem["type"] != "default_factory_not_called"]
        found.sort(key=lambda problem: document.line(problem["loc"]))
        told = [
            f"{file}, line {document.line(problem['loc'])}: {_sentence(problem)}" for problem in found[:MAX_PROBLEMS]
        ]
        more = len(found) - len(told)
        raise ManifestError(*told, *([f"{file}: {more:,} more problems."] if more else [])) from None
    if excesses := _excesses(manifest, limits):
        raise ManifestError(*(f"{file}, line {document.line(location)}: {text}" for location, text in excesses))
    return manifest


def _excesses(manifest: Manifest, limits: Limits) -> list[tuple[list[str], str]]:
    """What a manifest asks for beyond the limits, and combinations that cannot be: where, and a sentence."""
    if manifest.sweep:
        try:
            excess = manifest.excess_of_variants(limits)
        except ValidationError as error:
            return [(["sweep"], f"`sweep`, {_sentence(problem)}") for problem in error.errors()]
        return [(["sweep"], excess)] if excess else []
    found = []
    if len(manifest.style) > limits.max_styles:
        excess = f"`style`: {len(manifest.style)} images; the limit is {limits.max_styles} (--max-styles)"
        found.append((["style"], excess))
    if manifest.steps > limits.max_steps:
        excess = (
            f"`epochs` × `steps_per_epoch`: {manifest.steps:,} steps; the limit is {limits.max_steps:,} (--max-steps)"
        )
        found.append((["parameters", "epochs"], excess))
    return found


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
    own = _read(data, path.name, limits)
    if not isinstance(own.data, dict) or not set(own.data) <= {"preset", "parameters"}:
        raise ManifestError(f"{path.name}: a preset has `parameters`, and `preset` for what it rests on, alone.")
    base = _validated({"name": preset, "content": "none", "style": "none", **own.data}, own, path.name, limits)
    given = fields.get("parameters")
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
    field = ".".join(short(str(part)) for part in location) or "manifest"
    context: Mapping[str, Any] = problem.get("ctx", {})
    value = shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden":
            return f"`{field}`: {_elsewhere(location) or 'unknown' + suggestion(str(location[-1]), _fields(location))}"
        case "missing":
            return f"`{field}`: missing"
        case "value_error":
            return f"`{field}`: {context['error']}"
        case "literal_error":
            own = ", or have a file of its name in the folder of --presets" if location == ["preset"] else ""
            return f"`{field}`: must be one of {context['expected']}{own}, not {value}"
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


def _and_range(location: list[int | str]) -> str:
    models: dict[str, type[BaseModel]] = {"parameters": Parameters, "style": StyleImage}
    model = models.get(str(location[0]), Manifest)
    schema = _schema(model)["properties"].get(str(location[-1]), {})
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None or high is None:
        return ""
    above = "above" if "exclusiveMinimum" in schema else "from"
    below = "to below" if "exclusiveMaximum" in schema else "to"
    return f" {above} {low:g} {below} {high:g}" if high < 1e6 else f" {above} {low:g} {below} {high:.0g}"
