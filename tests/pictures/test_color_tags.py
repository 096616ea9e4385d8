"""Colours that a file tells of without an ICC profile, or by one of grey: they come to the same sRGB."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from pipeline.pictures import images, spaces
from tests.conftest import picture
from tests.pictures.test_completeness import chunk

Array = Any
Encode = Callable[[Array], Array]  # from sRGB in [0, 1] to the values of another space
RGB: Array = np.asarray(picture(80, 64, seed=4)) / 255.0
GREY: Array = np.asarray(picture(80, 64, seed=4).convert("L")) / 255.0
# From linear sRGB, as BT.2087 and the makers of the others print them.
BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
P3 = np.array([[0.822462, 0.177538, 0.0], [0.033194, 0.966806, 0.0], [0.017083, 0.072397, 0.910520]])
ADOBE = np.array([[0.715126, 0.284874, 0.0], [0.0, 1.0, 0.0], [0.0, 0.041162, 0.958838]])
SAME = np.eye(3)


def linear(values: Array) -> Array:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb(light: Array) -> Array:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def power(gamma: float) -> Encode:
    return lambda light: np.maximum(light, 0.0) ** (1 / gamma)


def pq(light: Array) -> Array:
    """White at 203 cd/m²."""
    y = (np.maximum(light, 0.0) * 203 / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def hlg(light: Array) -> Array:
    """White at 203 cd/m² on a display of 1000."""
    shown = np.maximum(light, 0.0) * 0.203
    y = (shown @ np.array([0.2627, 0.6780, 0.0593]))[..., None]
    scene = shown * np.maximum(y, 1e-9) ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def values(matrix: Array, curve: Encode) -> Array:
    return np.clip(curve(linear(RGB) @ matrix.T), 0.0, 1.0)


def levels(of: Array, bits: int = 8) -> Array:
    return np.rint(of * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


ADAM7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))


def png(of: Array, chunks: bytes, bits: int = 8, is_interlaced: bool = False) -> bytes:
    depth = levels(of, bits).astype(f">u{bits // 8}")
    kind: int = 0 if depth.ndim == 2 else {2: 4, 3: 2, 4: 6}[depth.shape[2]]
    passes = [depth[y::down, x::right] for y, down, x, right in ADAM7] if is_interlaced else [depth]
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    sizes = struct.pack(">IIBBBBB", depth.shape[1], depth.shape[0], bits, kind, 0, 0, is_interlaced)
    head = chunk(b"IHDR", sizes)
    return b"\x89PNG\r\n\x1a\n" + head + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def cicp(*points: int) -> bytes:
    return chunk(b"cICP", bytes(points))


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma)))


def chrm(primaries: tuple[float, ...]) -> bytes:
    turned = [*primaries[6:], *primaries[:6]]
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in turned)))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))


def nclx(of: Array, form: str, primaries: int, transfer: int, bits: int = 8) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    if bits > 8:
        deep = pillow_heif.from_bytes("RGB;16", (80, 64), levels(of, 16).tobytes())
        deep.save(buffer, quality=-1, chroma=444)
    else:
        Image.fromarray(levels(of)).save(
            buffer, form, quality=100, **({"chroma": 444} if form == "HEIF" else {"subsampling": "4:4:4"})
        )
    before, mark, behind = buffer.getvalue().partition(b"colrnclx")
    assert mark
    return before + mark + struct.pack(">HH", primaries, transfer) + behind[4:]


def tiff(of: Array, tags: dict[int, Any]) -> bytes:
    buffer = io.BytesIO()
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
        directory.tagtype[tag] = 3 if tag == 301 else 5
    Image.fromarray(levels(of)).save(buffer, "TIFF", tiffinfo=directory)
    return buffer.getvalue()


def bmp(of: Array, kind: bytes, primaries: tuple[float, ...], gamma: float, profile: bytes = b"") -> bytes:
    """A BMP of version 5."""
    x, y = np.array(primaries[0::2]), np.array(primaries[1::2])
    columns = np.stack([x, y, 1 - x - y])
    corners = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3] / y[3])
    fixed = [round(float(value) * 2**30) for value in corners.T.ravel()]
    pixels: bytes = levels(of)[::-1, :, ::-1].tobytes()
    head: bytes = struct.pack("<IiiHHIIiiII", 124, 80, 64, 1, 24, 0, len(pixels), 0, 0, 0, 0) + bytes(16) + kind
    head += struct.pack("<9i", *fixed) + struct.pack("<3I", *[round(gamma * 2**16)] * 3)
    head += struct.pack("<IIII", 4, 124 + len(pixels), len(profile), 0)
    size = 14 + len(head) + len(pixels) + len(profile)
    return b"BM" + struct.pack("<III", size, 0, 14 + len(head)) + head + pixels + profile


def exif(color_space: int, index: str) -> Image.Exif:
    """Of a camera."""
    found = Image.Exif()
    found[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: color_space, 0xA005: {1: index}}
    return found


def jpeg_of_a_camera(of: Array, color_space: int, index: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels(of)).save(buffer, "JPEG", quality=100, subsampling=0, exif=exif(color_space, index))
    return buffer.getvalue()


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey: a curve and a white point."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"g\0" + bytes(78)
    copyright_ = b"text" + bytes(4) + b"none\0\0\0\0"
    tags, data, at = b"", b"", 128 + 4 + 12 * 4
    for name, body in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve), (b"cprt", copyright_)):
        body = body.ljust(-(-len(body) // 4) * 4, b"\0")
        tags += name + struct.pack(">II", at + len(data), len(body))
        data += body
    head = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ").ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    profile = head.ljust(128, b"\0") + struct.pack(">I", 4) + tags + data
    return struct.pack(">I", len(profile)) + profile[4:]


def rgb_profile() -> bytes:
    """sRGB's, with red and blue exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.find(b"rXYZ"), profile.find(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


