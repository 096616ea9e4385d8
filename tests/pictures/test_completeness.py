"""Whether an image may still be on its way, or will never be read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipeline.errors import EndlessImageError, ImageError, IncompleteImageError
from pipeline.pictures import images, png
from tests.conftest import picture

LIMIT = 10_000_000
FILES: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("GIF", {}),
    ("BMP", {}),
    ("AVIF", {}),
    ("HEIF", {}),
]
OF_END = {"JPEG": 2, "PNG": 12 + 10, "GIF": 2}  # bytes behind the pixels, and what of them decoders do without


def encoded(form: str, options: dict[str, Any]) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    picture(200, 150, seed=4).save(buffer, form, **options)
    return buffer.getvalue()


def open_image(file: io.BytesIO) -> Image.Image:
    return Image.open(png.without_long_texts(file))


def verdict(data: bytes) -> str:
    try:
        images.verify(io.BytesIO(data), "a", LIMIT)
    except EndlessImageError:
        return "end lacks"
    except IncompleteImageError:
        return "incomplete"
    except ImageError as error:
        return str(error)
    return "whole"


@pytest.mark.parametrize(("form", "options"), FILES, ids=lambda value: str(value))
class TestCopiesThatAreNotThrough:
    def test_a_file_that_breaks_off_anywhere_is_incomplete(self, form: str, options: dict[str, Any]) -> None:
        data = encoded(form, options)
        assert verdict(data) == "whole"
        end = OF_END.get(form, 0)
        for length in [*range(100), *range(100, len(data) - 30, len(data) // 60), *range(len(data) - 30, len(data))]:
            allowed = "end lacks" if length >= len(data) - end else "incomplete"
            assert verdict(data[:length]) == allowed, f"{length} of {len(data)} bytes"

    def test_a_file_that_was_reserved_first_is_incomplete(self, form: str, options: dict[str, Any]) -> None:
        data = encoded(form, options)
        raw = form == "BMP" or (form == "TIFF" and options.get("compression") != "tiff_lzw")
        allowed = {"incomplete", "whole"} if raw else {"incomplete"}  # what is unwritten may be black there
        for length in range(0, len(data) - 30, len(data) // 40):
            assert verdict(data[:length] + b"\0" * (len(data) - length)) in allowed, f"{length} of {len(data)} bytes"


SEVERAL = {"GIF": {"incomplete", "end lacks"}, "PNG": {"incomplete", "end lacks"}, "MPO": {"incomplete", "whole"}}


@pytest.mark.parametrize("form", SEVERAL)
def test_of_several_pictures_in_a_file_the_first_is_waited_for_and_the_end_where_the_format_has_one(form: str) -> None:
    others = [picture(200, 150, seed=seed) for seed in (5, 6)]
    data = encoded(form, {"save_all": True, "append_images": others})
    assert verdict(data) == "whole"
    lengths = [*range(100, len(data), len(data) // 40), *range(len(data) - 20, len(data))]
    found = [verdict(data[:length]) for length in lengths]
    assert set(found) == SEVERAL[form]
    assert found == sorted(found, key="incomplete".__ne__), "once the first is there it stays"


# What stands behind the end of whole pictures.
TAILS = {
    "zeros of a block": bytes(5000),
    "a few zeros": bytes(7),
    "a line's end": b"\r\n",
    "a maker's trailer": b"SEFT \1\2\3" * 200,
    "a free box": struct.pack(">I4s", 5000, b"free") + bytes(4992),
    "a skip box up to the end": struct.pack(">I4s", 0, b"skip") + bytes(5000),
    "a free box and zeros": struct.pack(">I4s", 8, b"free") + bytes(5000),
    "another picture": encoded("JPEG", {}),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(("form", "options"), FILES, ids=lambda value: str(value))
def test_what_the_format_says_is_the_end_is_the_end(form: str, options: dict[str, Any], tail: str) -> None:
    assert verdict(encoded(form, options) + TAILS[tail]) == "whole"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


LONG = zlib.compress(bytes(range(250)) * 10_000)
# Chunks of a PNG with more than Pillow takes, by what they are.
LONG_TEXTS = {
    "compressed text": chunk(b"zTXt", b"prompt\0\0" + LONG),
    "international text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
    "international text with a language": chunk(b"iTXt", b"Title\0\1\0de\0Titel\0" + LONG),
    "a profile": chunk(b"iCCP", b"icc\0\0" + LONG),
    "a hundred texts": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) * 100,
    "all texts that there may be, and so many small ones that it took minutes": (
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20))) * 32
        + (chunk(b"tEXt", b"a\0b") + chunk(b"abCd", b"")) * 50_000
    ),
    "plain texts of 70 MB": chunk(b"tEXt", b"a\0" + b"b" * 10_000_000) * 7,
    "compressed text that is damaged": chunk(b"zTXt", b"prompt\0\0" + LONG[:99] + b"\xff" * 99),
}


@pytest.mark.parametrize("text", LONG_TEXTS)
@pytest.mark.parametrize("mark", [b"IDAT", b"IEND"])
def test_a_png_is_read_whatever_texts_it_has(text: str, mark: bytes) -> None:
    data = encoded("PNG", {})
    at = data.index(mark) - 4
    longer = data[:at] + LONG_TEXTS[text] + data[at:]
    assert verdict(longer) == "whole"
    assert verdict(longer[: -len(longer) + longer.index(b"IDAT") + 99]) == "incomplete"
    with open_image(io.BytesIO(longer)) as image:
        assert np.array_equal(np.asarray(image), np.asarray(picture(200, 150, seed=4)))


def test_a_png_of_too_long_texts_has_its_other_texts_and_zeros_behind_its_end() -> None:
    data = encoded("PNG", {})
    texts = chunk(b"tEXt", b"Software\0of a telephone") + LONG_TEXTS["compressed text"] + LONG_TEXTS["a profile"]
    longer = data[:33] + texts + data[33:]
    with open_image(io.BytesIO(longer + bytes(9999))) as image:
        assert image.info["Software"] == "of a telephone"
        assert "prompt" not in image.info
    assert verdict(longer + bytes(9999)) == "whole"


def bmp(header: bytes, rest: bytes, size: int | None = None) -> bytes:
    data = b"BM" + b"\0" * 8 + (14 + 4 + len(header)).to_bytes(4, "little")
    data += (4 + len(header)).to_bytes(4, "little") + header + rest
    return data[:2] + (len(data) if size is None else size).to_bytes(4, "little") + data[6:]


def tiff(compression: int) -> bytes:
    """A grey TIFF of 8 × 8 pixels whose header says that it is compressed so."""
    fields = {256: 8, 257: 8, 258: 8, 259: compression, 262: 1, 273: 200, 277: 1, 278: 8, 279: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + b"\0\0\0\0"
    return head.ljust(200, b"x") + bytes(range(64, 128))


class TestBroken:
    @pytest.mark.parametrize("kind", [2, 7, 12])  # text, bytes, a number of 8 bytes
    @pytest.mark.parametrize("tag", [273, 279])
    def test_a_tiff_whose_strips_lie_at_no_number_is_refused(self, kind: int, tag: int) -> None:
        data = tiff(5)
        at = data.index(struct.pack("<HH", tag, 4))
        odd = data[:at] + struct.pack("<HHI", tag, kind, 4) + data[at + 8 :]
        assert verdict(odd).startswith("a: cannot be read")

    @pytest.mark.parametrize("data", [b"", b"\x89PN", b"\0" * 5000])
    def test_what_may_still_be_on_its_way_is_incomplete(self, data: bytes) -> None:
        with pytest.raises(IncompleteImageError, match=f"no image within its {len(data):,} bytes yet"):
            images.verify(io.BytesIO(data), "a.png", LIMIT)

    def test_what_is_no_image_is_refused_at_once(self) -> None:
        assert "not an image of a known format" in verdict(b"this is a text, not a picture")

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (bmp(struct.pack("<iiHH", 8, 8, 1, 24), b"\0" * 192), "Unsupported BMP header type (16)"),
            (bmp(struct.pack("<iiHHIIiiII", 8, 8, 1, 24, 5, 0, 0, 0, 0, 0), b"x" * 192), "BMP compression (5)"),
            (bmp(struct.pack("<iiHHIIiiII", 8, 8, 1, 2, 0, 0, 0, 0, 4, 0), b"\0" * 64), "BMP pixel depth (2)"),
            (bmp(struct.pack("<iiHHIIiiII", 8, 8, 1, 16, 3, 0, 0, 0, 0, 0), b"\1" * 200), "BMP bitfields layout"),
            (bmp(struct.pack("<iiHHIIiiII", 8, 8, 1, 24, 5, 0, 0, 0, 0, 0), b"\0" * 9, 0), "BMP compression (5)"),
            (bmp(struct.pack("<iiHHIIiiII", 8, 8, 1, 8, 1, 0, 0, 0, 2, 0), b"\0\0\0\0\1\1\1\0\5\1"), "not enough"),
            (tiff(34712), ""),
            (tiff(5), "decoder error"),
            (encoded("PNG", {}).replace(b"IDAT", b"IDAX", 1), "or a damaged one"),
        ],
        ids=range(9),
    )
    def test_what_will_never_be_read_is_refused_at_once_with_what_to_do(self, data: bytes, reason: str) -> None:
        told = verdict(data)
        assert reason in told
        assert "save it as PNG or JPEG" in told or "Save it as one of JPEG, PNG" in told

    def test_a_bmp_that_breaks_off_is_incomplete_whatever_kind_it_is(self) -> None:
        whole = bmp(struct.pack("<iiHHIIiiII", 8, 8, 1, 8, 1, 0, 0, 0, 2, 0), b"\0\0\0\0\1\1\1\0" + b"\x08\1\0\0" * 8)
        assert verdict(whole) == "whole"
        assert {verdict(whole[:length]) for length in range(len(whole) - 2)} == {"incomplete"}


def test_a_broken_tiff_says_nothing_but_its_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded("TIFF", {"compression": "tiff_lzw"}))
    data[1000:3000] = b"\x55" * 2000
    assert "decoder error" in verdict(bytes(data))
    assert capfd.readouterr() == ("", "")


JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "with restart markers": {"restart_marker_blocks": 4},
    "of full colour": {"subsampling": 0},
    "of best quality": {"quality": 100},
    "with a comment": {"comment": b"a comment"},
}


class TestJpegsWithoutEnd:
    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    @pytest.mark.parametrize("kind", JPEGS)
    def test_one_that_lacks_its_end_marker_alone_has_all_its_pixels(self, tmp_path: Path, kind: str, mode: str) -> None:
        buffer = io.BytesIO()
        picture(203, 151, seed=4).convert(mode).save(buffer, "JPEG", **JPEGS[kind])
        (tmp_path / "whole.jpg").write_bytes(buffer.getvalue())
        whole = images.load(tmp_path / "whole.jpg", 203, "whole.jpg", LIMIT).rgb
        for lacking in (1, 2):
            data = buffer.getvalue()[:-lacking]
            with pytest.raises(EndlessImageError, match="lacks the end of its file, though no pixels") as told:
                images.verify(io.BytesIO(data), "a.jpg", LIMIT)
            assert told.value.size == images.verify(io.BytesIO(data), "a.jpg", LIMIT, end_may_lack=True) == (203, 151)
            (tmp_path / "a.jpg").write_bytes(data)
            assert np.array_equal(images.load(tmp_path / "a.jpg", 203, "a.jpg", LIMIT).rgb, whole)

    @pytest.mark.parametrize("kind", JPEGS)
    def test_one_that_lacks_pixels_has_no_such_excuse(self, kind: str) -> None:
        data = encoded("JPEG", JPEGS[kind])
        # Of a progressive one that ends with a scan but the last nobody can tell.
        most = 300 if kind == "progressive" else len(data) - 20
        for lacking in (*range(3, 20), *range(20, most, 97)):
            with pytest.raises(IncompleteImageError) as told:
                images.verify(io.BytesIO(data[:-lacking]), "a.jpg", LIMIT, end_may_lack=True)
            assert type(told.value) is IncompleteImageError, lacking

    def test_one_of_a_telephone_that_is_turned_says_its_upright_size(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        with pytest.raises(EndlessImageError) as told:
            images.verify(io.BytesIO(encoded("JPEG", {"exif": exif})[:-2]), "a.jpg", LIMIT)
        assert told.value.size == (150, 200)
