"""What a manifest may say: the models, the presets, and the sentences for what is wrong with one."""

from __future__ import annotations

import difflib
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
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from pipeline.document import read_document
from pipeline.errors import ManifestError

VGG19_LAYERS = tuple(
    f"block{block}_conv{conv}" for block, convs in enumerate((2, 2, 4, 4, 4), 1) for conv in range(1, convs + 1)
)
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
CONTENT_LAYERS = ("block5_conv2",)

MAX_NAME_CHARACTERS = 100

# TensorFlow's tutorial "Neural style transfer", to the letter; the others are points on the curve of time and quality.
PRESETS: dict[str, dict[str, Any]] = {
    "tutorial": {
        "epochs": 10,
        "steps_per_epoch": 100,
        "pyramid": "off",
        "optimizer": "adam",
        "learning_rate": 0.02,
        "beta_1": 0.99,
        "beta_2": 0.999,
        "epsilon": 0.1,
        "precision": "float32",
    },
    "draft": {"epochs": 1},
    "standard": {},
    "fine": {"epochs": 8},
}


@dataclass(frozen=True)
class Limits:
    """What one job may ask of the machine; each has an option of its name."""

    max_pixels: int = 200_000_000
    max_steps: int = 100_000
    max_styles: int = 16
    max_manifest_bytes: int = 256 * 1024


