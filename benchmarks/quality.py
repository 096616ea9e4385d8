"""Objective against seconds, for the tutorial recipe, each optimizer and each preset.

    python -m benchmarks.quality [--size 512] [--tutorial-steps 1000] [--content FILE --style FILE]

The objective is the tutorial's own (its weights, one scale, evaluated in float32). The optimizers have it as theirs;
the presets weigh the style layers differently, and are there to show what they cost. The curves are drawn in
``docs/objective.png``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from pipeline.engine.extractor import Extractor
from pipeline.engine.optimizers import OPTIMIZERS
from pipeline.engine.stylize import State, Step, Stylizer
from pipeline.engine.targets import Style
from pipeline.manifest.parameters import STYLE_LAYERS, Parameters


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--tutorial-steps", type=int, default=1000)
    parser.add_argument("--content", type=Path, default=common.CONTENT)
    parser.add_argument("--style", type=Path, default=common.STYLE)
    arguments = parser.parse_args()
    kernels = common.load_weights().kernels
    content, style = (common.load(path, arguments.size) for path in (arguments.content, arguments.style))
    styles = [Style(style, 1.0, "style")]
    exact = Stylizer(Extractor(kernels, "float32"))
    layers = {"style_layers": list(STYLE_LAYERS)}
    one = {"pyramid": "off", "image_size": arguments.size, **common.TUTORIALS_OBJECTIVE, **layers}
    contenders = {
        "tutorial": ("float32", common.parameters(preset="tutorial", **_steps(arguments.tutorial_steps), **one)),
        "adam": ("auto", common.parameters(optimizer="adam", **_steps(300), **one)),
        "lbfgs": ("auto", common.parameters(optimizer="lbfgs", **_steps(500), **one)),
        **{
            name: ("auto", common.parameters(preset=name, image_size=arguments.size))
            for name in ("draft", "standard", "fine")
        },
    }
    figures: list[dict[str, Any]] = []
    target: tuple[float, float] | None = None
    for name, (precision, parameters) in contenders.items():
        curve = _curve(kernels, precision, content, styles, parameters, exact)
        figures.append({"name": name, "curve": curve})
        seconds, objective = curve[-1]
        line = f"{name:10} objective {objective:10.4g} after {seconds:7.1f} s"
        if target is None:
            target = objective, seconds
        elif reached := next((s for s, o in curve if o <= target[0]), None):
            line += f"; the tutorial's after {reached:6.1f} s, 1/{target[1] / reached:.1f} of its time"
        print(line, flush=True)
    common.write("quality", figures)
    _draw(figures, target[0] if target else 0.0)


def _draw(figures: list[dict[str, Any]], target: float) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for found in figures:
        seconds, objectives = zip(*found["curve"], strict=True)
        axes.plot(seconds, objectives, label=found["name"], marker=".", linewidth=1.2)
    axes.axhline(target, color="#999999", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("seconds")
    axes.set_ylabel("the tutorial's objective")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(common.HERE.parent / "docs" / "objective.png")


def _steps(count: int) -> dict[str, int]:
    return {"epochs": 1, "steps_per_epoch": count}


def _curve(
    kernels: Any, precision: str, content: Any, styles: list[Style], parameters: Parameters, exact: Stylizer
) -> list[tuple[float, float]]:
    """(seconds, objective) at some twenty steps of the finest scale and at the end; evaluating is not counted."""
    from pipeline.engine.extractor import best_precision

    stylizer = Stylizer(Extractor(kernels, best_precision() if precision == "auto" else precision))
    every = max(1, parameters.epochs * parameters.steps_per_epoch // 20)
    curve = []
    spent = 0.0
    begun = time.perf_counter()
    last: Step | None = None
    for step in stylizer.run(content, styles, parameters):
        last = step
        spent += time.perf_counter() - begun
        if step.scale == max(content.shape[:2]) and step.number % every == 0:
            curve.append((spent, _objective(exact, stylizer.picture(step.state, parameters), content, styles)))
        begun = time.perf_counter()
    assert last is not None
    curve.append((spent, _objective(exact, stylizer.picture(last.state, parameters), content, styles)))
    return curve


def _objective(exact: Stylizer, picture: Any, content: Any, styles: list[Style]) -> float:
    # The first record of a run that goes on from a state is the objective at that state's picture.
    state = State(0, 0, OPTIMIZERS["adam"].start(tf.constant(picture)[None], 1))
    return next(exact.run(content, styles, common.parameters(preset="tutorial"), state)).total


if __name__ == "__main__":
    main()
