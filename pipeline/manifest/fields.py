"""What may be written for a field of a manifest: numbers, words, layers, scales, paper, what is protected."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from pipeline.errors import short, shown, suggestion
from pipeline.manifest.names import valid_path

VGG19_LAYERS = tuple(
    f"block{block}_conv{conv}" for block, convs in enumerate((2, 2, 4, 4, 4), 1) for conv in range(1, convs + 1)
)
MOST_STEPS, MOST_PIXELS = 10_000_000, 1_000_000  # of a scale of `pyramid`
MOST_WEIGHT = 1e6  # of a layer
CM_PER_INCH = 2.54


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


TRUTH = TypeAdapter(bool)  # of a field that is true or false; `yes` and `on` are read, too


def _layer_weights(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if not all(isinstance(layer, str) for layer in value):
        raise ValueError("must list names of layers such as block5_conv2")
    layer, times = max(Counter(value).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise ValueError(f"{shown(layer)} is listed twice; give it a weight instead: {{{short(layer)}: 2}}")
    return dict.fromkeys(value, 1.0)


def _known_layers(layers: dict[str, float]) -> dict[str, float]:
    for layer in layers:
        if layer not in VGG19_LAYERS:
            raise ValueError(f"{shown(layer)} is no convolution of VGG-19{suggestion(layer, VGG19_LAYERS)}")
    return layers


def _plain_layers(layers: Any) -> Any:
    return list(layers) if layers != "auto" and set(layers.values()) == {1.0} else layers


def _auto_or(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value if value == "auto" else handler(value)


def _rising(value: Any) -> Any:
    if value is False:  # what YAML 1.1 makes of a bare `off`
        return "off"
    if value in ("auto", "off"):
        return value
    if isinstance(value, dict):  # whose keys are text in JSON
        sides = [int(side) if isinstance(side, str) and re.fullmatch("[0-9]{1,9}", side) else side for side in value]
        if not all(type(steps) is int and 0 < steps <= MOST_STEPS for steps in value.values()):
            raise ValueError("must give each long side a number of steps, such as {128: 100, 256: 50}")
        value = dict(zip(sides, value.values(), strict=True))
    if isinstance(value, list | dict) and all(type(side) is int for side in value):
        sides = list(value)
        if not sides or any(b <= a for a, b in itertools.pairwise(sides)):
            raise ValueError("must list long sides from coarse to fine, each larger than the one before")
        if sides[0] < 16:
            raise ValueError(f"must not go below 16 pixels, not {sides[0]}")
        if sides[-1] > MOST_PIXELS:
            raise ValueError(f"must not go beyond {MOST_PIXELS:,} pixels")
        return value
    raise ValueError(
        "must be auto, off, a list of long sides in pixels such as [128, 256, 512], or sides with their steps such as"
        f" {{128: 100, 256: 50}}, not {shown(value)}"
    )


def number_or(high: float, *words: str, low: float = 0.0) -> tuple[Any, ...]:
    """What makes a field one of some words or a number from ``low`` to ``high``, for ``Annotated``."""

    def validate(value: Any) -> Any:
        if value is False and "off" in words:  # what YAML 1.1 makes of a bare `off`
            return "off"
        if value in words:
            return value
        try:
            number = float(_refuse_bool(value))
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"must be {', '.join(words)} or a number from {low:g} to {high:g}, not {shown(value)}")
        return number

    schema = {"anyOf": [{"enum": list(words)}, {"type": "number", "minimum": low, "maximum": high}]}
    return PlainValidator(validate), WithJsonSchema(schema)


_LAYERS_SCHEMA = {
    "anyOf": [
        {"const": "auto"},
        {"type": "array", "items": {"enum": list(VGG19_LAYERS)}, "minItems": 1, "uniqueItems": True},
        {"type": "object", "propertyNames": {"enum": list(VGG19_LAYERS)}, "minProperties": 1}
        | {"additionalProperties": {"type": "number", "minimum": 0, "maximum": MOST_WEIGHT}},
    ]
}
_PYRAMID_SCHEMA = {
    "anyOf": [
        {"enum": ["auto", "off"]},
        {"type": "array", "items": {"type": "integer", "minimum": 16, "maximum": MOST_PIXELS}, "minItems": 1},
        {"type": "object", "propertyNames": {"pattern": "^[0-9]{1,9}$"}, "minProperties": 1}
        | {"additionalProperties": {"type": "integer", "minimum": 1, "maximum": MOST_STEPS}},
    ]
}
Int = Annotated[int, BeforeValidator(_refuse_bool)]
Float = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
_LayerWeights = Annotated[
    dict[str, Annotated[Float, Field(ge=0, le=MOST_WEIGHT)]],
    BeforeValidator(_layer_weights),
    AfterValidator(_known_layers),
    Field(min_length=1),
    WrapValidator(_auto_or),
]
Layers = Annotated[
    dict[str, float] | Literal["auto"],
    GetPydanticSchema(lambda _, handler: handler(_LayerWeights)),  # a union would tell each mistake twice
    PlainSerializer(_plain_layers),
    WithJsonSchema(_LAYERS_SCHEMA),
]


Pyramid = Annotated[
    Literal["auto", "off"] | list[int] | dict[int, int], BeforeValidator(_rising), WithJsonSchema(_PYRAMID_SCHEMA)
]


class Model(BaseModel):
    """Knows its fields, and no others; nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Box(Model):
    """A part of the photo, in parts of its width and height from its upper left corner."""

    x: Float = Field(ge=0, lt=1)
    y: Float = Field(ge=0, lt=1)
    width: Float = Field(ge=1e-6, le=1)
    height: Float = Field(ge=1e-6, le=1)


