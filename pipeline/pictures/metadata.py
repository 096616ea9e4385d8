"""What a picture's file says besides its pixels: how it was made, and of the photo its date and camera.

Nothing that differs from run to run (an id, a time, a host) is in it: the same manifest gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from pipeline import storage
from pipeline.pictures import png
from pipeline.pictures.images import FORMATS, prepare_pillow

NAMESPACE = "urn:stylistic:made/1"
XMP_TAG = 0x02BC  # in a TIFF
_BASE, _GPS = ExifTags.Base, ExifTags.GPS
_CAMERA = (_BASE.Make, _BASE.Model, _BASE.LensMake, _BASE.LensModel)
_DATES = (_BASE.DateTime, _BASE.DateTimeOriginal, _BASE.DateTimeDigitized)
_FINER = (
    *(_BASE.OffsetTime, _BASE.OffsetTimeOriginal, _BASE.OffsetTimeDigitized),
    *(_BASE.SubsecTime, _BASE.SubsecTimeOriginal, _BASE.SubsecTimeDigitized),
)
_ROOT = (_BASE.Make, _BASE.Model, _BASE.DateTime)  # the others lie in the Exif IFD
_PLACE = (_GPS.GPSLatitudeRef, _GPS.GPSLatitude, _GPS.GPSLongitudeRef, _GPS.GPSLongitude)
_HEIGHT = (_GPS.GPSAltitudeRef, _GPS.GPSAltitude)
_INCHES = 2
_MAX_CHARACTERS = 200
_NEAR_BYTES = (
    2 << 20
)  # of a file's beginning or end; a manifest, which is told twice, has some hundred kilobytes at most
_INPUTS = re.compile(rb"<stylistic:inputs>(\{[^<]{,100000}\})</stylistic:inputs>")

Tags = dict[int, Any]


@dataclass(frozen=True)
class Metadata:
    """What is written into a picture's file.

    Args:
        software: the program and its version.
        made: how the picture was made, in ASCII, by names that are words.
        photo: what is kept of the photo, by tag within IFD (0 for the root).
        dpi: of a print.
    """

    software: str
    made: Mapping[str, str] = field(default_factory=dict)
    photo: Mapping[int, Tags] = field(default_factory=dict)
    dpi: float | None = None

    def exif(self) -> Image.Exif:
        """As EXIF."""
        exif = Image.Exif()
        root: Tags = {_BASE.Software: self.software, **self.photo.get(0, {})}
        if self.dpi:
            root |= {_BASE.XResolution: self.dpi, _BASE.YResolution: self.dpi, _BASE.ResolutionUnit: _INCHES}
        for tag, value in root.items():
            exif[tag] = value
        for ifd, tags in self.photo.items():
            if ifd:
                exif[ifd] = dict(tags)
        return exif

    def xmp(self) -> bytes:
        """As a packet of XMP."""
        made = "".join(f"<stylistic:{name}>{escape(text)}</stylistic:{name}>" for name, text in self.made.items())
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
            f' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:stylistic="{NAMESPACE}">'
            f"<xmp:CreatorTool>{escape(self.software)}</xmp:CreatorTool>{made}"
            '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
        ).encode()


def inputs_told(file: BinaryIO) -> dict[str, str]:
    """The SHA-256 of each image that a picture of ours was made of, by its part; nothing of any other file.

    Where each format has it: WebP and MP4 at their end, the others before their pixels.
    """
    size = file.seek(0, io.SEEK_END)
    for start in (0, max(0, size - _NEAR_BYTES)):
        file.seek(start)
        if match := _INPUTS.search(file.read(_NEAR_BYTES)):
            with contextlib.suppress(ValueError, RecursionError):
                told = json.loads(match[1])
                return {part: digest for part, digest in told.items() if isinstance(digest, str)}
    return {}


def of_photo(path: Path, with_gps: bool) -> dict[int, Tags]:
    """A photo's date and camera, and on request where it was taken, by IFD; what is damaged or odd is left out."""
    prepare_pillow()
    exif = Image.Exif()
    root: Tags = {}
    inner: Tags = {}
    gps: Tags = {}
    # A photo whose metadata cannot be read has none: Pillow raises, and warns of, whatever its parsing runs into.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with storage.open_file(path) as file, Image.open(png.without_long_texts(file), formats=FORMATS) as image:
            exif = image.getexif()
            root, inner = dict(exif), dict(exif.get_ifd(ExifTags.IFD.Exif))
            gps = dict(exif.get_ifd(ExifTags.IFD.GPSInfo)) if with_gps else {}
    texts = {int(tag): text for tag in (*_CAMERA, *_DATES, *_FINER) if (text := _text(tag, {**inner, **root}.get(tag)))}
    kept = {
        0: {tag: text for tag, text in texts.items() if tag in _ROOT},
        int(ExifTags.IFD.Exif): {tag: text for tag, text in texts.items() if tag not in _ROOT},
        int(ExifTags.IFD.GPSInfo): _position(gps),
    }
    return {ifd: tags for ifd, tags in kept.items() if tags}


def _text(tag: int, value: Any) -> str:
    text = value.strip("\0 ") if isinstance(value, str) else ""
    if not text.isprintable() or len(text) > _MAX_CHARACTERS:
        return ""
    return text if tag not in _DATES or re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", text) else ""


def _position(gps: Tags) -> Tags:
    """Latitude and longitude, and the altitude if there is one."""
    north, latitude, east, longitude = map(gps.get, _PLACE)
    if north not in ("N", "S") or east not in ("E", "W") or not (_is_angle(latitude) and _is_angle(longitude)):
        return {}
    found = {int(_GPS.GPSVersionID): b"\2\3\0\0", **{int(tag): gps[tag] for tag in _PLACE}}
    if gps.get(_HEIGHT[0]) in (b"\0", b"\1") and _is_number(gps.get(_HEIGHT[1])):
        found |= {int(tag): gps[tag] for tag in _HEIGHT}
    return found


def _is_angle(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, IFDRational) and math.isfinite(float(value)) and value >= 0
