"""A stand-in for the engine and for TensorFlow, for tests of folders and processes that start hundreds of workers.

TensorFlow takes four seconds of a core to be imported. What is promised of kills and foreign files rests on the
runner and on what the worker writes, not on what is painted: here a step moves each pixel a tenth of the way to the
painting's mean colour. All else is real: weights are read, images decoded, losses, checkpoints and results written.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

STEP_SECONDS = 0.05  # and LOAD_SECONDS of the environment before the first


class Tensor:
    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value, np.float32)

    def numpy(self) -> Any:
        return self.value

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.value


@dataclass(frozen=True)
class State:
    step: int
    scale_index: int
    tensors: Any


@dataclass(frozen=True)
class Step:
    number: int
    scale: int
    total: float
    content: float
    style: float
    total_variation: float
    temporal: float
    state: State


@dataclass(frozen=True)
class Style:
    image: Any
    weight: float
    digest: str
    region: Any
    part: Any
    side: int


class Extractor:
    def __init__(self, kernels: Any, precision: str, bytes_for_strips: int) -> None:
        time.sleep(float(os.environ.get("LOAD_SECONDS", "0")))
        self.precision = precision


class Stylizer:
    def __init__(self, extractor: Extractor, call_seconds: float = 0.0) -> None:
        pass

    def stages(self, height: int, width: int, parameters: Any) -> list[tuple[int, list[tuple[int, ...]]]]:
        return [(parameters.epochs * parameters.steps_per_epoch, [(height, width, 3)])]

    def settled(self, content: Any, styles: Sequence[Style], parameters: Any) -> Any:
        chosen = {"style_weight": 1.0, "content_limit": "off"}
        return parameters.model_copy(
            update={name: value for name, value in chosen.items() if getattr(parameters, name) == "auto"}
        )

    def run(
        self,
        content: Any,
        styles: Sequence[Style],
        parameters: Any,
        resume: State | None = None,
        start: Any = None,
        protected: Any = None,
        anchor: Any = None,
    ) -> Iterator[Step]:
        goal = styles[0].image.mean((0, 1))
        begin = content if anchor is None else start  # a frame of a clip goes on from those before it
        image = np.asarray(resume.tensors[0] if resume else begin, np.float32)
        for number in range(1 + (resume.step if resume else 0), parameters.epochs * parameters.steps_per_epoch + 1):
            time.sleep(STEP_SECONDS)
            loss = float(((image - goal) ** 2).mean())
            image = (0.9 * image + 0.1 * goal).astype(np.float32)
            yield Step(number, max(image.shape[:2]), loss, 0.0, loss, 0.0, 0.0, State(number, 0, (Tensor(image),)))

    def picture(self, state: State, parameters: Any) -> Any:
        return np.asarray(state.tensors[0])


def find(image: Any) -> list[Any]:
    return []


def best_precision() -> str:
    return "float32"


errors = SimpleNamespace(ResourceExhaustedError=MemoryError)
config = SimpleNamespace(list_physical_devices=lambda kind: [], get_visible_devices=lambda kind: [])
sysconfig = SimpleNamespace(get_build_info=dict)


def get_logger() -> Any:
    return SimpleNamespace(setLevel=lambda level: None)


def take_the_place() -> None:
    """Have this process import this module where it would import the engine."""
    engine = ("extractor", "faces", "stylize", "targets")
    sys.modules.update(
        dict.fromkeys(("tensorflow", *(f"pipeline.engine.{name}" for name in engine)), sys.modules[__name__])
    )
