"""RAW files, which many readers take for their thumbnails."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pipeline.errors import ImageError
from pipeline.pictures import images

Directory = dict[int, Any]
THUMBNAIL: Directory = {254: 1, 256: 64, 257: 44}
FULL: Directory = {254: 0, 256: 640, 257: 440}
CFA: Directory = {**FULL, 262: 32803}
LINEAR: Directory = {**FULL, 262: 34892}


def tiff(
    first: Directory, below: list[Directory] | None = None, behind: Directory | None = None, order: str = "<"
) -> bytes:
    """A TIFF whose first directory holds a picture of its size; of the others nothing but the directories is there."""
    first = {256: 64, 257: 44, **first}
    count: int = first[256] * first[257]
    first |= {258: 8, 259: 1, 262: first.get(262, 1), 273: 8, 277: 1, 278: first[257], 279: count}
    at = 8 + count + count % 2
    wanted = [(first, below or []), *((one, []) for one in below or []), *(((behind, []),) if behind else ())]
    offsets, data = [], b""
    for directory, its in wanted:
        offsets.append(at)
        at += 2 + 12 * (len(directory) + bool(its)) + 4 + 4 * len(its) + 40
    for number, (directory, its) in enumerate(wanted):
        if its:
            directory = {**directory, 330: tuple(offsets[1 : 1 + len(its)])}
        end = offsets[number] + 2 + 12 * len(directory) + 4
        extra, entries = b"", b""
        for tag, value in sorted(directory.items()):
            if isinstance(value, str):
                text = value.encode() + b"\0"
                entries += struct.pack(order + "HHII", tag, 2, len(text), end + len(extra))
                extra += text
            elif isinstance(value, bytes):
                entries += struct.pack(order + "HHI", tag, 1, len(value)) + value
            elif isinstance(value, tuple) and len(value) > 1:
                entries += struct.pack(order + "HHII", tag, 4, len(value), end + len(extra))
                extra += struct.pack(f"{order}{len(value)}I", *value)
            else:
                entries += struct.pack(order + "HHII", tag, 4, 1, value[0] if isinstance(value, tuple) else value)
        following = offsets[-1] if behind and number == 0 else 0
        block = struct.pack(order + "H", len(directory)) + entries + struct.pack(order + "I", following) + extra
        data += block.ljust([*offsets, at][number + 1] - offsets[number], b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offsets[0])
    return head + bytes(range(128)) * (count // 128) + bytes(count % 128 + count % 2) + data


def behind_header(magic: bytes) -> bytes:
    data = tiff({271: "Canon"})
    return data[:8] + magic + data[8 + len(magic) :]


def heif(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\1" + brand + b"isom" + bytes(64)


RAW = {
    "DNG": tiff({**THUMBNAIL, 50706: b"\1\4\0\0"}, [CFA]),
    "DNG of a telephone, linear": tiff({**THUMBNAIL, 50706: b"\1\7\0\0"}, [LINEAR]),
    "DNG of a scanner": tiff({50706: b"\1\3\0\0"}),
    "Nikon NEF": tiff({**THUMBNAIL, 271: "NIKON CORPORATION"}, [FULL, CFA], order=">"),
    "Sony ARW": tiff({**THUMBNAIL, 271: "SONY"}, [CFA]),
    "Samsung SRW": tiff({**THUMBNAIL, 271: "SAMSUNG"}, [CFA]),
    "Pentax PEF": tiff({256: 640, 257: 440, 262: 32803, 271: "PENTAX"}),
    "Epson ERF": tiff({256: 64, 257: 44, 271: "EPSON"}, [CFA]),
    "Kodak DCR": tiff({**THUMBNAIL, 271: "Kodak"}, [FULL]),
    "Hasselblad 3FR": tiff({254: 1, 271: "Hasselblad"}, behind=CFA),
    "Leaf MOS": tiff({34310: b"\0\0\0\1", 271: "Leaf"}),
    "no maker, a larger picture below": tiff({}, [FULL]),
    "a thumbnail before its picture": tiff(THUMBNAIL, behind=FULL),
    "NEF of which the rest is not there yet": tiff(THUMBNAIL, [CFA])[:-120],
    "Canon CR2": behind_header(b"CR\2\0"),
    "Phase One IIQ": behind_header(b"IIIITwaR"),
    "Canon CR3": heif(b"crx "),
    "Canon CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(64),
    "Fujifilm RAF": b"FUJIFILMCCD-RAW 0201" + bytes(64),
    "Olympus ORF": b"IIRO\x08\0\0\0" + bytes(64),
    "Olympus ORF, newer": b"IIRS\x08\0\0\0" + bytes(64),
    "Olympus ORF, Motorola": b"MMOR\0\0\0\x08" + bytes(64),
    "Panasonic RW2": b"IIU\0\x18\0\0\0" + bytes(64),
    "Sigma X3F": b"FOVb\0\0\2\0" + bytes(64),
    "Phase One": b"IIIITwaR" + bytes(64),
    "Minolta MRW": b"\0MRM\0\0\1\0" + bytes(64),
}


@pytest.mark.parametrize("kind", RAW)
def test_a_raw_file_is_refused_by_what_it_is(kind: str) -> None:
    with pytest.raises(
        ImageError, match=r"^a\.jpg: a (RAW file|TIFF that begins with a thumbnail).* Develop it"
    ) as told:
        images.verify(io.BytesIO(RAW[kind]), "a.jpg", 10_000_000)
    assert type(told.value) is ImageError  # not to be waited for


def written(**pages: Any) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **pages.pop("file", {})) as file:
        file.write(np.full((440, 640, 3), 90, np.uint8), photometric="rgb", **pages.get("first", {}))
        for page in pages.get("others", ()):
            file.write(np.full((*page.pop("size"), 3), 9, np.uint8), photometric="rgb", **page)
    return buffer.getvalue()


def flat(level: int) -> bytes:
    """Its pixels stand where RAW files have their maker's mark."""
    data = tiff({})
    return data[:8] + bytes([level]) * (64 * 44) + data[8 + 64 * 44 :]


TIFFS = {
    "a pyramid below": written(first={"subifds": 2}, others=[{"size": (220, 320)}, {"size": (110, 160)}]),
    "a pyramid behind": written(others=[{"size": (220, 320), "subfiletype": 1}]),
    "pages of any size": written(others=[{"size": (880, 990)}]),
    "BigTIFF with a pyramid": written(file={"bigtiff": True}, first={"subifds": 1}, others=[{"size": (220, 320)}]),
    "pages and a mask": tiff({**FULL}, [{**FULL, 254: 4, 262: 4}]),
    "of a camera": tiff({**FULL, 271: "NIKON CORPORATION"}, [THUMBNAIL]),
    "directories that are lost": tiff(FULL, [THUMBNAIL])[:-120],
    **{f"flat at {level}": flat(level) for level in b"CIM"},
}


@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_with_directories_below_its_picture_is_painted(kind: str) -> None:
    size = images.verify(io.BytesIO(TIFFS[kind]), "a.tif", 10_000_000)
    assert size == ((64, 44) if kind.startswith("flat") else (640, 440))


def test_what_a_jpeg_is_called_does_not_matter() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 44)).save(buffer, "JPEG")
    assert images.verify(buffer, "a.dng", 10_000_000) == (64, 44)
