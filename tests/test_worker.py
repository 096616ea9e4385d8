"""How the worker keeps the log and the checkpoint of a job together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import checkpoint, worker
from pipeline.engine.extractor import Extractor
from pipeline.engine.stylize import Step, Stylizer
from pipeline.engine.targets import Style
from pipeline.job import LOSSES
from pipeline.parameters import Parameters
from tests.conftest import picture, tiny_kernels


@pytest.fixture
def steps() -> Iterator[Step]:
    """Eight steps, three a call."""
    image: Any = np.asarray(picture(64, 48, seed=1).convert("RGB"), np.float32) / 255
    parameters = Parameters(epochs=1, steps_per_epoch=8, pyramid="off")
    return Stylizer(Extractor(tiny_kernels(), "float32"), 3).run(image, [Style(image, 1.0, "style")], parameters)


def logged(folder: Path) -> int:
    return (folder / LOSSES).read_text().count("\n")


def test_a_checkpoint_is_of_the_step_that_the_log_has_reached(
    tmp_path: Path, steps: Iterator[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    monkeypatch.setattr(checkpoint, "save", lambda folder, found, _: saved.append((found.step, logged(folder))))
    reached = worker._optimize(tmp_path, steps, None, "", 0.0)
    assert saved == [(3, 3), (6, 6), (7, 7), (8, 8)]
    assert reached is not None and reached[0].step == logged(tmp_path) == 8


def test_a_word_to_stop_within_a_call_ends_the_call(
    tmp_path: Path, steps: Iterator[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    monkeypatch.setattr(worker, "_stop", stop)

    def told() -> Any:
        for step in steps:
            if step.number == 4:
                stop.set()
            yield step

    assert worker._optimize(tmp_path, told(), None, "job", 1e9) is None
    found = checkpoint.load(tmp_path, "job")
    assert isinstance(found, checkpoint.Checkpoint)
    assert found.step == logged(tmp_path) == 6
