"""What the benchmarks share: the example pictures, the weights, results as JSON with the machine's features."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from PIL import Image

from pipeline.engine import weights
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.parse import parse_manifest
from pipeline.pictures import images
from pipeline.worker import session

HERE = Path(__file__).parent
RESULTS = HERE / "results"
EXAMPLE = HERE.parent / "examples" / "harbour-swirl"
CONTENT, STYLE = EXAMPLE / "harbour.jpg", EXAMPLE / "swirl.jpg"


def load(path: Path, side: int) -> Any:
    """A picture of the examples, or one named on the command line, RGB float32 ``[H, W, 3]``."""
    return images.load(path, side, path.name, 10**9).rgb


def array(picture: Image.Image, side: int) -> Any:
    """A picture scaled down to ``side`` pixels, RGB float32 ``[H, W, 3]`` in [0, 1]."""
    picture = picture.copy()
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32) / 255


def image(picture: Any) -> Image.Image:
    """The inverse of ``array``."""
    return Image.fromarray((picture * 255).round().astype(np.uint8))


def load_weights() -> weights.Weights:
    """VGG-19 as the product finds it, for TensorFlow as a worker has it: on a card float32 is no TF32."""
    session.tensorflow()
    return weights.load(None, platformdirs.user_cache_path("stylistic") / "weights")


# What the tutorial minimises, with ``style_layers`` its own or ours; every field beside it is on that scale.
TUTORIALS_OBJECTIVE = {"style_loss": "gram", "style_weight": 1e-2}


def parameters(**given: Any) -> Parameters:
    """Parameters as a manifest with these would have; ``preset`` among them."""
    preset = given.pop("preset", "standard")
    manifest = {"content": "a", "style": "b", "preset": preset, "parameters": given}
    return parse_manifest(json.dumps(manifest).encode(), "benchmark.json").parameters


def machine() -> dict[str, Any]:
    """The features of this machine that the figures depend on."""
    flags: set[str] = set()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("flags"):
                flags = set(line.split())
    except OSError:
        pass
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {"cores": os.cpu_count(), "processor": platform.machine(), "features": [f for f in wanted if f in flags]}


def write(name: str, figures: Any) -> None:
    """Keep the figures of a run in ``benchmarks/results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), "figures": figures}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
