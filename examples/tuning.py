"""Make the contact sheets of docs/tuning.md but that of the strength: one sweep each, over the harbour and the swirl;
that of faces over the drawn portrait.

python examples/tuning.py [SHEET ...]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SHEETS = HERE.parent / "docs" / "tuning"
COMMON = {"image_size": 256, "epochs": 1}
SOURCES = (
    "harbour-swirl/harbour.jpg",
    "harbour-swirl/swirl.jpg",
    "harbour-glass/glass.jpg",
    "portrait-swirl/portrait.jpg",
)
NOISE = 18  # standard deviation, of 255

SWEEPS: dict[str, dict[str, Any]] = {
    "content_layers": {"content_layers": [["block3_conv2"], ["block4_conv2"], ["block5_conv2"], ["block5_conv3"]]},
    "total_variation_weight": {"total_variation_weight": [0, 30, 300, 3000]},
    "style_scale": {"style_scale": [0.5, 1.0, 2.0, 4.0]},
    "color": {"style": ["swirl.jpg", "glass.jpg"], "color": ["style", "content", "match"]},
    "style_loss": {"style": ["swirl.jpg", "glass.jpg"], "style_loss": ["gram", "wasserstein"]},
    "init": {"init": ["content", "style", "noise"]},
    "noise": {"denoise": [0, "auto"], "total_variation_weight": [30, 300]},
    "protect": {"style": ["swirl.jpg", "glass.jpg"], "protect": ["off", "faces"]},
}
CONTENT = {"noise": "noise.png", "protect": "portrait.jpg"}  # in place of the harbour


def main() -> None:
    names = sys.argv[1:] or list(SWEEPS)
    SHEETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox")
        inbox.mkdir()
        for source in SOURCES:
            shutil.copy(HERE / source, inbox)
        _add_noise(inbox / "harbour.jpg", inbox / "noise.png")
        for name in names:
            job = {
                "content": CONTENT.get(name, "harbour.jpg"),
                "style": "swirl.jpg",
                "parameters": COMMON,
                "sweep": SWEEPS[name],
            }
            (inbox / f"{name}.json").write_text(json.dumps(job))
        time.sleep(2)  # for the files to settle
        subprocess.run([Path(sys.executable).with_name("stylistic"), "run"], cwd=folder, check=True)
        for name in names:
            (sheet,) = Path(folder, "outbox").glob(f"{name}-*/{name}.sheet.png")
            with Image.open(sheet) as picture:
                picture.save(SHEETS / f"{name}.jpg", quality=85)
            print(sheet.with_name(f"{name}.csv").read_text())


def _add_noise(source: Path, target: Path) -> None:
    with Image.open(source) as photo:
        photo.thumbnail((256, 256), Image.Resampling.LANCZOS)
        grain = np.random.default_rng(1).normal(0, NOISE, (photo.height, photo.width, 3))
        Image.fromarray(np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8)).save(target)


if __name__ == "__main__":
    main()
