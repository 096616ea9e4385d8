"""File names of pictures: those that are read, and those that somebody is told of, so that none meets silence.

They are what the decoders say (Pillow's ``registered_extensions``, slow to gather), as a test makes sure.
"""

from __future__ import annotations

import os
import re

READ = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".apng", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"),
)
VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
_OF_CAMERAS = (
    *(".3fr", ".ari", ".arw", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25"),
    *(".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf"),
    *(".srw", ".x3f"),
)
_OF_PILLOW = (
    *(".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".tga", ".icb", ".vda"),
    *(".vst", ".blp", ".cur", ".dcx", ".dds", ".dib", ".ps", ".eps", ".fit", ".fits", ".fli", ".flc", ".ftc", ".ftu"),
    *(".gbr", ".icns", ".ico", ".im", ".msp", ".pcd", ".pcx", ".psd", ".pxr", ".qoi", ".bw", ".rgb", ".rgba", ".sgi"),
    *(".ras", ".wmf", ".emf", ".xbm", ".xpm"),
)
UNREAD = (
    *_OF_CAMERAS,
    *_OF_PILLOW,
    ".jxl",
    ".jxr",
    ".wdp",
    ".hdp",
    ".svg",
    ".svgz",
    ".ai",
    ".pdf",
    ".xcf",
    ".kra",
    ".exr",
    ".hdr",
)
_LONGER = re.compile(
    rf"(.+(?:{'|'.join(map(re.escape, READ))}))(?:[ .]+|\?.*|\.\d{{1,3}}| ?\(\d{{1,3}}\)|[!@:][\w-]+)",
    re.IGNORECASE | re.DOTALL,
)


# Bytes a pixel that decoding takes, by suffix, as `benchmarks/decoding.py` measures them: the most of its kinds, as a
# suffix does not tell PQ, 16 bits or alpha.
_DECODING = {
    **dict.fromkeys((".png", ".apng"), 9.0),
    **dict.fromkeys((".tif", ".tiff"), 12.5),
    **dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), 14.0),
    **dict.fromkeys((".avif", ".avifs"), 9.5),
    **dict.fromkeys((".gif", ".bmp"), 5.5),
    ".webp": 16.5,
}
_DECODING_OF_JPEG = 7.5  # progressive


_DECODING_OF_VIDEO = 40.0  # some frames at once, in four bytes a channel at most


def bytes_to_decode(name: str, width: int, height: int) -> int:
    """About how much memory a picture, or a video, takes while it is decoded, in bytes."""
    usual = _DECODING_OF_VIDEO if is_video(name) else _DECODING_OF_JPEG
    return round(width * height * _DECODING.get(os.path.splitext(name)[1].lower(), usual))


def is_read(name: str) -> bool:
    """Whether a file name is one of a picture that is read."""
    return name.lower().endswith(READ)


def is_video(name: str) -> bool:
    """Whether a file name is one of a video."""
    return name.lower().endswith(VIDEOS)


def is_unread(name: str) -> bool:
    """Whether a file name is one of a picture of a kind that is not, or would be read but for what stands behind it."""
    return name.lower().endswith(UNREAD) or bool(meant(name))


def meant(name: str) -> str:
    """The name of a picture that has something behind its suffix, without that; nothing of any other.

    So downloads, copies and shares call them: ``a.jpg?w=300``, ``a.jpg.1``, ``a.jpg (2)``, ``a.jpg.``.
    """
    found = _LONGER.fullmatch(name)
    return found[1] if found else ""


def told_unread(names: list[str]) -> str:
    """A sentence on pictures of a kind that is not read, or of such names; at least one."""
    longer = sorted(name for name in names if meant(name))
    unread = sorted(set(names) - set(longer))
    told = [f"{_several(unread)} cannot be read; save as JPEG, PNG or TIFF"] if unread else []
    if longer:
        told.append(f"{_several(longer)} cannot be read by such a name; rename to {os.path.basename(meant(longer[0]))}")
    return "; ".join(told)


def _several(names: list[str]) -> str:
    return f"{names[0]} and {len(names) - 1:,} more" if names[1:] else names[0]
