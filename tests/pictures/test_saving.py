"""Pictures as files, and what they say of themselves."""

from __future__ import annotations

import io
import json
import tracemalloc
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from pipeline.manifest.parameters import MOST_OF_FORMAT
from pipeline.pictures import metadata, saving
from pipeline.pictures.images import Picture
from pipeline.pictures.metadata import NAMESPACE, Metadata
from tests.conftest import picture

FORMATS = [("png", 8), ("png", 16), ("jpeg", 8), ("webp", 8), ("tiff", 8), ("tiff", 16)]
EXIF, GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo


def levels_of_png(data: bytes) -> Any:
    """The levels of a 16-bit RGB PNG, by the standard's own words."""
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        chunks[kind] = chunks.get(kind, b"") + data[place + 8 : place + 8 + length]
        place += length + 12
    header = chunks[b"IHDR"]
    width, height = (int.from_bytes(header[n : n + 4], "big") for n in (0, 4))
    assert header[8:] == bytes([16, 2, 0, 0, 0])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * 6)
    assert set(rows[:, 0]) == {2}, "each row is told by its differences from the one above"
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).copy().view(">u2").reshape(height, width, 3)


class TestPixels:
    @pytest.mark.parametrize(("form", "mode"), [("png", "RGBA"), ("webp", "RGBA"), ("tiff", "RGBA"), ("jpeg", "RGB")])
    def test_alpha_returns_where_the_format_has_it(self, form: str, mode: str) -> None:
        rgb = np.asarray(picture(40, 30), np.float32) / np.float32(255)
        alpha = np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))
        for depth in (8, 16) if form in ("png", "tiff") else (8,):
            again = Image.open(io.BytesIO(saving.encode(Picture(rgb, alpha), form, depth)))
            assert again.format == form.upper()
            assert (again.mode, again.size) == (mode, (40, 30))
            if mode == "RGBA":
                assert (np.asarray(again.getchannel("A")) == alpha).all()

    @pytest.mark.parametrize(("form", "depth"), FORMATS)
    def test_a_print_is_written_from_its_levels_not_from_copies_of_its_floats(self, form: str, depth: int) -> None:
        wall = Picture(np.linspace(0, 1, 3000, dtype=np.float32)[:, None, None].repeat(1000, 1).repeat(3, 2), None)
        tracemalloc.start()
        try:
            data = saving.encode(wall, form, depth)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 3_000_000 * (4 + 3 * depth // 8)
        again = tifffile.imread(io.BytesIO(data)) if form == "tiff" else np.asarray(Image.open(io.BytesIO(data)))
        assert again.shape == (3000, 1000, 3)

    @pytest.mark.parametrize(("form", "depth"), FORMATS)
    def test_a_print_says_its_resolution(self, form: str, depth: int) -> None:
        told = Metadata("Stylistic", dpi=300.0)
        again = Image.open(io.BytesIO(saving.encode(Picture(np.zeros([4, 4, 3], np.float32), None), form, depth, told)))
        exif = again.getexif()
        assert (exif[ExifTags.Base.XResolution], exif[ExifTags.Base.ResolutionUnit]) == (300, 2)
        if form != "webp":
            assert again.info["dpi"] == pytest.approx((300, 300), abs=0.01)

    @pytest.mark.parametrize("form", ["png", "tiff"])
    def test_every_level_is_kept(self, form: str) -> None:
        levels = np.arange(256, dtype=np.float32).reshape(16, 16, 1).repeat(3, 2) / np.float32(255)
        again = Image.open(io.BytesIO(saving.encode(Picture(levels, None), form)))
        assert (np.asarray(again)[..., 0].ravel() == np.arange(256)).all()

    def test_sixteen_bits_are_rounded_from_the_picture_itself(self) -> None:
        rng = np.random.default_rng(1)
        rgb = np.concatenate([[0.0, 1.0, 0.4 / 65535, 0.6 / 65535, 1.2, -0.1], rng.random(24 * 16 * 3 - 6)])
        rgb = rgb.reshape(16, 24, 3).astype(np.float32)
        expected = np.rint(np.clip(rgb, 0, 1).astype(np.float64) * 65535)
        assert expected.ravel()[:6].tolist() == [0, 65535, 0, 1, 65535, 0]
        png = levels_of_png(saving.encode(Picture(rgb, None), "png", 16))
        tiff = tifffile.imread(io.BytesIO(saving.encode(Picture(rgb, None), "tiff", 16)))
        assert tiff.dtype == np.uint16
        for found in (png, tiff):
            assert np.abs(found.astype(float) - np.clip(rgb, 0, 1).astype(np.float64) * 65535).max() < 0.51
            assert (found == expected).mean() > 0.99
            assert found.ravel()[:6].tolist() == [0, 65535, 0, 1, 65535, 0]

    @pytest.mark.parametrize("output_format", saving.SUFFIXES)
    def test_a_format_takes_the_longest_side_that_a_manifest_may_ask_of_it(self, output_format: str) -> None:
        longest = MOST_OF_FORMAT.get(output_format, 70_000)
        buffer = io.BytesIO(saving.encode(Picture(np.zeros((1, longest, 3), np.float32), None), output_format))
        with Image.open(buffer) as image:
            assert image.size == (longest, 1)

    def test_an_animation_leaves_out_what_is_damaged(self, tmp_path: Path) -> None:
        for number in range(3):
            picture(seed=number).save(tmp_path / f"{number}.png")
        (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:-40])
        picture(40, 30).save(tmp_path / "2.png")  # of another size
        frames = [tmp_path / f"{number}.png" for number in range(3)] + [tmp_path / "gone.png"]
        film: Any = Image.open(io.BytesIO(saving.animation(frames, Picture(np.zeros((64, 80, 3), np.float32), None))))
        assert film.n_frames == 2

    def test_an_animation_shows_every_picture_and_stays_on_the_last(self, tmp_path: Path) -> None:
        paths = []
        for number in range(150):
            paths.append(tmp_path / f"{number:03}.png")
            picture(1200, 16, seed=number + 10).save(paths[-1])
        last = np.asarray(picture(1200, 16, seed=7), np.float32) / np.float32(255)
        for frames, expected in ((paths[:3], 4), (paths, 76)):
            film: Any = Image.open(io.BytesIO(saving.animation(frames, Picture(last, None))))
            assert (film.n_frames, film.size) == (expected, (1024, 14))
            film.seek(expected - 1)
            film.load()
            assert film.info["duration"] == saving.LAST_MILLISECONDS
            shown = np.asarray(film.convert("RGB"), float)
            wanted = np.asarray(picture(1200, 16, seed=7).resize((1024, 14)), float)
            assert np.abs(shown - wanted).mean() < 12


