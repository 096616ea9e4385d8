"""Peers that ours is compared with (`make bench-peers`): the tutorial's objective in PyTorch, and pastiche."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from benchmarks.tutorial import CONTENT_LAYERS, STYLE_LAYERS
from pipeline.engine.extractor import MEAN, depth
from pipeline.engine.weights import Kernel
from pipeline.manifest.fields import VGG19_LAYERS

torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")


def make_step(
    kernels: Mapping[str, Kernel], content: Any, style: Any, precision: str, mode: str = "eager"
) -> Callable[[], float]:
    """A function that makes one step of Adam and gives the loss before it.

    Args:
        kernels: of VGG-19, by layer.
        content: RGB ``[H, W, 3]`` in [0, 1].
        style: likewise, of any size.
        precision: ``"float32"`` or ``"bfloat16"``, the latter with channels last.
        mode: ``"eager"``, or of ``torch.compile``: ``"default"``, or ``"reduce-overhead"``, which is CUDA graphs.
    """
    dtype = getattr(torch, precision)
    layout = torch.channels_last if precision == "bfloat16" else torch.contiguous_format
    layers = VGG19_LAYERS[: depth([*STYLE_LAYERS, *CONTENT_LAYERS])]
    weights = {
        layer: (
            torch.tensor(np.transpose(kernels[layer][0], (3, 2, 0, 1))).to(dtype).contiguous(memory_format=layout),
            torch.tensor(kernels[layer][1]).to(dtype),
        )
        for layer in layers
    }
    mean = torch.tensor(MEAN)[None, :, None, None]

    def extract(image: Any) -> tuple[list[Any], list[Any]]:
        x = (image * 255.0 - mean).flip(1).to(dtype).contiguous(memory_format=layout)
        found = {}
        for layer in layers:
            if layer.endswith("conv1") and not layer.startswith("block1"):
                x = functional.max_pool2d(x, 2)
            x = found[layer] = functional.relu(functional.conv2d(x, *weights[layer], padding=1))
        return [gram(found[layer]) for layer in STYLE_LAYERS], [found[layer].float() for layer in CONTENT_LAYERS]

    def gram(features: Any) -> Any:
        columns = features.flatten(2)[0].float()
        return columns @ columns.T / columns.shape[1]

    def tensor(picture: Any) -> Any:
        return torch.tensor(np.transpose(picture, (2, 0, 1))[None])

    with torch.no_grad():
        style_targets, content_targets = extract(tensor(style))[0], extract(tensor(content))[1]
    image = tensor(content).requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.02, betas=(0.99, 0.999), eps=0.1)

    def loss_of(image: Any) -> Any:
        grams, features = extract(image)
        style_loss = sum(((a - b) ** 2).mean() for a, b in zip(grams, style_targets, strict=True)) / len(STYLE_LAYERS)
        content_loss = sum(((a - b) ** 2).mean() for a, b in zip(features, content_targets, strict=True))
        variation = (image[..., 1:] - image[..., :-1]).abs().sum() + (
            image[..., 1:, :] - image[..., :-1, :]
        ).abs().sum()
        return 1e-2 * style_loss + 1e4 / len(CONTENT_LAYERS) * content_loss + 30.0 * variation

    objective = loss_of if mode == "eager" else torch.compile(loss_of, mode=mode)

    def step() -> float:
        optimizer.zero_grad()
        loss = objective(image)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0.0, 1.0)
        return float(loss.detach())

    return step


def pastiche_seconds(content: Any, style: Any, steps: int = 7) -> float:
    """The median of pastiche's own seconds per step, with its defaults (float32, L-BFGS) but our content layer."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("content.png", "style.png")]
        for path, picture in zip(paths, (content, style), strict=True):
            Image.fromarray((picture * 255).round().astype(np.uint8)).save(path)
        side = str(max(content.shape[:2]))
        command = [sys.executable, "-m", "pastiche", "--content", str(paths[0]), "--styles", str(paths[1])]
        command += ["--output", str(Path(folder, "out.png")), "--size", side, "--style-size", side]
        command += ["--content-layers", "block5_relu2", "--num-steps", str(steps), "--info-step", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if line[:1].isdigit()]
    elapsed = [float(row[1]) for row in rows if len(row) == 3]
    return statistics.median(later - earlier for earlier, later in pairwise(elapsed[1:]))
