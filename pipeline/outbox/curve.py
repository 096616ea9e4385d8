"""The curve of a job's losses."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

from pipeline.jobs.losses import Losses
from pipeline.pictures import fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {"total": "black", "style": "#c2571a", "content": "#2b6cb0", "total_variation": "#6b8e23"}


def loss_plot(loss: Losses, title: str) -> bytes:
    """The curve of each loss over the steps, as PNG; a line marks where a larger scale begins."""
    figure = _figure()
    figure.clear()
    # At fixed places: to find them out, Matplotlib lays every letter out again and again, which holds the runner up.
    axes = figure.add_axes((0.125, 0.11, 0.86, 0.79))
    for column, color in PARTS.items():
        axes.plot(loss.step, getattr(loss, column), label=column.replace("_", " "), color=color, linewidth=1.2)
    scales = loss.scale
    if any(value > 0 for column in PARTS for value in getattr(loss, column)):  # a logarithm of nothing is a warning
        axes.set_yscale("log", nonpositive="mask")
        low, high = axes.get_ylim()
        if high > 100 * low:  # between labelled powers of ten; drawing them takes as long as all else
            axes.yaxis.minorticks_off()
    for index, scale in enumerate(scales):
        if index == 0 or scale != scales[index - 1]:
            axes.axvline(loss.step[index], color="#bbbbbb", linewidth=0.8, zorder=0)
            label = f" {scale} px"
            axes.text(loss.step[index], 1.0, label, transform=axes.get_xaxis_transform(), fontsize=8, va="bottom")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.yaxis.set_label_coords(-0.11, 0.5)
    words = fonts.drawable(title)
    axes.set_title(words.replace("$", r"\$"), y=1.0, pad=18, fontfamily=fonts.families(words))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


@functools.cache
def _figure() -> Figure:
    """One for all: its renderer knows the numbers on the axes once it has drawn them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100)
    FigureCanvasAgg(figure)
    return figure
