"""Seconds per step, ours and the tutorial recipe's, in one run on the same work; with --peers PyTorch's and pastiche's.

python -m benchmarks.steps [--peers] [SIZE ...]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from benchmarks.tutorial import make_step
from pipeline.engine.extractor import Extractor
from pipeline.engine.stylize import Style, Stylizer

ROUNDS = 7


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
                    common.parameters(optimizer=optimizer, pyramid="off", steps_per_epoch=ROUNDS + 2, epochs=1),
                )
                contenders[f"stylistic {precision} {optimizer}"] = run.__next__
        if arguments.peers:
            from benchmarks import peers

            for name, precision, compiled in (
                ("PyTorch float32", "float32", False),
                ("PyTorch bfloat16", "bfloat16", False),
                ("PyTorch bfloat16 compiled", "bfloat16", True),
            ):
                contenders[name] = peers.make_step(weights.kernels, content, style, precision, compiled)
        seconds = _in_turn(contenders)
        if arguments.peers:
            seconds["pastiche"] = peers.pastiche_seconds(content, style)
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


if __name__ == "__main__":
    main()
