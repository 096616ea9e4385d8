"""What a file is that is named like a picture and is of a kind that is not read, known by its first bytes."""

from __future__ import annotations

from typing import BinaryIO

from pipeline.pictures import boxes

_DEVELOP = "Open it in a program that reads it, and save it as PNG or JPEG."
_STILL = "Save one picture of it."
_TAKE_OUT = "Take the picture out of it."
_SAVE_AGAIN = "Save the picture itself again."
# What stands at a file's beginning, what it is, and what to do.
BEGINNINGS = (
    (b"\xff\x0a", "JPEG XL", _DEVELOP),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", _DEVELOP),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", _DEVELOP),
    (b"\xff\x4f\xff\x51", "JPEG 2000", _DEVELOP),
    (b"8BPS", "a Photoshop document", _DEVELOP),
    (b"gimp xcf", "a picture of GIMP's own format", _DEVELOP),
    (b"%!PS", "PostScript", _DEVELOP),
    (b"%PDF-", "a PDF", _DEVELOP),
    (b"v/1\x01", "an OpenEXR picture", _DEVELOP),
    (b"#?RADIANCE", "a Radiance picture", _DEVELOP),
    (b"\0\0\x01\0", "an icon", _DEVELOP),
    (b"\x1aE\xdf\xa3", "a video", _STILL),
    (b"FLV\x01", "a video", _STILL),
    (b"\0\0\x01\xba", "a video", _STILL),
    (b"PK\x03\x04", "an archive, or a document of an office program", _TAKE_OUT),
    (b"\x1f\x8b", "an archive", _TAKE_OUT),
    (b"7z\xbc\xaf\x27\x1c", "an archive", _TAKE_OUT),
    (b"Rar!\x1a\x07", "an archive", _TAKE_OUT),
    (b"version https://git-lfs", "a pointer of Git LFS, not the picture", "Fetch it with `git lfs pull`."),
    (b"/annex/objects/", "a pointer of git-annex, not the picture", "Fetch it with `git annex get`."),
    (b"XSym\n", "a link as Macs write it to shares, not the picture", "Copy the picture itself."),
    (b"IntxLNK\x01", "a link as Windows writes it for Unix, not the picture", "Copy the picture itself."),
    (b"L\0\0\0\x01\x14\x02\0", "a shortcut of Windows, not the picture", "Copy the picture itself."),
    (b"[InternetShortcut]", "a shortcut to a web page, not the picture", _SAVE_AGAIN),
    (b"book\0\0\0\0mark", "an alias of macOS, not the picture", "Copy the picture itself."),
    (b"data:image/", "a picture within a text", _SAVE_AGAIN),
    (b"/9j/", "a picture within a text (base64)", _SAVE_AGAIN),
    (b"iVBORw0KGgo", "a picture within a text (base64)", _SAVE_AGAIN),
)
# What text between angle brackets has near its beginning.
MARKUP = (
    (b"<svg", "an SVG drawing", _DEVELOP),
    (b"<html", "a web page, not the picture", _SAVE_AGAIN),
    (b"<!doctype html", "a web page, not the picture", _SAVE_AGAIN),
    (b"<error", "the answer of a server, not the picture", _SAVE_AGAIN),
)
VIDEOS = (  # their brands
    *(
        b"qt  ",
        b"isom",
        b"iso2",
        b"iso4",
        b"iso5",
        b"iso6",
        b"mp41",
        b"mp42",
        b"avc1",
        b"M4V ",
        b"3gp4",
        b"3gp5",
        b"3gp6",
    ),
)
READ = 1024  # bytes


def what_other(file: BinaryIO) -> tuple[str, str] | None:
    """What a file is, and what to do with it; None of one that is none of these."""
    brand = boxes.brand(file)
    file.seek(0)
    head = file.read(READ)
    if brand in VIDEOS:
        return "a video", _STILL
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
        return "a video, or a sound", _STILL
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        return next(((what, advice) for mark, what, advice in MARKUP if mark in text), None)
    return next(((what, advice) for start, what, advice in BEGINNINGS if head.startswith(start)), None)
