"""Memory that decoding a picture takes, by its kind: bytes a pixel, each in a process of its own.

python -m benchmarks.decoding [MEGAPIXELS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import common
from pipeline.pictures import images
from pipeline.worker import memory

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "colour.png": ("RGB", {"compress_level": 1}),
    "alpha.png": ("RGBA", {"compress_level": 1}),
    "palette.png": ("P", {}),
    "16-bits.png": ("I;16", {"compress_level": 1}),
    "palette.gif": ("P", {}),
    "lossy.webp": ("RGB", {"method": 0}),
    "plain.tif": ("RGB", {}),
    "lzw.tif": ("RGB", {"compression": "tiff_lzw"}),
    "float.tif": ("F", {}),
    "plain.bmp": ("RGB", {}),
    "colour.heic": ("RGB", {"quality": 50}),
    "alpha.heic": ("RGBA", {"quality": 50}),
    "colour.avif": ("RGB", {"quality": 50, "speed": 10}),
}


def main() -> None:
    megapixels = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    images.prepare_pillow()
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    soft = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    photo = Image.fromarray(soft).resize((width, width * 3 // 4))
    grey = np.asarray(photo.convert("L"))
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (mode, options) in KINDS.items():
            path = Path(folder, name)
            converted = photo.convert("L" if mode in ("I;16", "F") else mode)
            if mode == "I;16":
                converted = Image.fromarray(grey.astype(np.uint16) * 257)
            elif mode == "F":
                converted = Image.fromarray(grey.astype(np.float32) / 255)
            converted.save(path, **options)
            command = [sys.executable, "-m", "benchmarks.decoding", "--one", str(path)]
            taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            figures.append({"kind": name, "bytes_per_pixel": taken / (photo.width * photo.height)})
            print(f"{name:16} {figures[-1]['bytes_per_pixel']:5.1f} bytes a pixel", flush=True)
            path.unlink()
    common.write("decoding", figures)


def one(path: Path) -> None:
    images.prepare_pillow()
    memory.reset_peak()
    before = memory.peak()
    images.load(path, 512, path.name, 10**9)
    print(memory.peak() - before)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]))
    else:
        main()
