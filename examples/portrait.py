"""A person before an evening sky, drawn from numbers alone: a face that detectors of faces see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLING = 2
SKIN, HAIR, COAT = (224, 180, 152), (60, 40, 30), (60, 70, 110)

# Light and shade of the face in units of its half width from its middle: how much, x, y, reach across and down.
SHADES = [
    (0.06, 0.0, -0.75, 0.6, 0.4), (-0.22, -0.42, -0.12, 0.3, 0.17), (-0.22, 0.42, -0.12, 0.3, 0.17),
    (0.10, 0.0, 0.12, 0.1, 0.35), (-0.16, 0.16, 0.2, 0.09, 0.28), (-0.10, -0.17, 0.2, 0.07, 0.25),
    (-0.45, -0.13, 0.44, 0.07, 0.045), (-0.45, 0.13, 0.44, 0.07, 0.045), (-0.16, 0.0, 0.5, 0.26, 0.06),
    (0.07, -0.5, 0.35, 0.25, 0.25), (0.07, 0.5, 0.35, 0.25, 0.25), (-0.12, 0.0, 1.02, 0.3, 0.06),
]  # fmt: skip


def portrait(width: int = 512, height: int = 576) -> Image.Image:
    """Head and shoulders, from the front."""
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    x, y, s = w / 2, h * 0.42, w / 6
    image = _evening(w, h)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle([x - 2.1 * s, y + 1.9 * s, x + 2.1 * s, h + 2 * s], radius=int(s), fill=COAT)
    _ellipse(draw, x, y - 0.3 * s, 1.22 * s, 1.45 * s, HAIR)
    draw.rectangle([x - 0.45 * s, y + 0.8 * s, x + 0.45 * s, y + 2.0 * s], fill=(196, 150, 124))
    draw.pieslice([x - 0.45 * s, y + 1.6 * s, x + 0.45 * s, y + 2.4 * s], 0, 180, fill=(196, 150, 124))
    for side in (-1.02, 1.02):
        _ellipse(draw, x + side * s, y + 0.1 * s, 0.16 * s, 0.3 * s, (205, 155, 130))
    _ellipse(draw, x, y, s, 1.35 * s, SKIN)
    image = _shaded(image.filter(ImageFilter.GaussianBlur(3)), x, y, s)
    draw = ImageDraw.Draw(image)
    for side in (-0.42, 0.42):
        _eye(draw, x + side * s, y - 0.12 * s, s)
    _mouth(draw, x, y + 0.74 * s, s)
    draw.chord([x - 1.02 * s, y - 1.5 * s, x + 1.02 * s, y - 0.1 * s], 200, 340, fill=HAIR)  # a fringe
    return image.filter(ImageFilter.GaussianBlur(2.2)).resize((width, height), Image.Resampling.LANCZOS)


def _evening(w: int, h: int) -> Image.Image:
    down = np.linspace(0, 1, h)
    sky = np.stack([np.interp(down, [0, 0.5, 1], of_channel) for of_channel in zip(
        (70, 96, 140), (150, 150, 168), (222, 176, 140), strict=True)], -1)  # fmt: skip
    grain = np.random.default_rng(4).normal(0, 6, (h, w, 1))
    return Image.fromarray(np.clip(sky[:, None] + grain, 0, 255).astype(np.uint8))


def _shaded(image: Image.Image, x: float, y: float, s: float) -> Image.Image:
    """The face's roundness, its sockets, nose, nostrils, cheeks and chin."""
    pixels: npt.NDArray[np.float64] = np.asarray(image).astype(np.float64)
    down, across = np.mgrid[0 : image.height, 0 : image.width]
    u, v = (across - x) / s, (down - y) / s
    shade = 1 - 0.28 * np.clip(np.abs(u) ** 2.2, 0, 1.2) - 0.07 * np.clip(v, 0, 2) ** 2
    for amount, u0, v0, wide, high in SHADES:
        shade += amount * np.exp(-(((u - u0) / wide) ** 2) - ((v - v0) / high) ** 2)
    inside = 1 / (1 + np.exp(np.clip((np.hypot(u, v / 1.35) - 1) * 60, -50, 50)))
    pixels *= 1 + (inside * (shade - 1))[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _eye(draw: ImageDraw.ImageDraw, x: float, y: float, s: float) -> None:
    white, line, brow = (230, 222, 215), max(1, int(0.05 * s)), max(1, int(0.09 * s))
    draw.chord([x - 0.23 * s, y - 0.15 * s, x + 0.23 * s, y + 0.13 * s], 180, 360, fill=white)
    draw.chord([x - 0.23 * s, y - 0.12 * s, x + 0.23 * s, y + 0.12 * s], 0, 180, fill=white)
    for part, radius, color in ((0.0, 0.105, (74, 52, 36)), (0.0, 0.05, (12, 8, 8)), (0.03, 0.022, (255, 255, 255))):
        _ellipse(draw, x + part * s, y - (0.01 + part) * s, radius * s, radius * s, color)
    draw.arc([x - 0.25 * s, y - 0.17 * s, x + 0.25 * s, y + 0.2 * s], 200, 340, fill=(60, 36, 26), width=line)
    draw.arc([x - 0.33 * s, y - 0.38 * s, x + 0.33 * s, y + 0.2 * s], 215, 325, fill=(58, 38, 28), width=brow)


def _mouth(draw: ImageDraw.ImageDraw, x: float, y: float, s: float) -> None:
    draw.chord([x - 0.36 * s, y - 0.11 * s, x + 0.36 * s, y + 0.13 * s], 180, 360, fill=(168, 84, 80))
    draw.chord([x - 0.36 * s, y - 0.16 * s, x + 0.36 * s, y + 0.17 * s], 0, 180, fill=(190, 100, 94))
    between = [(-0.37, -0.01), (-0.15, 0.02), (0.0, 0.0), (0.15, 0.02), (0.37, -0.01)]
    points = [(x + across * s, y + down * s) for across, down in between]
    draw.line(points, fill=(96, 40, 40), width=max(1, int(0.035 * s)))


def _ellipse(
    draw: ImageDraw.ImageDraw, x: float, y: float, wide: float, high: float, fill: tuple[int, int, int]
) -> None:
    draw.ellipse([x - wide, y - high, x + wide, y + high], fill=fill)
