"""Memory that decoding a picture takes, by its kind: bytes a pixel, each in a process of its own.

python -m benchmarks.decoding [MEGAPIXELS]
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image
from PIL.PngImagePlugin import putchunk

from benchmarks import common
from pipeline.pictures import images, png
from pipeline.worker import memory

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "colour.png": ("RGB", {"compress_level": 1}),
    "alpha.png": ("RGBA", {"compress_level": 1}),
    "palette.png": ("P", {}),
    "16-bits.png": ("I;16", {"compress_level": 1}),
    "linear-grey.png": ("I;16", {"gamma": 1.0}),
    "linear.png": ("RGB;16", {"gamma": 1.0}),
    "linear-alpha.png": ("RGBA;16", {"gamma": 1.0}),
    "palette.gif": ("P", {}),
    "lossy.webp": ("RGB", {"method": 0}),
    "plain.tif": ("RGB", {}),
    "lzw.tif": ("RGB", {"compression": "tiff_lzw"}),
    "float.tif": ("F", {}),
    "plain.bmp": ("RGB", {}),
    "colour.heic": ("RGB", {"quality": 50}),
    "alpha.heic": ("RGBA", {"quality": 50}),
    "pq.heic": ("RGB;16", {"quality": 50, "color_primaries": 9, "transfer_characteristics": 16}),
    "pq-alpha.heic": ("RGBA;16", {"quality": 50, "color_primaries": 9, "transfer_characteristics": 16}),
    "colour.avif": ("RGB", {"quality": 50, "speed": 10}),
}


def main() -> None:
    megapixels = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    images.prepare_pillow()
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    soft = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    photo = Image.fromarray(soft).resize((width, width * 3 // 4))
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (mode, options) in KINDS.items():
            path = Path(folder, name)
            save(photo, path, mode, options)
            command = [sys.executable, "-m", "benchmarks.decoding", "--one", str(path)]
            taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            figures.append({"kind": name, "bytes_per_pixel": taken / (photo.width * photo.height)})
            print(f"{name:16} {figures[-1]['bytes_per_pixel']:5.1f} bytes a pixel", flush=True)
            path.unlink()
    common.write("decoding", figures)


def save(photo: Image.Image, path: Path, mode: str, options: dict[str, Any]) -> None:
    """A photo as a file of a kind: of a mode of Pillow's, or of 16 bits a channel that may mean something else."""
    if mode == "F":
        Image.fromarray(np.asarray(photo.convert("L"), np.float32) / 255).save(path, **options)
    elif not mode.endswith("16"):
        photo.convert(mode).save(path, **options)
    else:
        plain = photo.convert(mode.partition(";")[0].replace("I", "L"))
        levels = np.asarray(plain, np.uint16) * 257
        if path.suffix == ".heic":
            pillow_heif.from_bytes(mode, plain.size, levels.tobytes()).save(path, **options)
        else:
            path.write_bytes(_png_of_16_bits(levels, **options))


def _png_of_16_bits(levels: Any, gamma: float | None = None, compress_level: int = 1) -> bytes:
    colour = {2: 0, 3: 2, 4: 6}[levels.ndim + (levels.shape[2:] == (4,))]
    sizes = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    buffer = io.BytesIO(png.SIGNATURE)
    buffer.seek(0, io.SEEK_END)
    putchunk(buffer, b"IHDR", sizes)
    if gamma:
        putchunk(buffer, b"gAMA", struct.pack(">I", round(100_000 / gamma)))
    putchunk(buffer, b"IDAT", zlib.compress(rows, compress_level))
    putchunk(buffer, b"IEND", b"")
    return buffer.getvalue()


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
