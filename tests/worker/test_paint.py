"""How the worker keeps the log and the checkpoint of a job together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.engine.extractor import Extractor
from pipeline.engine.stylize import Step, Style, Stylizer
from pipeline.jobs import checkpoint, losses
from pipeline.parameters import Parameters
from pipeline.worker import paint
from tests.conftest import picture, tiny_kernels


@pytest.fixture
def steps() -> Iterator[Step]:
    """Eight steps, three a call."""
    image: Any = np.asarray(picture(64, 48, seed=1).convert("RGB"), np.float32) / 255
    parameters = Parameters(epochs=1, steps_per_epoch=8, pyramid="off")
    return Stylizer(Extractor(tiny_kernels(), "float32"), 3).run(image, [Style(image, 1.0, "style")], parameters)


def logged(folder: Path) -> int:
    return (folder / losses.FILE).read_text().count("\n")


def test_a_checkpoint_is_of_the_step_that_the_log_has_reached(
    tmp_path: Path, steps: Iterator[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    monkeypatch.setattr(checkpoint, "save", lambda folder, found, _: saved.append((found.step, logged(folder))))
    reached = paint._optimize(tmp_path, steps, None, "", 0.0, lambda: False)
    assert saved == [(3, 3), (6, 6), (7, 7), (8, 8)]
    assert reached is not None and reached[0].step == logged(tmp_path) == 8


def test_a_word_to_stop_within_a_call_ends_the_call(tmp_path: Path, steps: Iterator[Step]) -> None:
    stop = threading.Event()

    def told() -> Any:
        for step in steps:
            if step.number == 4:
                stop.set()
            yield step

    assert paint._optimize(tmp_path, told(), None, "job", 1e9, stop.is_set) is None
    found = checkpoint.load(tmp_path, "job")
    assert isinstance(found, checkpoint.Checkpoint)
    assert found.step == logged(tmp_path) == 6
