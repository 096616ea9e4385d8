"""Paintings of many kinds, calm to loud, drawn from numbers alone: what the benchmarks paint like.

Each is the same every time it is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from examples.draw import glass, swirl

Color = tuple[int, int, int]
Field = npt.NDArray[np.float64]


def dots(width: int = 768, height: int = 608) -> Image.Image:
    """Points of pure colour, warm over cool, around a bright path: nothing is mixed but in the eye."""
    rng = np.random.default_rng(3)
    image = Image.new("RGB", (width * 2, height * 2), (236, 226, 200))
    draw = ImageDraw.Draw(image)
    cool = [(40, 70, 150), (60, 120, 90), (110, 80, 160), (30, 110, 150), (70, 150, 110)]
    warm = [(240, 180, 60), (230, 120, 60), (250, 220, 140), (220, 90, 90), (245, 240, 220)]
    for _ in range(26_000):
        x, y = rng.random(2)
        path = abs(y - 0.55 - 0.22 * math.sin(5 * x + 0.6))
        colors = warm if rng.random() < math.exp(-((path / 0.16) ** 2)) * 0.9 + 0.08 else cool
        red, green, blue = (int(np.clip(c + rng.normal(0, 14), 0, 255)) for c in colors[rng.integers(len(colors))])
        radius = rng.uniform(6, 12)
        center = (x * width * 2, y * height * 2)
        box = [center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius]
        draw.ellipse(box, fill=(red, green, blue))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def woodcut(width: int = 768, height: int = 608) -> Image.Image:
    """Waves cut in wood: bands of parallel lines, thick in the troughs, in three inks on paper."""
    y, x = np.mgrid[0 : height * 2, 0 : width * 2].astype(np.float64)
    u, v = x / width, y / height
    height_of = v + 0.16 * np.sin(3.1 * u + 0.8) + 0.07 * np.sin(7.3 * u - 2 * v) + 0.03 * np.sin(17 * u + 5 * v)
    lines = 0.5 + 0.5 * np.sin(2 * np.pi * height_of * 26)
    tone = 0.5 + 0.45 * np.sin(2 * np.pi * height_of * 2.2 + 1.5 * np.sin(4 * u))
    ink = np.clip((lines - (1 - tone)) * 14 + 0.5, 0, 1)[..., None]
    band = np.floor(height_of * 2.2 + 0.25).astype(int) % 3
    inks = np.array([[24, 40, 66], [150, 44, 38], [34, 88, 92]], np.float64)[band]
    paper = np.array([238, 226, 196]) + np.random.default_rng(2).normal(0, 4, (height * 2, width * 2, 1))
    pixels = np.clip(paper * (1 - ink) + inks * ink, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)


def wash(width: int = 768, height: int = 608) -> Image.Image:
    """Watercolour: pale pools that run into each other and dry darker at the rim."""
    rng = np.random.default_rng(17)
    picture = np.full((height, width, 3), (240.0, 236.0, 226.0))
    tints = [(60, 110, 150), (120, 150, 90), (210, 140, 100), (150, 110, 160)]
    for number in range(28):
        field = _smooth(rng, width, height, 5) + 0.35 * _smooth(rng, width, height, 24)
        inside = 1 / (1 + np.exp(-(field - 0.9) * 14))
        rim = inside * (1 - inside) * 4
        share = (0.16 * inside + 0.10 * rim)[..., None]
        picture += (np.array(tints[number % 4], np.float64) - picture) * share
    picture += 3 * _smooth(rng, width, height, 300)[..., None]
    return _as_image(picture)


def ink(width: int = 768, height: int = 608) -> Image.Image:
    """Ink on paper: ridges one behind the other, darker towards the front, mist between them."""
    rng = np.random.default_rng(23)
    y = np.arange(height)[:, None] / height
    x = np.arange(width) / width
    tone = np.full((height, width), 226.0)
    for depth in range(6):
        ridge = (
            0.25
            + 0.13 * depth
            - 0.10
            * sum(
                math.sin(rng.uniform(0, 6)) * np.sin(x * rng.uniform(4, 9) * 2**k + rng.uniform(0, 6)) / 1.7**k
                for k in range(5)
            )
        )
        below = y - ridge
        brush = np.exp(-np.clip(below, 0, None) / (0.05 + 0.01 * depth)) * (below > 0)
        dry = 0.75 + 0.25 * _smooth(rng, width, height, 60)
        tone -= brush * dry * (60 + 26 * depth) * (tone / 226)
    return _as_image(tone[..., None] * np.array([1.0, 0.99, 0.95]) + 4 * _smooth(rng, width, height, 200)[..., None])


def night(width: int = 768, height: int = 608) -> Image.Image:
    """A dark sea: long strokes that hardly differ, a gleam on the water."""
    rng = np.random.default_rng(29)
    image = Image.new("RGB", (width * 2, height * 2), (24, 30, 36))
    draw = ImageDraw.Draw(image)
    for _ in range(5200):
        x, y = rng.random(2)
        gleam = 70 * math.exp(-(((y - 0.5) / 0.08) ** 2)) * math.exp(-(((x - 0.6) / 0.3) ** 2))
        base = np.array([34.0, 42.0, 50.0]) if y < 0.45 else np.array([22.0, 36.0, 44.0])
        red, green, blue = (int(np.clip(v, 0, 255)) for v in base + gleam + rng.normal(0, 9))
        start = (x * width * 2, y * height * 2)
        end = (start[0] + rng.uniform(30, 130), start[1] + rng.normal(0, 9))
        draw.line([start, end], fill=(red, green, blue), width=int(rng.uniform(5, 15)))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def hatching(width: int = 768, height: int = 608) -> Image.Image:
    """Pencil: tones of crossed strokes over a few round forms."""
    rng = np.random.default_rng(31)
    image = Image.new("RGB", (width * 2, height * 2), (238, 234, 226))
    draw = ImageDraw.Draw(image)
    forms = [(0.3, 0.4, 0.22), (0.7, 0.55, 0.28), (0.45, 0.85, 0.2)]
    for _ in range(26_000):
        x, y = rng.random(2)
        lit = [math.exp(-((math.hypot(x - a, y - b) / r) ** 4)) * (x - a + r) / r for a, b, r in forms]
        shade = 0.15 + 0.4 * sum(lit)
        if rng.random() > shade:
            continue
        angle = math.radians(rng.choice([38, 128]) + rng.normal(0, 4))
        length, grey = rng.uniform(14, 40), int(rng.uniform(70, 150))
        start = (x * width * 2, y * height * 2)
        end = (start[0] + length * math.cos(angle), start[1] + length * math.sin(angle))
        draw.line([start, end], fill=(grey, grey, grey + 4), width=2)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def impasto(width: int = 768, height: int = 608) -> Image.Image:
    """Autumn in short, thick strokes, lit from the side."""
    rng = np.random.default_rng(37)
    image = Image.new("RGB", (width, height), (120, 70, 30))
    draw = ImageDraw.Draw(image)
    palette = [(200, 90, 30), (230, 150, 40), (150, 50, 30), (90, 70, 40), (240, 200, 110), (70, 90, 60)]
    places = _smooth(rng, width, height, 4)
    for _ in range(7000):
        x, y = rng.integers(width), rng.integers(height)
        color = np.array(palette[int(abs(places[y, x]) * 2.2 + rng.random() * 2.2) % 6]) + rng.normal(0, 12)
        red, green, blue = (int(np.clip(value, 0, 255)) for value in color)
        angle = 3 * places[y, x] + rng.normal(0, 0.3)
        dx, dy = 13 * math.cos(angle), 13 * math.sin(angle)
        draw.line([(x - dx, y - dy), (x + dx, y + dy)], fill=(red, green, blue), width=int(rng.uniform(5, 10)))
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(0.8)), np.float64)
    relief = np.gradient(grey, axis=1) + np.gradient(grey, axis=0)
    return _as_image(np.asarray(image, np.float64) + relief[..., None])


def poster(width: int = 768, height: int = 608) -> Image.Image:
    """Flat forms of pure colour with hard edges, some of them striped."""
    rng = np.random.default_rng(41)
    image = Image.new("RGB", (width * 2, height * 2), (240, 232, 212))
    draw = ImageDraw.Draw(image)
    colors = [(208, 36, 34), (24, 60, 140), (244, 196, 28), (20, 20, 22), (240, 232, 212), (40, 130, 120)]
    for number in range(90):
        x, y, size = rng.random() * width * 2, rng.random() * height * 2, rng.uniform(60, 340)
        color = colors[rng.integers(6)]
        if number % 3 == 0:
            draw.ellipse([x - size / 2, y - size / 2, x + size / 2, y + size / 2], fill=color)
        elif number % 3 == 1:
            turn = rng.uniform(0, 6.3)
            angles = [turn + k * 2.1 for k in range(3)]
            draw.polygon([(x + size * 0.6 * math.cos(a), y + size * 0.6 * math.sin(a)) for a in angles], fill=color)
        else:
            for k in range(6):
                draw.line([(x, y + k * 22), (x + size, y + k * 22)], fill=color, width=10)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def weave(width: int = 768, height: int = 608) -> Image.Image:
    """Cloth: warp and weft of coloured threads, one over the other."""
    rng = np.random.default_rng(43)
    y, x = np.mgrid[0:height, 0:width]
    pitch = 9
    colors = np.array([(150, 40, 50), (230, 200, 150), (40, 70, 90), (190, 120, 60), (90, 110, 80)], np.float64)
    pattern = np.repeat(rng.integers(0, 5, 200), rng.integers(1, 7, 200))
    column, row = x // pitch, y // pitch
    over = (column + row) % 2 == 0
    thread = np.where(over, pattern[column], pattern[row + 60])
    across = np.where(over, x % pitch, y % pitch) / pitch - 0.5
    shade = np.cos(across * 2.6)[..., None] * (1 + 0.06 * _smooth(rng, width, height, 200))[..., None]
    return _as_image(colors[thread] * shade)


# From calm to loud.
PAINTINGS: dict[str, Callable[[], Image.Image]] = {
    "night": night,
    "wash": wash,
    "ink": ink,
    "hatching": hatching,
    "impasto": impasto,
    "swirl": swirl,
    "weave": weave,
    "dots": dots,
    "poster": poster,
    "woodcut": woodcut,
    "glass": glass,
}


def _smooth(rng: np.random.Generator, width: int, height: int, cells: int) -> Field:
    """Smooth noise of standard deviation 1, with ``cells`` hills from side to side."""
    grid = rng.normal(0, 1, (max(2, cells * height // width), cells)).astype(np.float32)
    field: Field = np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC), np.float64)
    field /= field.std()
    return field


def _as_image(pixels: Field) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
