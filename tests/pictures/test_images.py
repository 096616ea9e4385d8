from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, ImageCms

from pipeline.errors import HugeFileError, ImageError
from pipeline.pictures import animations, images, suffixes
from tests.conftest import picture

LIMIT = 10_000_000


def load(path: Path, side: int = 80) -> images.Picture:
    return images.load(path, side, path.name, LIMIT)


def close(a: images.Rgb, b: object, levels: float) -> bool:
    """Whether two pictures differ by at most so many of 255 levels on average."""
    return float(np.abs(a - np.asarray(b, np.float32)).mean() * 255) <= levels


@pytest.fixture
def original() -> Image.Image:
    return picture(80, 64, seed=4)


class TestWhatPeopleDrop:
    @pytest.mark.parametrize(
        ("name", "options", "levels"),
        [
            ("a.png", {}, 0),
            ("a.jpg", {"quality": 95, "subsampling": 0}, 5),
            ("a.jpeg", {"quality": 95, "subsampling": 0, "progressive": True}, 5),
            ("a.webp", {"quality": 100, "lossless": True}, 0),
            ("a.tif", {"compression": "tiff_lzw"}, 0),
            ("a.bmp", {}, 0),
        ],
    )
    def test_rgb_files_keep_their_pixels(
        self, tmp_path: Path, original: Image.Image, name: str, options: dict[str, Any], levels: float
    ) -> None:
        original.save(tmp_path / name, **options)
        loaded = load(tmp_path / name)
        assert loaded.rgb.shape == (64, 80, 3)
        assert loaded.rgb.dtype == np.float32
        assert loaded.alpha is None
        assert close(loaded.rgb, np.asarray(original) / 255, levels)

    def test_a_wrong_extension_does_not_matter(self, tmp_path: Path, original: Image.Image) -> None:
        original.save(tmp_path / "a.png", "JPEG", quality=95)
        assert close(load(tmp_path / "a.png").rgb, np.asarray(original) / 255, 12)

    @pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
    def test_other_modes_become_rgb(self, tmp_path: Path, original: Image.Image, mode: str) -> None:
        converted = original.convert(mode)
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        options: dict[str, Any] = {"quality": 98, "subsampling": 0} if mode == "CMYK" else {}
        converted.save(path, **options)
        assert close(load(path).rgb, np.asarray(converted.convert("RGB")) / 255, 3)

    def test_16_bit_grey_keeps_its_range(self, tmp_path: Path) -> None:
        ramp = np.tile(np.linspace(0, 65535, 80).astype(np.uint16), (64, 1))
        Image.fromarray(ramp).save(tmp_path / "a.png")
        assert close(load(tmp_path / "a.png").rgb[..., 0], ramp / 65535, 1)

    def test_16_bits_are_rounded_to_the_nearest_of_8(self, tmp_path: Path) -> None:
        values = np.arange(0, 65536, 7, dtype=np.uint16)[:9216].reshape(96, 96)
        Image.fromarray(values).save(tmp_path / "a.png")
        Image.fromarray(values.astype(np.int32)).save(tmp_path / "i.tif")
        Image.fromarray((values / 65535).astype(np.float32)).save(tmp_path / "f.tif")
        nearest = np.rint(values / 257)
        for name in ("a.png", "i.tif", "f.tif"):
            assert (np.rint(load(tmp_path / name, 96).rgb[..., 0] * 255) == nearest).all(), name

    @pytest.mark.parametrize(
        ("kind", "negative"),
        [(np.uint8, True), (np.uint16, True), (np.float32, True), (np.uint16, False), (np.uint32, False)],
    )
    def test_a_grey_tiff_whose_0_is_white_is_no_negative(self, tmp_path: Path, kind: Any, negative: bool) -> None:
        top = 1 if kind is np.float32 else np.iinfo(kind).max
        ramp = np.tile(np.linspace(0, 1, 80), (64, 1))
        values = ((1 - ramp if negative else ramp) * top).astype(kind)
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite" if negative else "minisblack")
        assert close(load(tmp_path / "a.tif").rgb[..., 0], ramp, 2)

    def test_16_bits_of_a_negative_that_are_not_srgb_are_turned_too(self, tmp_path: Path) -> None:
        ramp = np.tile(np.linspace(0, 65535, 80).astype(np.uint16), (64, 1))
        linear: Any = [(301, 3, 256, tuple(range(0, 65536, 257)), True)]  # its TransferFunction
        tifffile.imwrite(tmp_path / "plain.tif", ramp, photometric="minisblack", extratags=linear)
        tifffile.imwrite(tmp_path / "negative.tif", 65535 - ramp, photometric="miniswhite", extratags=linear)
        found = load(tmp_path / "negative.tif").rgb
        assert close(found, load(tmp_path / "plain.tif").rgb, 0)
        assert close(found[0, [0, -1], 0], [0, 1], 1)
        assert found[0, 40, 0] > 0.7  # of half the light

    @pytest.mark.parametrize(("kind", "values"), [(0, (1000,)), (2, (1000, 40000, 7)), (2, (0, 0, 200))])
    def test_16_bits_with_one_transparent_value_keep_their_alpha(
        self, tmp_path: Path, kind: int, values: tuple[int, ...]
    ) -> None:
        pixels = np.full((64, 80, len(values)), 30_000, ">u2")
        pixels[:, :40] = values
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
        header = struct.pack(">IIBBBBB", 80, 64, 16, kind, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"tRNS", struct.pack(f">{len(values)}H", *values))]
        chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
        alpha = load(tmp_path / "a.png").alpha
        assert alpha is not None
        assert (alpha[:, :40] == 0).all()
        assert (alpha[:, 40:] == 255).all()

    def test_the_first_frame_of_an_animation_counts(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (80, 64), color) for color in ("red", "blue")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert close(load(tmp_path / "a.gif").rgb, np.array([1.0, 0.0, 0.0]), 1)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_pictures_stand_upright(self, tmp_path: Path, original: Image.Image, orientation: int) -> None:
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held that way stores the upright picture
        stored = original.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else original
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "a.png", exif=exif)
        assert close(load(tmp_path / "a.png").rgb, np.asarray(original) / 255, 0)
        with (tmp_path / "a.png").open("rb") as file:
            assert images.verify(file, "a.png", LIMIT) == (80, 64)

    def test_an_embedded_profile_is_applied(self, tmp_path: Path, original: Image.Image) -> None:
        srgb = ImageCms.createProfile("sRGB")
        swapped = Image.merge("RGB", original.split()[::-1])
        profile = ImageCms.ImageCmsProfile(srgb).tobytes()
        # The red and blue primaries change places, so applying the profile swaps the channels back.
        red, blue = profile.find(b"rXYZ"), profile.find(b"bXYZ")
        mixed = bytearray(profile)
        mixed[red : red + 4], mixed[blue : blue + 4] = b"bXYZ", b"rXYZ"
        swapped.save(tmp_path / "a.png", icc_profile=bytes(mixed))
        assert close(load(tmp_path / "a.png").rgb, np.asarray(original) / 255, 2)

    @pytest.mark.parametrize("profile", [b"", b"nonsense", b"\0" * 200])
    def test_a_broken_profile_is_passed_over(self, tmp_path: Path, original: Image.Image, profile: bytes) -> None:
        original.save(tmp_path / "a.png", icc_profile=profile)
        assert close(load(tmp_path / "a.png").rgb, np.asarray(original) / 255, 0)

    def test_broken_exif_is_passed_over(self, tmp_path: Path, original: Image.Image) -> None:
        original.save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=95)
        assert load(tmp_path / "a.jpg").rgb.shape == (64, 80, 3)

    def test_transparent_parts_show_a_neutral_ground_and_alpha_is_kept(self, tmp_path: Path) -> None:
        image = Image.new("RGBA", (80, 64), (255, 0, 0, 255))
        image.paste((0, 255, 0, 0), (40, 0, 80, 64))
        image.save(tmp_path / "a.png")
        loaded = load(tmp_path / "a.png")
        assert loaded.alpha is not None
        assert close(loaded.rgb[:, :40], np.array([1.0, 0.0, 0.0]), 0)
        assert close(loaded.rgb[:, 40:], np.array([128, 128, 128]) / 255, 0.01)
        assert (loaded.alpha[:, :40] == 255).all()
        assert (loaded.alpha[:, 40:] == 0).all()

    def test_palette_transparency_is_alpha(self, tmp_path: Path) -> None:
        image = Image.new("P", (80, 64), 0)
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.paste(1, (40, 0, 80, 64))
        image.save(tmp_path / "a.png", transparency=1)
        alpha = load(tmp_path / "a.png").alpha
        assert alpha is not None
        assert sorted(set(alpha.ravel().tolist())) == [0, 255]