def photo(path: Path, root: dict[Any, Any] | None = None) -> Path:
    """A photo with what a telephone says of it."""
    exif = Image.Exif()
    tags = {ExifTags.Base.Make: "Fuji", ExifTags.Base.Model: "X100V", ExifTags.Base.Orientation: 6, **(root or {})}
    exif.update(tags)
    exif[EXIF] = {
        ExifTags.Base.DateTimeOriginal: "2024:06:02 13:04:05",
        ExifTags.Base.OffsetTimeOriginal: "+02:00",
        ExifTags.Base.BodySerialNumber: "1234",
    }
    angle = (IFDRational(48), IFDRational(31), IFDRational(12345, 1000))
    exif[GPS] = {1: "N", 2: angle, 3: "E", 4: angle, 16: "T"}
    picture(32, 24).save(path, exif=exif)
    return path


class TestMetadata:
    @pytest.mark.parametrize(("form", "depth"), FORMATS)
    def test_every_format_says_how_it_was_made_and_of_the_photo_date_and_camera(
        self, tmp_path: Path, form: str, depth: int
    ) -> None:
        made = {"manifest": json.dumps({"content": "<ü&.jpg", "style": "b.jpg"})}
        kept = metadata.of_photo(photo(tmp_path / "a.jpg"), with_gps=True)
        rgb = np.asarray(picture(32, 24), np.float32) / np.float32(255)
        told = Metadata("Stylistic 1", made, kept)
        data = saving.encode(Picture(rgb, None), form, depth, told)
        again: Any = Image.open(io.BytesIO(data))
        again.load()
        root, inner, gps = again.getexif(), again.getexif().get_ifd(EXIF), again.getexif().get_ifd(GPS)
        assert [root[tag] for tag in (ExifTags.Base.Software, ExifTags.Base.Make)] == ["Stylistic 1", "Fuji"]
        assert ExifTags.Base.Orientation not in root, "the photo was turned upright"
        dates = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal)
        assert inner == dict(zip(map(int, dates), ("2024:06:02 13:04:05", "+02:00"), strict=True))
        assert [float(part) for part in gps[2]] == [48, 31, 12.345]
        packet = again.info["xmp"]
        packet = packet if isinstance(packet, str) else packet.decode()
        tree = ET.fromstring(packet[packet.index("<x:") : packet.rindex("<?xpacket")])
        assert tree.findtext(f".//{{{NAMESPACE}}}manifest") == made["manifest"]
        if form == "png":
            assert again.text["manifest"] == made["manifest"]
        assert np.abs(np.asarray(again, float) - rgb * 255).mean() < (12 if form in ("jpeg", "webp") else 0.51)

    def test_where_it_was_taken_is_kept_on_request_only(self, tmp_path: Path) -> None:
        path = photo(tmp_path / "a.jpg")
        assert set(metadata.of_photo(path, with_gps=False)) == {0, EXIF}
        assert set(metadata.of_photo(path, with_gps=True)[GPS]) == {0, 1, 2, 3, 4}

    def test_what_is_odd_is_left_out_and_stops_nothing(self, tmp_path: Path) -> None:
        odd: dict[Any, Any] = {
            ExifTags.Base.DateTime: "yesterday",
            ExifTags.Base.Model: "x" * 5000,
            ExifTags.Base.Make: "a\x07b",
        }
        path = photo(tmp_path / "a.jpg", odd)
        assert 0 not in metadata.of_photo(path, with_gps=True)
        whole = path.read_bytes()
        start = whole.index(b"Exif\0\0") + 6
        for place in range(start, start + 300):
            path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
            told = Metadata("Stylistic 1", {}, metadata.of_photo(path, with_gps=True))
            for form, depth in (("png", 16), ("tiff", 16), ("jpeg", 8)):
                saving.encode(Picture(np.zeros((2, 2, 3), np.float32), None), form, depth, told)
        path.write_bytes(b"no picture")
        assert metadata.of_photo(path, with_gps=True) == {}

    def test_a_manifest_too_long_for_a_jpeg_is_left_out(self) -> None:
        told = Metadata("Stylistic 1", {"manifest": "x" * 70_000})
        black = Picture(np.zeros((2, 2, 3), np.float32), None)
        assert b"x" * 1000 not in saving.encode(black, "jpeg", 8, told)
        assert b"x" * 1000 in saving.encode(black, "webp", 8, told)