SWAPPED = RGB[..., ::-1]
ADOBE_VALUES = values(ADOBE, power(563 / 256))
LINEAR = values(SAME, power(1.0))
P3_VALUES, PQ_VALUES, HLG_VALUES = values(P3, srgb), values(BT2020, pq), values(BT2020, hlg)
TABLE = tuple(np.rint(np.linspace(0, 1, 256) ** 1.8 * 65535).astype(int).tolist())
# The same picture in other spaces, and by how many of 255 levels it may be off: on average, and but for 1 pixel in 100.
FILES: dict[str, tuple[bytes, float, int]] = {
    "PNG cICP, Display P3": (png(P3_VALUES, cicp(12, 13, 0, 1)), 0.7, 8),
    "PNG cICP, PQ": (png(PQ_VALUES, cicp(9, 16, 0, 1)), 2.0, 20),
    "PNG cICP, PQ, 16 bits": (png(PQ_VALUES, cicp(9, 16, 0, 1), 16), 0.3, 3),
    "PNG cICP, HLG, 16 bits": (png(HLG_VALUES, cicp(9, 18, 0, 1), 16), 0.3, 3),
    "PNG cICP, linear, 16 bits": (png(LINEAR, cicp(1, 8, 0, 1), 16), 0.1, 1),
    "PNG cICP, gamma 2.2": (png(values(SAME, power(2.2)), cicp(1, 4, 0, 1)), 0.7, 4),
    "PNG cICP, gamma 2.8": (png(values(SAME, power(2.8)), cicp(1, 5, 0, 1)), 0.7, 5),
    "PNG cICP, narrow range": (png((RGB * 219 + 16) / 255, cicp(1, 13, 0, 0)), 0.7, 3),
    "PNG cICP, BT.709 of a screen": (png(RGB, cicp(1, 1, 0, 1)), 0.01, 0),
    "PNG cICP before iCCP": (png(P3_VALUES, cicp(12, 13, 0, 1) + iccp(rgb_profile())), 0.7, 8),
    "PNG cICP, reserved, then iCCP": (png(SWAPPED, cicp(99, 99, 0, 1) + iccp(rgb_profile())), 1.5, 6),
    "PNG cICP of YCbCr, then gAMA": (png(LINEAR, cicp(9, 16, 9, 1) + gama(1.0), 16), 0.1, 1),
    "PNG iCCP before sRGB and gAMA": (png(SWAPPED, gama(1.0) + chunk(b"sRGB", b"\0") + iccp(rgb_profile())), 1.5, 6),
    "PNG iCCP of 3 MiB": (png(SWAPPED, iccp(rgb_profile() + bytes(3 << 20))), 1.5, 6),
    "PNG iCCP, damaged, then gAMA": (png(LINEAR, chunk(b"iCCP", b"a\0\0nonsense") + gama(1.0), 16), 0.1, 1),
    "PNG sRGB before gAMA": (png(RGB, gama(1.0) + chunk(b"sRGB", b"\0")), 0.01, 0),
    "PNG gAMA 1.0": (png(LINEAR, gama(1.0)), 1.5, 13),
    "PNG gAMA 1.0, 16 bits": (png(LINEAR, gama(1.0), 16), 0.1, 1),
    "PNG gAMA 1.0, 16 bits, interlaced": (png(LINEAR, gama(1.0), 16, is_interlaced=True), 0.1, 1),
    "PNG gAMA 1.8": (png(values(SAME, power(1.8)), gama(1.8)), 0.7, 4),
    "PNG gAMA and cHRM, Adobe RGB": (png(ADOBE_VALUES, gama(563 / 256) + chrm(spaces.ADOBE_PRIMARIES)), 0.7, 5),
    "PNG cHRM alone, Display P3": (png(P3_VALUES, chrm(spaces.PRIMARIES[12])), 0.7, 8),
    "PNG gAMA of sRGB": (png(RGB, gama(2.2) + chrm(spaces.SRGB_PRIMARIES)), 0.6, 2),
    "PNG gAMA of 0": (png(RGB, chunk(b"gAMA", bytes(4))), 0.01, 0),
    "PNG gAMA of nobody": (png(RGB, chunk(b"gAMA", b"\0\0\0\1")), 0.01, 0),
    "PNG cHRM without colours": (png(RGB, chunk(b"cHRM", bytes(32))), 0.01, 0),
    "PNG cHRM of one colour": (png(RGB, chrm((0.3, 0.3) * 4)), 0.01, 0),
    "PNG cICP that is too short": (png(RGB, cicp(9, 16)), 0.01, 0),
    "PNG of a camera, Adobe RGB": (png(ADOBE_VALUES, chunk(b"eXIf", exif(0xFFFF, "R03").tobytes()[6:])), 0.7, 5),
    "PNG of a camera, sRGB by its chunk": (
        png(RGB, chunk(b"sRGB", b"\0") + chunk(b"eXIf", exif(0xFFFF, "R03").tobytes()[6:])),
        0.01,
        0,
    ),
    "HEIC, Display P3": (nclx(P3_VALUES, "HEIF", 12, 13), 2.5, 20),
    "HEIC, BT.2020": (nclx(values(BT2020, srgb), "HEIF", 9, 14), 3.0, 30),
    "HEIC, PQ, 10 bits": (nclx(PQ_VALUES, "HEIF", 9, 16, 10), 2.5, 25),
    "HEIC, HLG, 10 bits": (nclx(HLG_VALUES, "HEIF", 9, 18, 10), 2.5, 25),
    "HEIC, PQ, 8 bits": (nclx(PQ_VALUES, "HEIF", 9, 16), 4.0, 40),
    "HEIC, nothing said": (nclx(RGB, "HEIF", 2, 2), 2.0, 15),
    "AVIF, Display P3": (nclx(P3_VALUES, "AVIF", 12, 13), 2.5, 20),
    "AVIF, PQ": (nclx(PQ_VALUES, "AVIF", 9, 16), 4.0, 40),
    "AVIF, HLG": (nclx(HLG_VALUES, "AVIF", 9, 18), 4.0, 40),
    "AVIF, linear": (nclx(LINEAR, "AVIF", 1, 8), 4.0, 40),
    "TIFF, Adobe RGB's primaries": (
        tiff(values(ADOBE, srgb), {318: (0.3127, 0.329), 319: spaces.ADOBE_PRIMARIES[:6]}),
        0.7,
        8,
    ),
    "TIFF, a TransferFunction": (tiff(values(SAME, power(1.8)), {301: TABLE}), 0.7, 4),
    "TIFF, a TransferFunction for each": (tiff(values(SAME, power(1.8)), {301: TABLE * 3}), 0.7, 4),
    "TIFF, a TransferFunction of zeros": (tiff(RGB, {301: (0,) * 256}), 0.01, 0),
    "TIFF, primaries of two": (tiff(RGB, {319: (0.6, 0.3, 0.3, 0.6)}), 0.01, 0),
    "TIFF, a white point of one number": (tiff(RGB, {318: (0.3,)}), 0.01, 0),
    "BMP, a gamma of nobody": (bmp(RGB, bytes(4), spaces.SRGB_PRIMARIES, 9999.0), 0.01, 0),
    "BMP, calibrated": (bmp(ADOBE_VALUES, bytes(4), spaces.ADOBE_PRIMARIES, 563 / 256), 0.7, 5),
    "BMP, sRGB": (bmp(RGB, b"BGRs", spaces.ADOBE_PRIMARIES, 1.0), 0.01, 0),
    "BMP, a profile": (bmp(SWAPPED, b"DEBM", spaces.SRGB_PRIMARIES, 1.0, rgb_profile()), 1.5, 6),
    "JPEG of a camera, Adobe RGB": (jpeg_of_a_camera(ADOBE_VALUES, 0xFFFF, "R03"), 1.5, 12),
    "JPEG of a camera, sRGB": (jpeg_of_a_camera(RGB, 1, "R98"), 1.0, 6),
    "JPEG, uncalibrated": (jpeg_of_a_camera(RGB, 0xFFFF, "R98"), 1.0, 6),
}


