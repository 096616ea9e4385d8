"""What can be told of a photo before it is painted, as a table for people and as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import storage
from pipeline.pictures import advice, images
from pipeline.pictures.contact import contact_sheet

RECOGNISED = 0.3  # probability of the likeliest class from which VGG-19 may be said to know what it sees
LAYERS = ("block1_conv2", "block2_conv2", "block3_conv2", "block4_conv2", "block5_conv2", "block5_conv3")

Classes = list[tuple[str, float]]


@dataclass(frozen=True)
class Suggestion:
    """A value for a parameter, and why."""

    parameter: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Survival:
    """What is left of a photo at a layer: the classes of the picture recovered from it."""

    layer: str
    classes: Classes
    kept: int  # of the photo's own top five


@dataclass(frozen=True)
class Inspection:
    """All that is told of a photo. ``noise`` is a standard deviation of values from 0 to 255."""

    file: str
    width: int
    height: int
    runs_at: tuple[int, int]
    classes: Classes | None
    noise: float
    colorfulness: float
    colors: str
    suggestions: list[Suggestion]
    layers: list[Survival]

    def data(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def inspect(
    path: Path,
    image_size: int,
    max_pixels: int,
    classify: Callable[[Any], Classes] | None,
    recover: Callable[[Any, str], Any] | None = None,
    sheet: Path | None = None,
) -> Inspection:
    """Look at a photo.

    Args:
        path: of the photo.
        image_size: the long side it would run at, pixels.
        max_pixels: larger images are refused.
        classify: the top five classes of RGB ``[H, W, 3]`` in [0, 1]; None without a classifier.
        recover: the picture recovered from a layer; with it and ``classify`` the layers are compared.
        sheet: where the recovered pictures are drawn side by side.

    Raises:
        ImageError: the image cannot be used.
    """
    with storage.open_named(path) as file:
        width, height = images.verify(file, path.name, max_pixels, end_may_lack=True)
        photo = images.decoded(file, image_size, path.name, max_pixels).rgb
    classes = classify(photo) if classify else None
    survivals, pictures = [], []
    if recover and classify and classes:
        for layer in LAYERS:
            picture = recover(photo, layer)
            pictures.append(picture)
            found = classify(picture)
            kept = len({name for name, _ in found} & {name for name, _ in classes})
            survivals.append(Survival(layer, found, kept))
        if sheet:
            _draw(photo, classes, survivals, pictures).save(sheet)
    noise, colorfulness = advice.noise(photo), advice.colorfulness(photo)
    return Inspection(
        file=str(path),
        width=width,
        height=height,
        runs_at=(photo.shape[1], photo.shape[0]),
        classes=classes,
        noise=round(noise * 255, 1),
        colorfulness=round(colorfulness, 1),
        colors=advice.in_words(colorfulness),
        suggestions=_suggestions(noise, colorfulness, classes),
        layers=survivals,
    )


def _suggestions(noise: float, colorfulness: float, classes: Classes | None) -> list[Suggestion]:
    level = f"noise of {noise * 255:.1f} of 255"
    visible = noise >= advice.VISIBLE_NOISE
    found = [
        Suggestion(
            "denoise",
            advice.suggested_denoise(noise),
            f"{level} would be painted as texture" if visible else f"{level} is hardly visible",
        ),
        Suggestion(
            "total_variation_weight",
            advice.suggested_total_variation_weight(noise),
            "smooths what grain is left, where denoise is not used" if visible else "the usual value for clean photos",
        ),
    ]
    if classes is not None:
        name, probability = classes[0]
        known = probability >= RECOGNISED
        reason = f"VGG-19 takes it for `{name}` with {probability:.0%}"
        found.append(
            Suggestion(
                "content_layers",
                ["block5_conv2" if known else "block4_conv2"],
                f"{reason}: the deep layer knows what to keep"
                if known
                else f"only {reason.removeprefix('VGG-19 takes it ')}: a layer before it keeps the layout",
            )
        )
    if colorfulness >= 82:
        found.append(Suggestion("color", "content", "loud colours fight with the painting's; keep them, or match them"))
    return found


def table(found: Inspection) -> str:
    """An inspection for people."""
    lines = [
        found.file,
        f"  size             {found.width}×{found.height}, runs at {found.runs_at[0]}×{found.runs_at[1]}",
        f"  noise            {found.noise:g} of 255",
        f"  colours          {found.colors} ({found.colorfulness:g})",
    ]
    if found.classes is not None:
        lines.append(f"  VGG-19 sees      {_in_words(found.classes)}")
    for survival in found.layers:
        lines.append(f"  {survival.layer}     {survival.kept} of 5 kept: {_in_words(survival.classes[:3])}")
    lines.append("  suggested parameters")
    width = max(len(suggestion.parameter) + len(str(suggestion.value)) for suggestion in found.suggestions) + 2
    for suggestion in found.suggestions:
        lines.append(f"    {f'{suggestion.parameter}: {_value(suggestion)}':{width}}  {suggestion.reason}")
    return "\n".join(lines)


def _value(suggestion: Suggestion) -> str:
    value = suggestion.value
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, str) else f"{value:g}"


def _in_words(classes: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {probability:.0%}" for name, probability in classes)


def _draw(photo: Any, classes: Classes, survivals: list[Survival], pictures: list[Any]) -> Image.Image:
    """The photo and what each layer gives back, with the likeliest class under each."""
    tiles = [("photo", classes, photo)]
    tiles += [(s.layer, s.classes, p) for s, p in zip(survivals, pictures, strict=True)]
    captioned = [
        (f"{label}\n{_in_words(found[:1])}", Image.fromarray((np.asarray(picture) * 255).round().astype(np.uint8)))
        for label, found, picture in tiles
    ]
    return contact_sheet(captioned, 4, max(photo.shape[:2]))