class TestHeic:
    """What telephones take."""

    @pytest.fixture(autouse=True)
    def writer(self) -> None:
        pillow_heif.register_heif_opener()

    def test_colours_are_kept(self, tmp_path: Path, original: Image.Image) -> None:
        original.save(tmp_path / "a.heic", quality=95, chroma=444)
        loaded = load(tmp_path / "a.heic")
        assert close(loaded.rgb, np.asarray(original) / 255, 4)
        assert loaded.alpha is None

    def test_grey_and_10_bits_are_read(self, tmp_path: Path) -> None:
        ramp = np.tile(np.linspace(0, 65535, 80).astype(np.uint16), (64, 1))
        deep = pillow_heif.from_bytes("RGB;16", (80, 64), np.repeat(ramp[..., None], 3, -1).tobytes())
        deep.save(tmp_path / "deep.heic", quality=100)
        Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "grey.heic", quality=95)
        for name in ("deep.heic", "grey.heic"):
            assert close(load(tmp_path / name).rgb[..., 1], ramp / 65535, 2), name

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_pictures_stand_upright(self, tmp_path: Path, original: Image.Image, orientation: int) -> None:
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
        stored = original.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else original
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "a.heic", exif=exif.tobytes(), quality=95, chroma=444)
        assert close(load(tmp_path / "a.heic").rgb, np.asarray(original) / 255, 4)
        with (tmp_path / "a.heic").open("rb") as file:
            assert images.verify(file, "a.heic", LIMIT) == (80, 64)

    def test_alpha_is_kept(self, tmp_path: Path) -> None:
        image = Image.new("RGBA", (80, 64), (255, 0, 0, 255))
        image.paste((0, 255, 0, 0), (40, 0, 80, 64))
        image.save(tmp_path / "a.heic", quality=100, chroma=444)
        alpha = load(tmp_path / "a.heic").alpha
        assert alpha is not None
        assert (alpha[:, :36] > 250).all()
        assert (alpha[:, 44:] < 5).all()

    def test_too_many_pixels_are_refused_before_decoding(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Image.new("RGB", (400, 300)).save(tmp_path / "a.heic")
        monkeypatch.setattr(pillow_heif.HeifImageFile, "load", lambda _: pytest.fail("decoded"))
        with pytest.raises(ImageError, match=r"400×300 pixels; the limit is 100,000 \(--max-pixels\)"):
            images.load(tmp_path / "a.heic", 80, "a.heic", 100_000)


def test_every_suffix_that_a_decoder_knows_is_read_or_told_of() -> None:
    pillow_heif.register_heif_opener()
    known = Image.registered_extensions()
    read = {suffix for suffix, form in known.items() if form in (*images.FORMATS, "MPO")}
    no_pictures = {suffix for suffix, form in known.items() if form in ("HDF5", "GRIB", "BUFR", "MPEG", "IPTC")}
    assert read == set(suffixes.READ)
    assert {suffix for suffix, form in known.items() if form in Image.OPEN} - read - no_pictures <= set(suffixes.UNREAD)
    assert not read & set(suffixes.UNREAD)


class TestSizes:
    @pytest.mark.parametrize(
        ("shape", "side"), [((61, 90), 45), ((90, 61), 45), ((30, 40), 40), ((1, 90), 90), ((80, 80), 40)]
    )
    def test_a_reduced_picture_has_the_whole_s_colours_at_the_side_asked_for_or_a_little_more(
        self, shape: tuple[int, int], side: int
    ) -> None:
        whole = np.asarray(picture(*shape, seed=1).convert("RGB"), np.float32)
        small = images.reduced(whole, 40)
        assert max(small.shape) == side
        assert small.mean((0, 1)) == pytest.approx(whole.mean((0, 1)), abs=4)

    @pytest.mark.parametrize(("size", "expected"), [((400, 200), (40, 80)), ((30, 60), (80, 40)), ((1, 400), (80, 1))])
    def test_the_long_side_is_what_was_asked_for(
        self, tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        Image.new("RGB", size, "red").save(tmp_path / "a.png")
        assert load(tmp_path / "a.png").rgb.shape[:2] == expected

    def test_too_many_pixels_are_refused_before_decoding(self, tmp_path: Path) -> None:
        # The header of a PNG that claims 50,000 × 50,000 pixels; there is nothing to decode behind it.
        small = io.BytesIO()
        Image.new("RGB", (8, 8)).save(small, "PNG")
        data = bytearray(small.getvalue())
        data[16:24] = (50_000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
        (tmp_path / "bomb.png").write_bytes(bytes(data))
        with pytest.raises(ImageError, match=r"50000×50000 pixels; the limit is 10,000,000 \(--max-pixels\)"):
            load(tmp_path / "bomb.png")

    def test_a_file_of_more_bytes_than_any_image_is_refused_unread(self, tmp_path: Path) -> None:
        """Such as one with nothing but zeros behind its pixels."""
        Image.new("RGB", (8, 8)).save(tmp_path / "a.bmp")
        os.truncate(tmp_path / "a.bmp", 1 << 40)
        with pytest.raises(HugeFileError, match=r"1,099,511,627,776 bytes; the limit is 160,000,000, for"):
            load(tmp_path / "a.bmp")


def test_each_frame_of_16_bits_keeps_what_is_transparent() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + b"\xff" * 6 * 16 + b"\0" * 6 * 16  # white, which is transparent, and black
    data = zlib.compress(row * 32)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)), chunk(b"tRNS", b"\xff" * 6)]
    parts += [chunk(b"acTL", struct.pack(">II", 3, 0))]
    for number in range(3):
        control = struct.pack(">IIIIIHHBB", max(0, 2 * number - 1), 32, 32, 0, 0, 1, 10, 0, 0)
        frame = chunk(b"fdAT", struct.pack(">I", 2 * number) + data) if number else chunk(b"IDAT", data)
        parts += [chunk(b"fcTL", control), frame]
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    found = [frame.levels[16, [0, -1], 0].tolist() for frame in animations.frames_of(file, "a.png", 10**6)]
    assert found == [[128, 0]] * 3