def loaded(path: Path, data: bytes) -> images.Picture:
    path.write_bytes(data)
    return images.load(path, 80, path.name, 10_000_000)


@pytest.mark.parametrize("kind", FILES)
def test_colours_are_what_the_file_says(tmp_path: Path, kind: str) -> None:
    data, mean, most = FILES[kind]
    off = np.abs(loaded(tmp_path / "a", data).rgb - RGB) * 255
    assert off.mean() <= mean
    assert np.percentile(off, 99) <= most + 0.01


def test_a_lab_tiff_with_a_white_point_is_converted_once(tmp_path: Path) -> None:
    """It has one by the format's own rules, which speaks of Lab."""
    lab = Image.new("LAB", (80, 64), (138, 81, 70))
    plain, told = io.BytesIO(), io.BytesIO()
    lab.save(plain, "TIFF")
    directory: Any = TiffImagePlugin.ImageFileDirectory_v2()
    directory[318], directory.tagtype[318] = (0.3457, 0.3585), 5
    lab.save(told, "TIFF", tiffinfo=directory)
    once = loaded(tmp_path / "a.tif", plain.getvalue()).rgb
    assert (loaded(tmp_path / "b.tif", told.getvalue()).rgb == once).all()


def saved(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, icc_profile=grey_profile(1.0))
    return buffer.getvalue()


