"""Seconds per step, ours and the tutorial recipe's, in one run on the same work.

python -m benchmarks.steps [SIZE ...]
"""

from __future__ import annotations

import os
import statistics
import sys
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
    sizes = [int(size) for size in sys.argv[1:]] or [256, 512, 1024]
    weights = common.load_weights()
    figures = []
    for size in sizes:
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
        seconds = _in_turn(contenders)
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
