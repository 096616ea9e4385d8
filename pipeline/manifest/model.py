"""What a manifest may say: the models, and the variants of a sweep."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.errors import short, shown, suggestion
from pipeline.manifest.fields import Float, Int, Model, mask_of
from pipeline.manifest.names import default_name, valid_name, valid_path, with_tail
from pipeline.manifest.parameters import PRESETS, Parameters

SWEPT_FIELDS = ("content", "style")


@dataclass(frozen=True)
class Limits:
    """What one job may ask of the machine; each has an option of its name."""

    max_pixels: int = 200_000_000
    max_steps: int = 100_000
    max_styles: int = 16
    max_manifest_bytes: int = 256 * 1024
    max_variants: int = 64
    max_snapshots: int = 500  # of all variants
    max_frames: int = 3000  # of a clip
    max_depth: int = 16  # of folders in a job folder
    max_files: int = 10_000  # in a job folder


def _as_styles(value: Any) -> Any:
    styles = value if isinstance(value, list) else [value]
    return [{"image": style} if isinstance(style, str) else style for style in styles]


def _first_of_sweep(sweep: Any) -> dict[str, Any]:
    """What stands for `content` and `style` where only a sweep names them."""
    if not isinstance(sweep, dict):
        return {}
    lists = {key: sweep[key] if isinstance(sweep[key], list) else [sweep[key]] for key in SWEPT_FIELDS if key in sweep}
    return {key: values[0] for key, values in lists.items() if values}


def _lists_of_values(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("must be lines of `parameter: [value, value]`")
    value = {key: [v] if key in SWEPT_FIELDS and isinstance(v, str) else v for key, v in value.items()}
    known = [*SWEPT_FIELDS, *Parameters.model_fields]
    for key, values in value.items():
        if key in Manifest.model_fields and key not in known:
            raise ValueError(f"`{key}`: only parameters, `content` and `style` are swept; drop a manifest for each")
        if key not in known:
            raise ValueError(f"`{short(str(key))}`: unknown{suggestion(str(key), known)}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"`{key}`: must be a list of values, not {shown(values)}")
    return value


_Path = Annotated[str, AfterValidator(valid_path)]


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
    ]
    init_image: Annotated[_Path | None, Field(description="the picture to start from, with `init: file`")] = None
    frames: bool = Field(
        False, description="whether `content` is a folder of numbered frames, or an animation, painted frame by frame"
    )
    start: Float | None = Field(None, ge=0, le=1e6, description="seconds of a clip, before which it is left out")
    end: Float | None = Field(None, gt=0, le=1e6, description="seconds of a clip, from which on it is left out")
    name: Annotated[str, AfterValidator(valid_name)]
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
        if (self.init_image is not None) is not ("file" in (self.sweep or {}).get("init", [self.parameters.init])):
            raise ValueError("`init: file` and `init_image: PATH` need each other")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"`end`: must be after `start`, {self.start:g} s, not {self.end:g}")
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
            fields: dict[str, Any] = {key: changes.pop(key) for key in SWEPT_FIELDS if key in changes}
            parameters = {**base["parameters"], **changes}
            if parameters["init"] != "file":
                fields["init_image"] = None
            found.append(Manifest.model_validate({**base, **fields, "name": name, "parameters": parameters}))
        return found

    def runs(self) -> list[Manifest]:
        """The pictures that are asked for, each as a manifest: the variants of a sweep, or this one.

        Raises:
            ValidationError: as for ``variants``.
        """
        return self.variants() if self.sweep else [self]

    def sized(self, width: int, height: int) -> Manifest:
        """With the `image_size` that `print` comes to for a photo of so many pixels; without one as it is.

        Whether a picture may have that size, ``jobs.unfit`` tells.
        """
        if self.parameters.print is None:
            return self
        side = self.parameters.print.long_side(width, height)
        sizes = {"image_size": side}
        if "style_size" not in self.parameters.model_fields_set:
            sizes["style_size"] = side
        return self.model_copy(update={"parameters": self.parameters.model_copy(update=sizes)})

    def _names(self, contents: list[Any]) -> list[str]:
        """Names for the variants, by their photos: these alone where they tell all apart, also from the whole."""
        photos = [default_name(Path(content).stem) if isinstance(content, str) else "" for content in contents]
        are_clear = all(photos) and len(set(map(str.casefold, photos))) == len(photos)
        if are_clear and not any(f"{photo}.".startswith(f"{self.name}.") for photo in photos):
            return photos
        tails = [f"-{number:03}{photo and '-'}{photo}" for number, photo in enumerate(photos, 1)]
        return [with_tail(self.name, tail) for tail in tails]

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
        return sum(run.parameters.steps for run in self.runs())

    @property
    def snapshots(self) -> int:
        """Snapshots in all, of every variant."""
        asked = (run.parameters for run in self.runs())
        return sum(one.steps // one.steps_per_frame for one in asked if one.steps_per_frame)

    def effective(self) -> dict[str, Any]:
        """Plain data with every default filled in; as a manifest it makes the same picture.

        Where a sweep or a print gives a size that nobody else has given, it stays out, as it follows each one.
        """
        data = self.model_dump(mode="json")
        is_print = self.parameters.print is not None or "print" in (self.sweep or {})
        is_open = {"style_size": is_print or "image_size" in (self.sweep or {}), "image_size": is_print}
        for name in ("style_size", "image_size"):
            if is_open[name] and name not in self.parameters.model_fields_set:
                del data["parameters"][name]
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
        if mask := mask_of(self.parameters.protect):
            parts["protect"] = mask
        if self.sweep:
            others = {path for variant in self.variants() for path in variant.images.values()} - set(parts.values())
            parts |= {f"sweep-{n}": path for n, path in enumerate(sorted(others), 1)}
        return parts
