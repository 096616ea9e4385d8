"""The parameters of a picture: their ranges, defaults and presets."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    PlainValidator,
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
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
MAX_SIZE = 100_000  # pixels of a long side
MOST_OF_FORMAT = {"jpeg": 65_535, "webp": 16_383}  # likewise
CM_PER_INCH = 2.54
# What `auto` stands for, as shares of layers that are each divided by their own scale. Shallow style layers bring the
# colour and leave the layout alone. A picture strays further from the photo at block4_conv2 than at block5_conv2.
STYLE_SHARES = dict(zip(STYLE_LAYERS, (32.0, 16.0, 4.0, 1.0, 1.0), strict=True))
CONTENT_SHARES = {"block4_conv2": 1.0, "block5_conv2": 100.0}
# And beside a number for `style_weight`, which is on the tutorial's scale. The Gram matrices of shallow layers are
# small: at equal weights colour and grain, which they alone see, count little.
CONTENT_LAYERS = {"block5_conv2": 1.0}
STYLE_LAYER_WEIGHTS = dict(zip(STYLE_LAYERS, (1e3, 1e2, 1e1, 1.0, 1.0), strict=True))
TIMELAPSE_FRAMES = 40  # at most, where the manifest has no `snapshots`
MOST_STEPS, MOST_PIXELS = 10_000_000, 1_000_000  # of a scale of `pyramid`
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
        "style_loss": "gram",
        "style_weight": 1e-2,
        "content_limit": "off",
        "protect": "off",
        "content_layers": list(CONTENT_LAYERS),
        "style_layers": list(STYLE_LAYERS),
        "precision": "float32",
    },
    "draft": {"epochs": 1, "steps_per_epoch": 64},
    "standard": {},
    "fine": {"epochs": 6},
}


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


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
        sides = [int(side) if isinstance(side, str) and side.isdecimal() else side for side in value]
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


def _number_or(high: float, *words: str, low: float = 0.0) -> tuple[Any, ...]:
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
        {"type": "object", "propertyNames": {"enum": list(VGG19_LAYERS)}, "additionalProperties": {"type": "number"}},
    ]
}
_PYRAMID_SCHEMA = {
    "anyOf": [
        {"enum": ["auto", "off"]},
        {"type": "array", "items": {"type": "integer", "minimum": 16}},
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
    ]
}
Int = Annotated[int, BeforeValidator(_refuse_bool)]
Float = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
_LayerWeights = Annotated[
    dict[str, Annotated[Float, Field(ge=0, le=1e6)]],
    BeforeValidator(_layer_weights),
    AfterValidator(_known_layers),
    Field(min_length=1),
    WrapValidator(_auto_or),
]
_Layers = Annotated[
    dict[str, float] | Literal["auto"],
    GetPydanticSchema(lambda _, handler: handler(_LayerWeights)),  # a union would tell each mistake twice
    PlainSerializer(_plain_layers),
    WithJsonSchema(_LAYERS_SCHEMA),
]


class Model(BaseModel):
    """Knows its fields, and no others; nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Box(Model):
    """A part of the photo, in parts of its width and height from its upper left corner."""

    x: Float = Field(ge=0, lt=1)
    y: Float = Field(ge=0, lt=1)
    width: Float = Field(gt=0, le=1)
    height: Float = Field(gt=0, le=1)


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


PROTECTION_WORDS = ("auto", "faces", "off")


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