class Print(Model):
    """A print on paper, by one of its sides: the photo tells the other."""

    width_cm: Float | None = Field(None, gt=0, le=10_000)
    height_cm: Float | None = Field(None, gt=0, le=10_000)
    dpi: Float = Field(300, ge=1, le=10_000, description="pixels per inch")

    @model_validator(mode="after")
    def _has_one_side(self) -> Print:
        if (self.width_cm is None) is (self.height_cm is None):
            raise ValueError("needs `width_cm` or `height_cm`, one of them: the photo tells the other")
        return self

    def long_side(self, width: int, height: int) -> int:
        """Pixels of the long side, for a photo of these pixels."""
        cm, pixels = (self.width_cm, width) if self.width_cm is not None else (self.height_cm, height)
        assert cm is not None, "one of the sides is given"
        return round(cm / CM_PER_INCH * self.dpi * max(width, height) / pixels)


def _paper(value: Any) -> Any:
    if value is None or isinstance(value, dict | Print):
        return value
    raise ValueError(f"must be a side in cm and the dpi such as {{width_cm: 90, dpi: 300}}, not {shown(value)}")


Paper = Annotated[Print | None, BeforeValidator(_paper)]
PROTECTION_WORDS = ("auto", "faces", "off")
MOST_BOXES = 500  # of some ten values each; a manifest may have 10,000


def mask_of(protect: Any) -> str | None:
    """The path where ``protect`` names a mask."""
    return protect if isinstance(protect, str) and protect not in PROTECTION_WORDS else None


def _protection(value: Any) -> Any:
    if value is False:  # what YAML 1.1 makes of a bare `off`
        return "off"
    if isinstance(value, str):
        if value not in PROTECTION_WORDS and "." not in value:
            words = f"must be one of {', '.join(PROTECTION_WORDS)}, a list of boxes, or a mask's file"
            raise ValueError(f"{words}, not {shown(value)}{suggestion(value, PROTECTION_WORDS)}")
        return valid_path(value)
    if isinstance(value, list):
        return value
    raise ValueError(
        "must be auto, faces, off, a mask's file such as mask.png, or a list of boxes in parts of the photo such as"
        f" [{{x: 0.4, y: 0.1, width: 0.2, height: 0.3}}], not {shown(value)}"
    )


# Of a union without them each alternative would complain.
PROTECTION_TAGS = ("[words]", "[boxes]")
Protection = Annotated[
    Annotated[
        str,
        Tag(PROTECTION_TAGS[0]),
        WithJsonSchema({"anyOf": [{"enum": list(PROTECTION_WORDS)}, {"type": "string", "pattern": r"\."}]}),
    ]
    | Annotated[list[Box], Field(min_length=1, max_length=MOST_BOXES), Tag(PROTECTION_TAGS[1])],
    Discriminator(lambda value: PROTECTION_TAGS[isinstance(value, list)]),
    BeforeValidator(_protection),
]
