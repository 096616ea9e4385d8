"""Files named like pictures that are none, or of a kind that is not read: answered at once, by what they are."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile

from pipeline.errors import ImageError
from pipeline.pictures import images


def boxes(brand: bytes) -> bytes:
    return struct.pack(">I4s4sI4s", 20, b"ftyp", brand, 0, brand) + struct.pack(">I4s", 5000, b"mdat") + bytes(4992)


def floats() -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(np.full((64, 80, 3), 0.5, np.float32), photometric="rgb")
    return buffer.getvalue()


# What somebody's file begins with, and what is said; zeros behind it are what a copy that is on its way has, too.
OTHERS = {
    "JPEG XL": (b"\xff\x0a" + bytes(5000), "JPEG XL; that is not read. Open it"),
    "JPEG XL in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(5000), "JPEG XL; that is not read."),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(5000), "JPEG 2000;"),
    "JPEG 2000, bare": (b"\xff\x4f\xff\x51\0\x2f" + bytes(5000), "JPEG 2000;"),
    "Photoshop": (b"8BPS\0\1" + bytes(9000), "a Photoshop document;"),
    "GIMP": (b"gimp xcf v011\0" + bytes(5000), "a picture of GIMP's own format;"),
    "PDF": (b"%PDF-1.7\n" * 9, "a PDF;"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9, "PostScript;"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing;"),
    "a web page": (b"\n<!DOCTYPE HTML>\n<html><title>Please log in</title>", "a web page, not the picture;"),
    "a server's answer": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "the answer of a server"),
    "MP4": (boxes(b"mp42"), "a video;"),
    "a live photo's film": (boxes(b"qt  "), "a video;"),
    "Matroska": (b"\x1aE\xdf\xa3" + bytes(5000), "a video;"),
    "AVI": (b"RIFF\xff\xff\0\0AVI LIST" + bytes(5000), "a video, or a sound;"),
    "a ZIP": (b"PK\x03\x04" + bytes(5000), "an archive, or a document of an office program;"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS"),
    "git-annex": (b"/annex/objects/SHA256E-s1--2.jpg\n", "a pointer of git-annex"),
    "a link of a Mac": (b"XSym\n0011\nabcdef\n/some/where\n", "a link as Macs write it to shares"),
    "a link of Windows": (b"IntxLNK\x01/\0s\0o\0m\0e\0", "a link as Windows writes it"),
    "a shortcut": (b"L\0\0\0\x01\x14\x02\0" + bytes(100), "a shortcut of Windows, not the picture;"),
    "an alias": (b"book\0\0\0\0mark" + bytes(100), "an alias of macOS"),
    "a data address": (b"data:image/jpeg;base64,/9j/4AAQSkZJRg", "a picture within a text;"),
    "base64": (b"/9j/4AAQSkZJRgABAQAAAQABAAD/", "a picture within a text (base64);"),
    "a TIFF of floats": (floats(), "a TIFF of a kind that is not read"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_picture_is_told_at_once_by_what_it_is(kind: str) -> None:
    data, says = OTHERS[kind]
    with pytest.raises(ImageError) as told:
        images.verify(io.BytesIO(data), "a.jpg", 10_000_000)
    assert type(told.value) is ImageError, "nobody has to wait"
    assert str(told.value).startswith(f"a.jpg: {says}")
    assert str(told.value).endswith(".")
