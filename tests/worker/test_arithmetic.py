"""What a device computes is compared with what is known."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.worker import arithmetic
from pipeline.worker.arithmetic import OPERATIONS


def test_this_device_computes_what_numpy_does() -> None:
    found = arithmetic.examine(OPERATIONS, ["float32", "bfloat16"], "CPU")
    assert [one.name for one in found] == ["convolution", "its gradient", "matrix product"]
    assert [one.state for one in found] == ["ok"] * 3, found


def test_the_known_gradient_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(2)
    image, kernel = rng.normal(size=(1, 40, 40, 32)), rng.normal(size=(3, 3, 32, 32))
    convolution, gradient = OPERATIONS[0].known, OPERATIONS[1].known(image, kernel)

    def half_square(x: Any) -> float:
        return float(np.sum(convolution(x, kernel) ** 2) / 2)

    for place in [(0, 0, 0, 0), (0, 39, 17, 5), (0, 20, 39, 31)]:
        nudge = np.zeros_like(image)
        nudge[place] = 1e-4
        slope = (half_square(image + nudge) - half_square(image - nudge)) / 2e-4
        assert gradient[place] == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@pytest.mark.parametrize("spoil", [lambda x: x * 1.05, lambda x: x * np.nan, lambda x: x[..., ::-1]])
def test_a_device_that_returns_wrong_numbers_is_told(operation: arithmetic.Operation, spoil: Any) -> None:
    def wrong(image: Any, kernel: Any, precision: str) -> Any:
        return spoil(operation.on_device(image, kernel, precision))

    (found,) = arithmetic.examine([dataclasses.replace(operation, on_device=wrong)], ["float32"], "NVIDIA X")
    assert (found.name, found.state) == (operation.name, "broken")
    assert "NVIDIA X returns wrong numbers" in found.what
    assert "--device cpu" in found.remedy


def test_an_operation_that_fails_is_told_in_the_device_s_words() -> None:
    def fails(image: Any, kernel: Any, precision: str) -> Any:
        raise RuntimeError("DNN library is not found.\nand a page of graph")

    (found,) = arithmetic.examine([dataclasses.replace(OPERATIONS[0], on_device=fails)], ["float32"], "NVIDIA X")
    assert found.what == "fails on NVIDIA X in float32: DNN library is not found."