LIGHT = Image.fromarray(levels(linear(GREY)))
HALF = Image.fromarray(np.where(np.arange(80) < 40, 255, 0).astype(np.uint8) * np.ones((64, 1), np.uint8))
PALETTE = LIGHT.copy()
PALETTE.putpalette(bytes(np.repeat(np.arange(256, dtype=np.uint8), 3)))
OF_GREY = {
    "grey": saved(LIGHT),
    "grey with alpha": saved(Image.merge("LA", (LIGHT, HALF))),
    "a palette of greys": saved(PALETTE),
    "grey as RGB": saved(LIGHT.convert("RGB")),
    "grey as RGBA": saved(Image.merge("RGBA", (LIGHT, LIGHT, LIGHT, HALF))),
    "a TIFF": saved(LIGHT, "TIFF"),
    "a TIFF with alpha": saved(Image.merge("LA", (LIGHT, HALF)), "TIFF"),
    "gAMA": png(linear(GREY), gama(1.0)),
    "gAMA with alpha": png(np.dstack([linear(GREY), np.asarray(HALF) / 255]), gama(1.0)),
    "gAMA, 16 bits": png(linear(GREY), gama(1.0), 16),
}


@pytest.mark.parametrize("kind", OF_GREY)
def test_greys_are_what_the_file_says(tmp_path: Path, kind: str) -> None:
    found = loaded(tmp_path / "a.png", OF_GREY[kind])
    assert (found.alpha is not None) is ("alpha" in kind or "RGBA" in kind)
    off = np.abs(found.rgb[:, :40] - GREY[:, :40, None]) * 255
    assert off.mean() < 1.2
    assert off.max() <= 13


def test_a_grey_profile_says_nothing_of_colours(tmp_path: Path) -> None:
    off = np.abs(loaded(tmp_path / "a.png", saved(Image.fromarray(levels(RGB)))).rgb - RGB)
    assert off.max() < 1e-6


def test_alpha_of_16_bits_is_kept_beside_other_colours(tmp_path: Path) -> None:
    alpha = np.broadcast_to(np.arange(80) < 40, (64, 80)).astype(float)
    found = loaded(tmp_path / "a.png", png(np.dstack([LINEAR, alpha]), gama(1.0), 16))
    assert found.alpha is not None
    assert (found.alpha == alpha * 255).all()
    assert np.abs(found.rgb[:, :40] - RGB[:, :40]).max() * 255 <= 1.01
    assert np.allclose(found.rgb[:, 41:], 128 / 255)


def test_light_above_white_is_brought_below_it_in_order(tmp_path: Path) -> None:
    """Of a sky at 1000 cd/m², neither clipped nor the rest darkened."""
    ramp = np.repeat(np.geomspace(0.001, 1000 / 203, 80)[None, :, None], 64, axis=0).repeat(3, axis=2)
    for curve, transfer in ((pq, 16), (hlg, 18)):
        found = loaded(tmp_path / "a.png", png(np.clip(curve(ramp), 0, 1), cicp(9, transfer, 0, 1), 16)).rgb[0, :, 0]
        assert (np.diff(found) >= 0).all()
        assert found[-1] > 0.97
        assert 0.75 < found[np.argmin(np.abs(ramp[0, :, 0] - 1.0))] < 0.97
        dark = ramp[0, :, 0] < 0.3
        assert np.abs(found[dark] - srgb(ramp[0, dark, 0])).max() * 255 < 2


def test_a_turned_picture_of_16_bits_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.rot90(LINEAR)
    data = png(turned, gama(1.0) + chunk(b"eXIf", exif.tobytes()[6:]), 16)
    assert np.abs(loaded(tmp_path / "a.png", data).rgb - RGB).max() * 255 <= 1.01
