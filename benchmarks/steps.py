"""Seconds per step, ours and the tutorial recipe's, in one run on the same work; with --peers PyTorch's and pastiche's.

    python -m benchmarks.steps [--peers] [SIZE ...]

Beside them stands what the processor's own matrix product would take for the multiplications of a step's convolutions:
about the least that any program needs that does not save multiplications.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks import common
from benchmarks.tutorial import CONTENT_LAYERS, make_step
from pipeline.engine.extractor import Extractor, depth
from pipeline.engine.stylize import Stylizer
from pipeline.engine.targets import Style
from pipeline.engine.weights import Kernel
from pipeline.manifest.fields import VGG19_LAYERS
from pipeline.manifest.schedule import block

ROUNDS = 7
PRODUCT_SIDE = 3072


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("sizes", metavar="SIZE", type=int, nargs="*", default=[256, 512, 1024])
    arguments = parser.parse_args()
    weights = common.load_weights()
    figures = []
    for size in arguments.sizes:
        content, style = common.load(common.CONTENT, size), common.load(common.STYLE, size)
        contenders: dict[str, Callable[[], Any]] = {"tutorial float32": make_step(weights.kernels, content, style)}
        for precision in ("float32", "bfloat16"):
            for optimizer in ("adam", "lbfgs"):
                run = Stylizer(Extractor(weights.kernels, precision)).run(
                    content,
                    [Style(style, 1.0, "style")],
                    common.parameters(
                        **common.TUTORIALS_OBJECTIVE,
                        optimizer=optimizer,
                        pyramid="off",
                        steps_per_epoch=ROUNDS + 2,
                        epochs=1,
                    ),
                )
                contenders[f"stylistic {precision} {optimizer}"] = run.__next__
        if arguments.peers:
            from benchmarks import peers

            for name, precision, mode in (
                ("PyTorch float32", "float32", "eager"),
                ("PyTorch bfloat16", "bfloat16", "eager"),
                ("PyTorch bfloat16 compiled", "bfloat16", "default"),
            ):
                contenders[name] = peers.make_step(weights.kernels, content, style, precision, mode)
        seconds = _in_turn(contenders)
        if arguments.peers:
            seconds["pastiche"] = peers.pastiche_seconds(content, style)
        flops = _flops(weights.kernels, *content.shape[:2])
        for precision in ("float32", "bfloat16"):
            seconds[f"least for {precision}"] = flops / _matrix_product_flops_per_second(precision)
        base = seconds["tutorial float32"]
        for name, median in seconds.items():
            figures.append({"size": size, "name": name, "seconds_per_step": median, "times_faster": base / median})
            print(f"{size:5} px  {name:28} {median:8.3f} s/step   {base / median:5.2f} × as fast as the tutorial")
    common.write("steps", figures)


def _in_turn(contenders: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median of each, taken in turn, so that a machine that slows down slows all of them."""
    for step in contenders.values():  # traces the graph
        step()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, step in contenders.items():
            begun = time.perf_counter()
            step()
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _flops(kernels: Mapping[str, Kernel], height: int, width: int) -> float:
    """Of the convolutions of a step, forward and for the gradient of their input, to the tutorial's deepest layer."""
    layers = VGG19_LAYERS[: depth(CONTENT_LAYERS)]
    return sum(4 * height * width * kernels[layer][0].size / (1 << 2 * (block(layer) - 1)) for layer in layers)


def _matrix_product_flops_per_second(precision: str) -> float:
    matrix = tf.cast(tf.random.normal([PRODUCT_SIDE, PRODUCT_SIDE]), precision)
    # A sum alone leaves the graph, so that all of the product has been made when it is there.
    product = tf.function(lambda: tf.reduce_sum(matrix @ matrix))
    seconds = _in_turn({"product": lambda: product().numpy()})["product"]
    return 2 * PRODUCT_SIDE**3 / seconds


if __name__ == "__main__":
    main()
