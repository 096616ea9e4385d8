"""The parameters of a picture: their ranges, defaults and presets."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    model_validator,
)

from pipeline.manifest.fields import Float, Int, Layers, Model, Paper, Protection, Pyramid, number_or

STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
MIN_SIZE, MAX_SIZE = 16, 100_000  # pixels of a long side
MOST_OF_FORMAT = {"jpeg": 65_500, "webp": 16_383}  # likewise
# What `auto` stands for, as shares of layers that are each divided by their own scale. Shallow style layers bring the
# colour and leave the layout alone. A picture strays further from the photo at block4_conv2 than at block5_conv2.
STYLE_SHARES = dict(zip(STYLE_LAYERS, (32.0, 16.0, 4.0, 1.0, 1.0), strict=True))
CONTENT_SHARES = {"block4_conv2": 1.0, "block5_conv2": 100.0}
# And beside a number for `style_weight`, which is on the tutorial's scale. The Gram matrices of shallow layers are
# small: at equal weights colour and grain, which they alone see, count little.
CONTENT_LAYERS = {"block5_conv2": 1.0}
STYLE_LAYER_WEIGHTS = dict(zip(STYLE_LAYERS, (1e3, 1e2, 1e1, 1.0, 1.0), strict=True))
LEAST_LIMIT = 1e-3  # of content
TIMELAPSE_FRAMES = 40  # at most, where the manifest has no `snapshots`
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


class Parameters(Model):
    """How a picture is made; the defaults are those of the preset `standard`."""

    epochs: Int = Field(2, ge=1, le=1000)
    steps_per_epoch: Int = Field(100, ge=1, le=10_000)
    image_size: Int = Field(512, ge=MIN_SIZE, le=MAX_SIZE, description="long side of the result, pixels")
    print: Annotated[Paper, Field(description="paper, by a side in cm and its dpi, which give `image_size`")] = None
    style_size: Int = Field(
        default_factory=lambda earlier: earlier["image_size"],
        ge=MIN_SIZE,
        le=MAX_SIZE,
        description="long side of the style image, pixels; default image_size",
    )
    style_scale: Float = Field(1.0, ge=0.1, le=10, description="times style_size: larger gives larger strokes")
    strength: Float = Field(1.0, ge=0, le=10, description="how much painting, on the same scale for any painting")
    content_weight: Float = Field(1e4, ge=0, le=1e12)
    style_weight: Annotated[
        float | Literal["auto"],
        *number_or(1e18, "auto"),  # as what `auto` comes to is written down, beside the largest content_weight
        Field(description="`auto`: from the strength and the scales of photo and painting"),
    ] = "auto"
    content_limit: Annotated[
        float | Literal["auto", "off"],
        *number_or(1e3, "auto", "off", low=LEAST_LIMIT),
        Field(description="the part of the photo's features that may be lost; beyond it content weighs far more"),
    ] = "auto"
    protect: Annotated[
        Protection,
        Field(description="where content counts more: faces, boxes in parts of the photo, or a mask; `auto`: faces"),
    ] = "auto"
    total_variation_weight: Annotated[float | Literal["auto"], *number_or(1e12, "auto")] = 30.0
    content_layers: Layers = "auto"
    style_layers: Layers = "auto"
    style_loss: Literal["gram", "wasserstein"] = "wasserstein"
    optimizer: Literal["adam", "lbfgs"] = "lbfgs"
    learning_rate: Float = Field(0.02, gt=0, le=10, description="of an image in [0, 1]")
    beta_1: Float = Field(0.9, ge=0, lt=1, description="Adam's decay of the first moment")
    beta_2: Float = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    epsilon: Float = Field(1e-8, gt=0, le=1, description="Adam's guard against division by zero")
    pyramid: Pyramid = "auto"
    init: Annotated[
        Literal["content", "style", "noise", "file"], Field(description="`file`: the manifest's `init_image`")
    ] = "content"
    seed: Int = Field(0, ge=0, le=2**32 - 1)
    color: Annotated[
        Literal["style", "content", "match"],
        Field(description="the painting's colours, the photo's own, or the painting's matched to the photo's first"),
    ] = "style"
    denoise: Annotated[float | Literal["auto"], *number_or(1.0, "auto")] = 0.0
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
