"""File names of pictures: those that are read, and those that somebody is told of, so that none meets silence.

They are what the decoders say (Pillow's ``registered_extensions``, slow to gather), as a test makes sure.
"""

from __future__ import annotations

import os

READ = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".apng", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"),
)
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


# Bytes a pixel that decoding takes, by suffix, as `benchmarks/decoding.py` measures them: the most of its kinds, as a
# suffix does not tell PQ, 16 bits or alpha.
_DECODING = {
    **dict.fromkeys((".png", ".apng", ".tif", ".tiff"), 9.0),
    **dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), 13.5),
    **dict.fromkeys((".avif", ".avifs"), 9.5),
    **dict.fromkeys((".gif", ".bmp"), 5.5),
    ".webp": 16.5,
}
_DECODING_OF_JPEG = 7.5  # progressive


def bytes_to_decode(name: str, width: int, height: int) -> int:
    """About how much memory a picture takes while it is decoded, in bytes."""
    return round(width * height * _DECODING.get(os.path.splitext(name)[1].lower(), _DECODING_OF_JPEG))


def is_read(name: str) -> bool:
    """Whether a file name is one of a picture that is read."""
    return name.lower().endswith(READ)


def is_unread(name: str) -> bool:
    """Whether a file name is one of a picture of a kind that is not."""
    return name.lower().endswith(UNREAD)


def told_unread(names: list[str]) -> str:
    """A sentence on pictures of a kind that is not read; at least one."""
    first, others = min(names), len(names) - 1
    several = f"{first} and {others:,} more" if others else first
    return f"{several} cannot be read; save as JPEG, PNG or TIFF"
