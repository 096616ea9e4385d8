"""The curve of a job's losses is drawn whatever they are, without a word on standard error."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.jobs.losses import Losses
from pipeline.outbox.curve import PARTS, loss_plot


def losses(values: list[float]) -> Losses:
    steps = list(range(1, len(values) + 1))
    return Losses(step=steps, scale=[64] * len(values), **dict.fromkeys(PARTS, values))


def drawn(loss: Losses, title: str = "a job") -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = loss_plot(loss, title)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 0.0, 0.0],
        [0.0],
        [5.0],
        [0.0, 3.0, 0.0],
        [1e-38, 3e38],
        [-1.0, -2.0],
        [7.0] * 400,
    ],
    ids=str,
)
def test_it_is_drawn_whatever_the_losses_are(values: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    assert drawn(losses(values)).shape == (450, 800, 3)
    assert capfd.readouterr() == ("", "")


def test_a_loss_of_nothing_leaves_the_others_their_logarithmic_axis() -> None:
    falling = [10.0**-n for n in range(20)]
    only_one = losses([0.0] * 20).model_copy(update={"total": falling})
    # A straight line from corner to corner: on a linear axis all but the first values would lie at the bottom.
    brightness = drawn(only_one)[60:400, 100:780].max(-1)
    first, middle, last = (int(brightness[:, x].argmin()) for x in (200, 300, 400))
    assert middle - first > 40
    assert last - middle == pytest.approx(middle - first, abs=1)


@pytest.mark.parametrize("title", ["日本 $x$ \\alpha", "a $ b", "العربية ไทย हिन्दी 😀"])
def test_any_name_may_be_its_title(title: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert drawn(losses([2.0, 1.0]), title).shape == (450, 800, 3)
    assert capfd.readouterr() == ("", "")