_NO_IMAGES = b"\ncontent: none\nstyle: none\n"  # after a preset's lines, whose numbers they leave alone
_RESERVED_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_NAME = re.compile(r"\w(?:[\w. -]*[\w-])?")


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def _layer_weights(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if not all(isinstance(layer, str) for layer in value):
        raise ValueError("must list names of layers such as block5_conv2")
    if repeated := [layer for layer in value if value.count(layer) > 1]:
        raise ValueError(f"{repeated[0]!r} is listed twice; give it a weight instead: {{{repeated[0]}: 2}}")
    return dict.fromkeys(value, 1.0)


def _known_layers(layers: dict[str, float]) -> dict[str, float]:
    for layer in layers:
        if layer not in VGG19_LAYERS:
            raise ValueError(f"{layer!r} is no convolution of VGG-19{_suggestion(layer, VGG19_LAYERS)}")
    return layers


def _plain_layers(layers: dict[str, float]) -> list[str] | dict[str, float]:
    return list(layers) if set(layers.values()) == {1.0} else layers


def _rising(value: Any) -> Any:
    if value is False:  # what YAML 1.1 makes of a bare `off`
        return "off"
    if isinstance(value, list) and all(type(side) is int for side in value):
        if not value or any(b <= a for a, b in itertools.pairwise(value)):
            raise ValueError("must list long sides from coarse to fine, each larger than the one before")
        if value[0] < 16:
            raise ValueError(f"must not go below 16 pixels, not {value[0]}")
        return value
    if value in ("auto", "off"):
        return value
    raise ValueError(f"must be auto, off, or a list of long sides in pixels such as [128, 256, 512], not {value!r}")


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


def _number_or_auto(high: float) -> tuple[Any, ...]:
    def validate(value: Any) -> Any:
        if value == "auto":
            return value
        try:
            number = float(_refuse_bool(value))
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not 0.0 <= number <= high:
            raise ValueError(f"must be auto or a number from 0 to {high:g}, not {_shown(value)}")
        return number

    schema = {"anyOf": [{"const": "auto"}, {"type": "number", "minimum": 0, "maximum": high}]}
    return PlainValidator(validate), WithJsonSchema(schema)


_LAYERS_SCHEMA = {
    "anyOf": [
        {"type": "array", "items": {"enum": list(VGG19_LAYERS)}, "minItems": 1, "uniqueItems": True},
        {"type": "object", "propertyNames": {"enum": list(VGG19_LAYERS)}, "additionalProperties": {"type": "number"}},
    ]
}
_STYLE_SCHEMA = {
    "type": "object",
    "properties": {"image": {"type": "string"}, "weight": {"type": "number", "exclusiveMinimum": 0}},
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
_PYRAMID_SCHEMA = {"anyOf": [{"enum": ["auto", "off"]}, {"type": "array", "items": {"type": "integer", "minimum": 16}}]}

_Int = Annotated[int, BeforeValidator(_refuse_bool)]
_Float = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
_Layers = Annotated[
    dict[str, Annotated[_Float, Field(ge=0, le=1e6)]],
    BeforeValidator(_layer_weights),
    AfterValidator(_known_layers),
    PlainSerializer(_plain_layers),
    WithJsonSchema(_LAYERS_SCHEMA),
    Field(min_length=1),
]
_Path = Annotated[str, AfterValidator(_valid_path)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Parameters(_Model):
    """How a picture is made; the defaults are those of the preset `standard`."""

    epochs: _Int = Field(3, ge=1, le=1000)
    steps_per_epoch: _Int = Field(100, ge=1, le=10_000)
    image_size: _Int = Field(512, ge=16, le=16_384, description="long side of the result, pixels")
    style_size: _Int = Field(
        default_factory=lambda earlier: earlier["image_size"],
        ge=16,
        le=16_384,
        description="long side of the style image, pixels; default image_size",
    )
    style_scale: _Float = Field(1.0, ge=0.1, le=10, description="times style_size: larger gives larger strokes")
    content_weight: _Float = Field(1e4, ge=0, le=1e12)
    style_weight: _Float = Field(1e-2, ge=0, le=1e12)
    total_variation_weight: Annotated[float | Literal["auto"], *_number_or_auto(1e12)] = 30.0
    content_layers: _Layers = dict.fromkeys(CONTENT_LAYERS, 1.0)
    style_layers: _Layers = dict.fromkeys(STYLE_LAYERS, 1.0)
    style_loss: Literal["gram", "wasserstein"] = "gram"
    optimizer: Literal["adam", "lbfgs"] = "lbfgs"
    learning_rate: _Float = Field(0.02, gt=0, le=10, description="of an image in [0, 1]")
    beta_1: _Float = Field(0.9, ge=0, lt=1, description="Adam's decay of the first moment")
    beta_2: _Float = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    epsilon: _Float = Field(1e-8, gt=0, le=1, description="Adam's guard against division by zero")
    pyramid: Annotated[
        Literal["auto", "off"] | list[int], BeforeValidator(_rising), WithJsonSchema(_PYRAMID_SCHEMA)
    ] = "auto"
    init: Annotated[
        Literal["content", "style", "noise", "file"], Field(description="`file`: the manifest's `init_image`")
    ] = "content"
    seed: _Int = Field(0, ge=0, le=2**32 - 1)
    color: Annotated[
        Literal["style", "content", "match"],
        Field(description="the painting's colours, the photo's own, or the painting's matched to the photo's first"),
    ] = "style"
    denoise: Annotated[float | Literal["auto"], *_number_or_auto(1.0)] = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    output_format: Literal["png", "jpeg", "webp", "tiff"] = "png"


class StyleImage(_Model):
    """One of several style images; weights count relative to each other."""

    image: _Path
    weight: _Float = Field(1.0, gt=0, le=1e6)


class Manifest(_Model):
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
    priority: _Int = Field(0, ge=-1000, le=1000, description="higher runs first")
    preset: Annotated[Literal["tutorial", "draft", "standard", "fine"], Field(description="or one of --presets")] = (
        "standard"
    )
    parameters: Parameters = Parameters()

    @model_validator(mode="before")
    @classmethod
    def _rest_on_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        base = PRESETS.get(str(data.get("preset", "standard")), {})
        given = data.get("parameters")
        given = {} if given is None else given
        return {**data, "parameters": {**base, **given} if isinstance(given, dict) else given}

    @model_validator(mode="after")
    def _start_from_something(self) -> Manifest:
        if (self.init_image is not None) is not (self.parameters.init == "file"):
            raise ValueError("`init: file` and `init_image: PATH` need each other")
        return self

    def effective(self) -> dict[str, Any]:
        """Plain data with every default filled in; as a manifest it makes the same picture."""
        return self.model_dump(mode="json")

    @property
    def images(self) -> dict[str, str]:
        """The path of each image as written, by its part: ``content``, ``style-1`` and so on, ``init``."""
        parts = {"content": self.content, **{f"style-{n}": style.image for n, style in enumerate(self.style, 1)}}
        return {**parts, "init": self.init_image} if self.init_image else parts


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
    steps = manifest.parameters.epochs * manifest.parameters.steps_per_epoch
    if steps > limits.max_steps:
        excess = f"`epochs` × `steps_per_epoch`: {steps:,} steps; the limit is {limits.max_steps:,} (--max-steps)"
        excesses.append(f"{file}, line {document.line(['parameters', 'epochs'])}: {excess}")
    if excesses:
        raise ManifestError(*excesses)
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
    value = _shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden":
            known = _fields(location[:-1])
            return f"`{field}`: unknown{_suggestion(str(location[-1]), known)}"
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


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _suggestion(word: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean `{nearest[0]}`?" if nearest else ""
