from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pillow_heif
import pytest

from benchmarks import decoding
from pipeline.pictures.suffixes import bytes_to_decode
from tests.conftest import ROOT, picture

QUICK_HEIC = {"quality": 10, "enc_params": {"preset": "ultrafast"}}
FILES: list[tuple[str, str, dict[str, Any]]] = [
    ("a.jpg", "RGB", {}),
    ("progressive.jpg", "RGB", {"progressive": True}),
    ("a.JPG", "CMYK", {}),
    ("alpha.png", "RGBA", {"compress_level": 1}),
    ("a.webp", "RGB", {"method": 0}),
    ("a.tif", "RGB", {"compression": "tiff_lzw"}),
    ("floats.tif", "F", {}),
    ("a.bmp", "RGB", {}),
    ("a.gif", "P", {}),
    ("alpha.heic", "RGBA", QUICK_HEIC),
    ("pq.heic", "RGB;16", {**QUICK_HEIC, "color_primaries": 9, "transfer_characteristics": 16}),
    ("linear.png", "RGB;16", {"gamma": 1.0}),
    ("linear-alpha.png", "RGBA;16", {"gamma": 1.0}),
    ("linear-grey.png", "I;16", {"gamma": 1.0}),
    ("a.avif", "RGB", {"quality": 10, "speed": 10}),
]


@pytest.mark.parametrize(("name", "mode", "options"), FILES, ids=[f"{name} {mode}" for name, mode, _ in FILES])
def test_memory_is_foretold_that_decoding_takes(tmp_path: Path, name: str, mode: str, options: dict[str, Any]) -> None:
    pillow_heif.register_heif_opener()
    width, height = 3200, 2000
    decoding.save(picture(80, 50).resize((width, height)), tmp_path / name, mode, options)
    command = [sys.executable, "-m", "benchmarks.decoding", "--one", str(tmp_path / name)]
    taken = int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    foretold = bytes_to_decode(name, width, height)
    assert 0.5 * foretold < taken + 8e6
    assert taken < foretold + 24e6  # what a first picture takes once, and each thread of a decoder
