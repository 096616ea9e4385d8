"""The steps of a run, each logged, with a checkpoint now and then, until they are done or somebody says stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.jobs import checkpoint
from pipeline.jobs.checkpoint import Checkpoint
from pipeline.jobs.losses import Loss, LossLog

if TYPE_CHECKING:
    from pipeline.engine.stylize import State, Step

# That checkpoints may take of a run, whatever is asked: of a print each is gigabytes.
MOST_OF_TIME, FREE_SECONDS = 0.05, 1.0


@dataclass(frozen=True)
class Keeping:
    """What is kept of a run on its way.

    Args:
        folder: where its checkpoints go.
        valid_with: their fingerprint.
        seconds: from one checkpoint to the next, at least.
        should_stop: asked between steps.
        loss_log: of its steps.
        steps_before: of the job, that its numbers in the log go on from: those of a clip's earlier frames.
        seconds_before: likewise.
        frame: of a clip.
    """

    folder: Path
    valid_with: str
    seconds: float
    should_stop: Callable[[], bool]
    loss_log: LossLog
    steps_before: int = 0
    seconds_before: float = 0.0
    frame: int = 1


def optimize(steps: Iterator[Step], resumed: Checkpoint | None, keeping: Keeping) -> tuple[State, float] | None:
    """Make the steps, logging each; the last state and the seconds spent in all, or None when told to stop."""
    state = as_state(resumed)
    earlier_seconds = resumed.optimize_seconds if resumed else 0.0
    begun = saved = now = time.perf_counter()
    saving_seconds = 0.0
    if keeping.should_stop():
        return None
    for step in steps:
        if state is None or step.state.step != state.step:  # the first record of a call
            called, now = now, time.perf_counter()
            per_step = (now - called) / (step.state.step - step.number + 1)
        state = step.state
        seconds = earlier_seconds + now - begun - per_step * (state.step - step.number)
        keeping.loss_log.write(loss_of(step, keeping.seconds_before + seconds, keeping.steps_before, keeping.frame))
        if state.step > step.number:  # more records of the same call follow
            continue
        stop = keeping.should_stop()
        may_save = saving_seconds <= FREE_SECONDS + MOST_OF_TIME * (now - begun)
        if stop or (now - saved >= keeping.seconds and may_save):
            keeping.loss_log.sync()
            checkpoint.save(keeping.folder, _as_checkpoint(state, earlier_seconds + now - begun), keeping.valid_with)
            saved, saving_seconds = now, saving_seconds + time.perf_counter() - now
        if stop:
            return None
    assert state is not None, "a job has at least one step"
    return state, earlier_seconds + time.perf_counter() - begun


def as_state(found: Checkpoint | None) -> State | None:
    """The engine's state that a checkpoint holds."""
    from pipeline.engine.stylize import State

    return State(found.step, found.scale_index, tuple(found.arrays)) if found else None


def _as_checkpoint(state: State, optimize_seconds: float) -> Checkpoint:
    return Checkpoint(state.step, state.scale_index, [np.asarray(tensor) for tensor in state.tensors], optimize_seconds)


def loss_of(step: Step, seconds: float, steps_before: int = 0, frame: int = 1) -> Loss:
    """A line of the loss log, of a step that ended after so many seconds."""
    return Loss(
        step=steps_before + step.number,
        scale=step.scale,
        total=step.total,
        content=step.content,
        style=step.style,
        total_variation=step.total_variation,
        seconds=round(seconds, 4),
        frame=frame,
    )
