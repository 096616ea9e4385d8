"""Draw the pictures of the example jobs: a harbour at dusk, a person, swirling brush strokes, a stained-glass mosaic.

    python -m examples.draw

Every picture comes from numbers alone and is the same each time.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from examples.portrait import portrait

HERE = Path(__file__).parent
OVERSAMPLING = 2

Color = tuple[int, int, int]
Field = npt.NDArray[np.float64]


def main() -> None:
    for folder, picture, draw in (
        ("harbour-swirl", "harbour.jpg", harbour),
        ("harbour-swirl", "swirl.jpg", swirl),
        ("harbour-glass", "harbour.jpg", harbour),
        ("harbour-glass", "glass.jpg", glass),
        ("portrait-swirl", "portrait.jpg", portrait),
        ("portrait-swirl", "swirl.jpg", swirl),
    ):
        draw().save(HERE / folder / picture, quality=90)


def harbour(width: int = 768, height: int = 576) -> Image.Image:
    """A harbour at dusk: a low sun, hills, houses with lit windows, two boats, their reflections on the water."""
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    rng = np.random.default_rng(7)
    horizon = int(h * 0.56)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    sky = _gradient(y / horizon, [(38, 52, 104), (112, 92, 142), (232, 138, 112), (255, 205, 134)])
    clouds = _noise(rng, h, w, (3, 9), 5) * np.clip(1.2 - y / horizon, 0, 1)
    sky += (np.clip(clouds - 0.08, 0, 1) * 260)[..., None] * np.array([1.0, 0.62, 0.5])
    sun_x, sun_y, sun_r = w * 0.68, horizon * 0.86, h * 0.055
    distance = np.hypot(x - sun_x, y - sun_y)
    glow = np.exp(-distance / (h * 0.22))[..., None] * np.array([120.0, 80.0, 30.0])
    disc = np.clip((sun_r - distance) / 3, 0, 1)[..., None]
    picture = (sky + glow) * (1 - disc) + np.array([255.0, 240.0, 200.0]) * disc
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for level, color, seed in ((0.80, (120, 92, 128), 1), (0.88, (78, 66, 104), 2)):
        ridge = _ridge(np.random.default_rng(seed), w, horizon, level, h * 0.09)
        draw.polygon([(0, horizon), *zip(range(0, w, 4), ridge[::4], strict=False), (w, horizon)], fill=color)
    _houses(draw, rng, w, h, horizon)
    _lighthouse(draw, w, h, horizon)
    image = _water(image, horizon, rng)
    draw = ImageDraw.Draw(image)
    _boat(draw, w * 0.30, h * 0.80, h * 0.30, (44, 48, 74), (240, 226, 204))
    _boat(draw, w * 0.62, h * 0.69, h * 0.16, (104, 44, 44), (250, 214, 170))
    _quay(draw, rng, w, h)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def swirl(width: int = 768, height: int = 608) -> Image.Image:
    """A night sky of brush strokes that follow a field of whirls, layered from broad to fine."""
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    rng = np.random.default_rng(11)
    whirls = [(0.28, 0.34, 0.24, 1.0), (0.72, 0.27, 0.17, -1.0), (0.55, 0.66, 0.28, 1.0), (0.13, 0.80, 0.18, -1.0),
              (0.91, 0.74, 0.17, 1.0)]  # fmt: skip
    image = Image.new("RGB", (w, h), (22, 34, 84))
    draw = ImageDraw.Draw(image)
    palette = [
        (16, 28, 78),
        (28, 62, 132),
        (44, 104, 170),
        (96, 160, 196),
        (176, 206, 196),
        (238, 206, 96),
        (250, 232, 160),
    ]
    for stroke_width, length, count in ((26, 150, 2600), (15, 110, 5200), (8, 70, 7000)):
        for _ in range(count):
            px, py = rng.random() * w, rng.random() * h
            light = _light(px / w, py / h, whirls) + rng.normal(0, 0.09)
            color = _from_palette(palette, light, rng)
            points = [(px, py)]
            for _ in range(length // 8):
                angle = _flow(px / w, py / h, whirls)
                px, py = px + 8 * math.cos(angle), py + 8 * math.sin(angle)
                points.append((px, py))
            draw.line(points, fill=color, width=stroke_width, joint="curve")
            for end in (points[0], points[-1]):
                r = stroke_width / 2
                draw.ellipse([end[0] - r, end[1] - r, end[0] + r, end[1] + r], fill=color)
    return _canvas(image, rng).resize((width, height), Image.Resampling.LANCZOS)


def glass(width: int = 768, height: int = 608) -> Image.Image:
    """A stained-glass mosaic: leaded panes of glowing colour around a rose."""
    w, h = width * OVERSAMPLING, height * OVERSAMPLING
    rng = np.random.default_rng(5)
    centres, colors = _panes(rng, w, h)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    nearest = np.full((h, w), np.inf, np.float32)
    second = np.full((h, w), np.inf, np.float32)
    owner = np.zeros((h, w), np.int32)
    for index, (cx, cy) in enumerate(centres):
        distance = np.hypot(x - np.float32(cx), y - np.float32(cy))
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        owner[closer] = index
        nearest = np.where(closer, distance, nearest)
    pane = np.asarray(colors, np.float32)[owner]
    streaks = _noise(rng, h, w, (40, 6), 4)[..., None]
    shade = 1.06 - 0.30 * np.clip(nearest / 90, 0, 1)[..., None] + 0.55 * streaks
    lead = np.clip((second - nearest - 9) / 4, 0, 1)[..., None]
    picture = pane * shade * lead + np.array([20.0, 18.0, 22.0]) * (1 - lead)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _panes(rng: np.random.Generator, w: int, h: int) -> tuple[list[tuple[float, float]], list[Color]]:
    gold, ruby, blue, green = (246, 178, 42), (190, 28, 44), (28, 74, 170), (30, 132, 96)
    centres: list[tuple[float, float]] = [(w * 0.5, h * 0.5)]
    colors: list[Color] = [gold]
    for ring, (radius, count) in enumerate(((110, 8), (220, 12), (340, 18), (470, 26))):
        for k in range(count):
            angle = 2 * math.pi * (k + ring % 2 / 2) / count
            centres.append((w * 0.5 + radius * math.cos(angle), h * 0.5 + radius * math.sin(angle)))
            colors.append(((ruby, gold), (blue, ruby), (gold, green), (blue, (222, 96, 30)))[ring][k % 2])
    while len(centres) < 260:
        cx, cy = rng.random() * w, rng.random() * h
        if math.hypot(cx - w * 0.5, cy - h * 0.5) > 540 and all(math.hypot(cx - a, cy - b) > 62 for a, b in centres):
            base = np.array([blue, green, (98, 44, 130), (60, 140, 196), ruby, gold][rng.integers(6)], np.float64)
            centres.append((cx, cy))
            r, g, b = np.clip(base + rng.normal(0, 16, 3), 0, 255).astype(int)
            colors.append((int(r), int(g), int(b)))
        elif rng.random() < 0.0005:
            break
    return centres, colors


def _houses(draw: ImageDraw.ImageDraw, rng: np.random.Generator, w: int, h: int, horizon: int) -> None:
    x = -10.0
    walls = [(86, 60, 78), (112, 70, 74), (70, 62, 92), (132, 88, 80), (92, 76, 96)]
    while x < w * 0.60:
        width = rng.uniform(0.030, 0.055) * w
        top = horizon - rng.uniform(0.10, 0.20) * h
        color = walls[rng.integers(len(walls))]
        draw.rectangle([x, top, x + width, horizon], fill=color)
        roof = top - rng.uniform(0.025, 0.05) * h
        draw.polygon([(x - 4, top), (x + width / 2, roof), (x + width + 4, top)], fill=(58, 38, 54))
        for row in np.arange(top + 0.02 * h, horizon - 0.03 * h, 0.035 * h):
            for column in np.arange(x + 0.008 * w, x + width - 0.010 * w, 0.013 * w):
                lit = rng.random() < 0.55
                pane = (255, 214, 120) if lit else (52, 44, 66)
                draw.rectangle([column, row, column + 0.006 * w, row + 0.018 * h], fill=pane)
        x += width


def _lighthouse(draw: ImageDraw.ImageDraw, w: int, h: int, horizon: int) -> None:
    x, top, base = w * 0.88, horizon - h * 0.30, horizon
    draw.polygon([(x - w * 0.07, base), (x, base - h * 0.04), (x + w * 0.09, base)], fill=(52, 46, 66))
    stripes = 6
    for k in range(stripes):
        a, b = k / stripes, (k + 1) / stripes
        wide_a, wide_b = w * (0.014 + 0.010 * a), w * (0.014 + 0.010 * b)
        ya, yb = top + (base - top) * a, top + (base - top) * b
        color = (236, 226, 214) if k % 2 else (176, 58, 56)
        draw.polygon([(x - wide_a, ya), (x + wide_a, ya), (x + wide_b, yb), (x - wide_b, yb)], fill=color)
    draw.rectangle([x - w * 0.011, top - h * 0.035, x + w * 0.011, top], fill=(255, 234, 160))
    draw.polygon(
        [(x - w * 0.015, top - h * 0.035), (x, top - h * 0.065), (x + w * 0.015, top - h * 0.035)], fill=(72, 40, 52)
    )


def _water(image: Image.Image, horizon: int, rng: np.random.Generator) -> Image.Image:
    """The picture above the horizon mirrored below it, darker towards the front and broken by waves."""
    w, h = image.size
    pixels = np.asarray(image).astype(np.float64)
    depth = np.arange(h - horizon)
    near = depth / depth.max()
    ripple = _noise(rng, h - horizon, w, (60, 8), 5)
    rows = np.clip(
        horizon - 1 - depth[:, None] * (horizon / (h - horizon)) * 0.92 + ripple * 240 * near[:, None], 0, horizon - 1
    )
    columns = np.clip(np.arange(w)[None, :] + ripple * 160 * near[:, None], 0, w - 1)
    mirrored = pixels[rows.astype(int), columns.astype(int)]
    tint = np.array([30.0, 44.0, 84.0])
    share = (0.22 + 0.42 * near)[:, None, None]
    pixels[horizon:] = (
        mirrored * (1 - share) + tint * share + np.clip(ripple, 0, 1)[..., None] * 150 * near[:, None, None]
    )
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _boat(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, hull: Color, sail: Color) -> None:
    shade = (int(sail[0] * 0.82), int(sail[1] * 0.76), int(sail[2] * 0.80))
    draw.polygon(
        [(x - size * 0.04, y - size * 0.10), (x - size * 0.04, y - size), (x + size * 0.40, y - size * 0.14)], fill=sail
    )
    draw.polygon(
        [(x - size * 0.08, y - size * 0.12), (x - size * 0.08, y - size * 0.86), (x - size * 0.34, y - size * 0.14)],
        fill=shade,
    )
    draw.line(
        [(x - size * 0.06, y), (x - size * 0.06, y - size * 1.04)], fill=(50, 36, 40), width=max(3, int(size * 0.022))
    )
    keel = [(-0.46, -0.08), (0.52, -0.08), (0.36, 0.10), (-0.34, 0.10)]
    draw.polygon([(x + size * dx, y + size * dy) for dx, dy in keel], fill=hull)
    for k in range(7):
        half = size * (0.40 - 0.045 * k)
        wave = y + size * (0.14 + 0.055 * k)
        draw.line([(x - half, wave), (x + half, wave)], fill=hull if k % 2 else shade, width=max(2, int(size * 0.014)))


def _quay(draw: ImageDraw.ImageDraw, rng: np.random.Generator, w: int, h: int) -> None:
    draw.polygon([(w * 0.66, h), (w * 0.78, h * 0.86), (w, h * 0.83), (w, h)], fill=(58, 48, 60))
    for _ in range(160):
        x, y = rng.uniform(0.70, 1.0) * w, rng.uniform(0.85, 1.0) * h
        if y > h * (1.0 - (x / w - 0.66) * 1.16) and y > h * 0.86:
            tone = int(rng.uniform(62, 104))
            draw.ellipse([x - 20, y - 8, x + 20, y + 8], fill=(tone + 8, tone - 6, tone))
    for x in (0.80, 0.90):
        draw.rectangle([w * x, h * 0.80, w * (x + 0.012), h * 0.88], fill=(36, 28, 38))


def _gradient(position: Field, stops: list[Color]) -> Field:
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(position, places, [stop[c] for stop in stops]) for c in range(3)], axis=-1)


def _noise(rng: np.random.Generator, h: int, w: int, cells: tuple[int, int], octaves: int) -> Field:
    """Smooth noise around 0: random grids of rising fineness, enlarged and added."""
    total = np.zeros((h, w))
    for octave in range(octaves):
        grid = rng.normal(0, 1, (cells[0] * 2**octave, cells[1] * 2**octave)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize((w, h), Image.Resampling.BICUBIC)) / 2**octave
    return total * 0.1


def _ridge(rng: np.random.Generator, w: int, horizon: int, level: float, swing: float) -> Field:
    x = np.arange(w)
    waves = [np.sin(x / w * 2 * math.pi * f + rng.uniform(0, 6.3)) / f for f in (1, 2, 3, 5, 9)]
    ridge: Field = horizon * level - swing * np.sum(waves, axis=0) * 0.5
    return np.minimum(ridge, horizon)


def _flow(x: float, y: float, whirls: list[tuple[float, float, float, float]]) -> float:
    """The direction of the strokes at a place: around near whirls, else a gentle wave from left to right."""
    dx, dy = 1.0, 0.35 * math.sin(5 * x + 2 * y)
    for cx, cy, radius, turn in whirls:
        rx, ry = x - cx, (y - cy) * 0.8
        strength = 9.0 * math.exp(-((math.hypot(rx, ry) / radius) ** 2))
        dx += -ry / radius * strength * turn
        dy += rx / radius * strength * turn
    return math.atan2(dy, dx)


def _light(x: float, y: float, whirls: list[tuple[float, float, float, float]]) -> float:
    light = 0.22 + 0.10 * math.sin(9 * y + 4 * x)
    for cx, cy, radius, _ in whirls:
        r = math.hypot(x - cx, (y - cy) * 0.8) / radius
        light += 0.85 * math.exp(-((r / 0.32) ** 2)) + 0.24 * math.exp(-(((r - 0.75) / 0.18) ** 2))
    return light


def _from_palette(palette: list[Color], light: float, rng: np.random.Generator) -> Color:
    place = min(max(light, 0.0), 0.999) * (len(palette) - 1)
    low = int(place)
    mixed = [
        a + (b - a) * (place - low) + rng.normal(0, 9) for a, b in zip(palette[low], palette[low + 1], strict=True)
    ]
    r, g, b = (int(min(max(value, 0), 255)) for value in mixed)
    return r, g, b


def _canvas(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Relief of thick paint: the picture lit from one side by its own lightness."""
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(1.2))).astype(np.float64)
    relief = np.gradient(grey, axis=1) + np.gradient(grey, axis=0)
    grain = rng.normal(0, 4, grey.shape)
    pixels = np.asarray(image) + (relief * 0.9 + grain)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
