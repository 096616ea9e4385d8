"""What RGB values mean where no ICC profile says it, and the same colours in sRGB.

Code points are those of ITU-T H.273 (ISO/IEC 23091-2), which PNG's cICP and the nclx of HEIC and AVIF use; PQ and HLG
are Rec. ITU-R BT.2100's, and how they come to the range of a screen is BT.2390's and BT.2408's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Levels = npt.NDArray[np.uint8]
Curve = Callable[[Array], Array]  # from values [n] in [0, 1] to light [n], or [n, 3] if channels differ; white is 1
Primaries = tuple[float, ...]  # x and y of red, green, blue and white

WHITE = 203.0  # cd/m² of what a screen shows as white: BT.2408's reference white
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2  # of the display that BT.2100 refers to
PEAK_PERCENTILE = 99.9  # of the pixels, which the brightest is judged by: a glint is none
SAMPLE = STRIP = 1 << 16  # pixels
_D65, _C, _E, _DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)

SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
ADOBE_PRIMARIES = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65)
_NTSC = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)
_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: _NTSC,
    7: _NTSC,
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, *_E),
    11: (*_P3, *_DCI),
    12: (*_P3, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}


def gamma(exponent: float) -> Curve:
    """A plain power."""
    return lambda values: values**exponent


def srgb(values: Array) -> Array:
    """IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def pq(values: Array) -> Array:
    """SMPTE ST 2084."""
    root = values ** (1 / 78.84375)
    return (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125) * 1e4 / WHITE


def hlg(values: Array) -> Array:
    """BT.2100's inverse OETF: the scene's light, from 0 to 1; the display's takes all channels."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3.0, (np.exp((values - c) / a) + b) / 12.0)


# Stills that say BT.709 or its kin (1, 6, 11, 14, 15) were made for a screen, and are shown by sRGB's curve.
CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 7, 11, 12, 13, 14, 15), srgb),
    4: gamma(2.2),
    5: gamma(2.8),
    8: gamma(1.0),
    9: lambda values: np.where(values > 0, 10.0 ** (2.0 * (values - 1.0)), 0.0),
    10: lambda values: np.where(values > 0, 10.0 ** (2.5 * (values - 1.0)), 0.0),
    16: pq,
    17: lambda values: values**2.6 * 52.37 / 48.0,
    18: hlg,
}


@dataclass(frozen=True)
class Space:
    """What RGB values mean."""

    primaries: Primaries = SRGB_PRIMARIES
    curve: Curve = srgb
    is_narrow: bool = False  # black is 16 of 255, white 235

    @property
    def is_srgb(self) -> bool:
        """Whether nothing has to be done."""
        return self == Space()

    def require_colors(self) -> None:
        """Make sure that there are such colours.

        Raises:
            ValueError: there are none.
        """
        _to_xyz(self.primaries, invert=True)

    def to_srgb(self, levels: Array, top: int) -> Levels:
        """The same colours in sRGB, of 8 bits; arguments as for ``converter``, of the whole picture."""
        height, width = levels.shape[:2]
        every = sample_step(height, width)
        convert = self.converter(levels[::every, ::every], top)
        result = np.empty((height, width, 3), np.uint8)
        for at, below in strips(height, width):
            result[at:below] = convert(levels[at:below])
        return result

    def converter(self, sample: Array, top: int) -> Callable[[Array], Levels]:
        """What brings levels of a picture, or of a part of it, to sRGB, of 8 bits.

        Light above white (PQ, HLG) is brought below it by BT.2390's curve from the picture's own peak: a picture that
        has none keeps all its values.

        Args:
            sample: some pixels from all over the picture, for its peak: unsigned integers ``[H, W, 3]``, or ``[H, W]``
                of a grey one.
            top: the level that stands for 1.
        """
        values = np.arange(np.iinfo(sample.dtype).max + 1) / top
        if self.is_narrow:
            values = (values * 255.0 - 16.0) / 219.0
        light = self.curve(np.clip(values, 0.0, 1.0)).astype(np.float32)
        from_primaries = (_to_xyz(SRGB_PRIMARIES, invert=True) @ _to_xyz(self.primaries)).astype(np.float32)
        luminance = _to_xyz(self.primaries)[1].astype(np.float32)
        shown = _shown_levels()

        def linear(part: Array) -> Array:
            part = part if part.ndim == 3 else np.repeat(part[..., None], 3, axis=-1)
            found = light[part] if light.ndim == 1 else np.stack([light[part[..., c], c] for c in range(3)], axis=-1)
            if self.curve is hlg:
                found *= (np.maximum(found @ luminance, 0.0) ** (HLG_GAMMA - 1.0))[..., None] * np.float32(
                    HLG_PEAK / WHITE
                )
            return np.asarray(found)

        peak = 1.0
        if self.curve in (pq, hlg):
            peak = float(np.percentile(linear(sample).max(axis=-1), PEAK_PERCENTILE))

        def convert(levels: Array) -> Levels:
            part = linear(levels)
            if peak > 1.0:
                part *= _toned(part.max(axis=-1, keepdims=True), peak)
            part = np.clip(part @ from_primaries.T, 0.0, 1.0)
            found: Levels = shown[np.rint(part * (len(shown) - 1)).astype(np.uint16)]
            return found

        return convert


def sample_step(height: int, width: int) -> int:
    """Of how many rows and columns one is enough for a picture's peak."""
    return max(1, int((height * width / SAMPLE) ** 0.5))


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Some rows after others, from one to before another: numbers of other kinds take several times the memory."""
    rows = max(1, STRIP // max(1, width))
    return ((at, min(height, at + rows)) for at in range(0, height, rows))


def _toned(light: Array, peak: float) -> Array:
    """What light is multiplied by so that ``peak`` comes to white: BT.2390's EETF, without its lift of black."""
    brightest, white = _inverse_pq(np.array([peak, 1.0]))
    value, most = _inverse_pq(light) / brightest, white / brightest
    knee = 1.5 * most - 0.5
    t = np.clip((value - knee) / (1.0 - knee), 0.0, 1.0)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1.0 - knee) + (3 * t**2 - 2 * t**3) * most
    return np.where(value > knee, pq(curve * brightest) / np.maximum(light, 1e-6), 1.0).astype(np.float32)


def _inverse_pq(light: Array) -> Array:
    power = (np.maximum(light, 0.0) * WHITE / 1e4) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1.0 + 18.6875 * power)) ** 78.84375


def _shown_levels() -> Levels:
    """sRGB's levels of light from 0 to 1."""
    light = np.arange(1 << 16) / 65535.0
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(values * 255.0).astype(np.uint8)


def _to_xyz(primaries: Primaries, invert: bool = False) -> Array:
    """The matrix from linear RGB to XYZ under D65, by Bradford's adaptation.

    Raises:
        ValueError: the primaries make no colours.
    """
    x, y = np.array(primaries[0::2]), np.array(primaries[1::2])
    if len(primaries) != 8 or not (np.isfinite(primaries).all() and y[3] > 0):
        raise ValueError("no primaries")
    columns = np.stack([x, y, 1.0 - x - y])
    try:
        matrix = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3] / y[3])
        bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
        white = np.array([_D65[0], _D65[1], 1.0 - sum(_D65)]) / _D65[1]
        change = (bradford @ white) / (bradford @ matrix.sum(axis=1))
        adapted = np.linalg.inv(bradford) @ (change[:, None] * bradford) @ matrix
        found: Array = np.linalg.inv(adapted) if invert else adapted
    except np.linalg.LinAlgError:
        raise ValueError("no primaries") from None
    if not np.isfinite(found).all():
        raise ValueError("no primaries")
    return found