class Parameters(Model):
    """How a picture is made; the defaults are those of the preset `standard`."""

    epochs: Int = Field(2, ge=1, le=1000)
    steps_per_epoch: Int = Field(100, ge=1, le=10_000)
    image_size: Int = Field(512, ge=16, le=MAX_SIZE, description="long side of the result, pixels")
    print: Annotated[
        Print | None,
        BeforeValidator(_paper),
        Field(description="paper, by a side in cm and its dpi, which give `image_size`"),
    ] = None
    style_size: Int = Field(
        default_factory=lambda earlier: earlier["image_size"],
        ge=16,
        le=MAX_SIZE,
        description="long side of the style image, pixels; default image_size",
    )
    style_scale: Float = Field(1.0, ge=0.1, le=10, description="times style_size: larger gives larger strokes")
    strength: Float = Field(1.0, ge=0, le=10, description="how much painting, on the same scale for any painting")
    content_weight: Float = Field(1e4, ge=0, le=1e12)
    style_weight: Annotated[
        float | Literal["auto"],
        *_number_or(1e12, "auto"),
        Field(description="`auto`: from the strength and the scales of photo and painting"),
    ] = "auto"
    content_limit: Annotated[
        float | Literal["auto", "off"],
        *_number_or(1e3, "auto", "off", low=1e-3),
        Field(description="the part of the photo's features that may be lost; beyond it content weighs far more"),
    ] = "auto"
    protect: Annotated[
        str | Annotated[list[Box], Field(min_length=1, max_length=1000)],
        BeforeValidator(_protection),
        Field(description="where content counts more: faces, boxes in parts of the photo, or a mask; `auto`: faces"),
    ] = "auto"
    total_variation_weight: Annotated[float | Literal["auto"], *_number_or(1e12, "auto")] = 30.0
    content_layers: _Layers = "auto"
    style_layers: _Layers = "auto"
    style_loss: Literal["gram", "wasserstein"] = "wasserstein"
    optimizer: Literal["adam", "lbfgs"] = "lbfgs"
    learning_rate: Float = Field(0.02, gt=0, le=10, description="of an image in [0, 1]")
    beta_1: Float = Field(0.9, ge=0, lt=1, description="Adam's decay of the first moment")
    beta_2: Float = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    epsilon: Float = Field(1e-8, gt=0, le=1, description="Adam's guard against division by zero")
    pyramid: Annotated[
        Literal["auto", "off"] | list[int] | dict[int, int], BeforeValidator(_rising), WithJsonSchema(_PYRAMID_SCHEMA)
    ] = "auto"
    init: Annotated[
        Literal["content", "style", "noise", "file"], Field(description="`file`: the manifest's `init_image`")
    ] = "content"
    seed: Int = Field(0, ge=0, le=2**32 - 1)
    color: Annotated[
        Literal["style", "content", "match"],
        Field(description="the painting's colours, the photo's own, or the painting's matched to the photo's first"),
    ] = "style"
    denoise: Annotated[float | Literal["auto"], *_number_or(1.0, "auto")] = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    frame_steps: Int = Field(25, ge=1, le=10_000, description="of each frame of a clip after a scene's first")
    temporal_weight: Float = Field(3e8, ge=0, le=1e12, description="of how far a clip's frame is from those before it")
    video_codec: Literal["h264", "h265"] = "h264"
    crf: Int = Field(18, ge=0, le=51, description="of a clip's file: less is better and larger")
    output_format: Literal["png", "jpeg", "webp", "tiff"] = "png"
    output_depth: Annotated[Literal[8, 16], Field(description="bits a channel; 16 with png and tiff")] = 8
    keep_metadata: bool = Field(True, description="the photo's date and camera")
    keep_gps: bool = Field(False, description="with them, where it was taken")
    snapshots: Int = Field(0, ge=0, le=1_000_000, description="steps from one kept picture to the next; 0 for none")
    timelapse: bool = Field(False, description="an animation of the snapshots, or of up to forty moments")

    @model_validator(mode="after")
    def _has_room_for_its_depth(self) -> Parameters:
        if self.output_depth == 16 and self.output_format not in ("png", "tiff"):
            raise ValueError(f"`output_depth: 16` needs `output_format: png` or `tiff`, not {self.output_format}")
        return self

    @model_validator(mode="after")
    def _has_room_for_its_size(self) -> Parameters:
        if self.image_size > self.most_size:
            most = f"a {self.output_format} has at most {self.most_size:,} pixels a side"
            raise ValueError(f"`image_size: {self.image_size}` needs `output_format: png` or `tiff`: {most}")
        return self

    @property
    def most_size(self) -> int:
        """The largest `image_size` of the output's format."""
        return MOST_OF_FORMAT.get(self.output_format, MAX_SIZE)

    @property
    def steps_per_frame(self) -> int:
        """Steps from one picture that is kept meanwhile to the next; 0 for none."""
        return self.snapshots or (math.ceil(self.steps / TIMELAPSE_FRAMES) if self.timelapse else 0)

    @property
    def steps(self) -> int:
        """Steps in all, over every scale."""
        return sum(self.pyramid.values()) if isinstance(self.pyramid, dict) else self.epochs * self.steps_per_epoch

    @property
    def layers(self) -> list[str]:
        """The layers that the objective looks at, or would if `auto` came to all that it may."""
        content = CONTENT_SHARES if self.content_layers == "auto" else self.content_layers
        return [*content, *(STYLE_SHARES if self.style_layers == "auto" else self.style_layers)]


def changes(before: Parameters, after: Parameters) -> dict[str, Any]:
    """The fields that differ, as plain data of ``after``."""
    earlier, later = (parameters.model_dump(mode="json") for parameters in (before, after))
    return {field: value for field, value in later.items() if value != earlier[field]}