def test_a_picture_of_ours_that_is_damaged_is_told_in_a_process_that_has_opened_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(bytes(100))
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.errors import ImageError; from pipeline.pictures import images\n"
        "try: images.own(Path(sys.argv[1]))\n"
        "except ImageError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True, check=False)
    assert told.stdout.startswith("a.png: cannot be read"), told.stderr


def test_a_gif_of_a_few_bytes_takes_no_gigabytes_to_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow fills the first frame's place as it opens the file, before anybody can ask for its size."""
    clears = b"!\xf9\x04\x08\0\0\0\0"
    data = (
        b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0, 0, 0) + clears + b"," + struct.pack("<4HB", 0, 0, 40000, 40000, 0)
    )
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(ImageError, match=r"a: 40000×40000 pixels; the limit is 1,000,000"):
        images.verify(io.BytesIO(data + b"\x02\0;"), "a", 10**6)


def test_broken_metadata_is_passed_over_without_a_word() -> None:
    """As a stranger may have it: of each tag Pillow would warn."""
    tags = b"".join(struct.pack("<HHII", 40_000 + number, 2, 10**6, 10**6) for number in range(20))
    exif = b"II*\0" + struct.pack("<IH", 8, 20) + tags + b"\0" * 4
    buffer = io.BytesIO()
    picture(20, 16).save(buffer, "PNG", exif=exif)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        images.prepare_pillow.cache_clear()
        assert images.verify(buffer, "a.png", 10**6) == (20, 16)
        assert images.decoded(buffer, 16, "a.png", 10**6).rgb.shape == (13, 16, 3)
    assert [str(one.message) for one in seen] == []
