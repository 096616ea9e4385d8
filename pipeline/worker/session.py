"""Starting TensorFlow, once a process, and keeping what outlives a job: the weights, an engine for each precision."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.engine.stylize import Stylizer
    from pipeline.engine.weights import Weights

STEPS_PER_GPU_CALL = 5


@dataclass(frozen=True)
class Options:
    """What a worker needs to know beside the job."""

    weights: Path | None
    cache: Path
    max_pixels: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class Session:
    """An engine that is ready to paint, and what the log says of it."""

    stylizer: Stylizer
    weights: Weights
    precision: str  # float32 or bfloat16
    device: str


@functools.cache
def tensorflow() -> Any:
    """TensorFlow, imported without its page of greetings and told how to use the device."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_native_code():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it counts new graphs as a mistake
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
            tf.config.experimental.enable_op_determinism()
    return tf


@functools.cache
def open_session(options: Options, precision: str) -> Session:
    """An engine of ``float32``, ``bfloat16`` or ``auto``, which is what the device is best at.

    Raises:
        EnvironmentFault: no weights.
    """
    gpus = tensorflow().config.list_physical_devices("GPU")

    from pipeline.engine.extractor import Extractor, best_precision
    from pipeline.engine.stylize import Stylizer

    chosen = best_precision() if precision == "auto" else precision
    if chosen != precision:
        return open_session(options, chosen)
    weights = _weights(options.weights, options.cache)
    stylizer = Stylizer(Extractor(weights.kernels, chosen), STEPS_PER_GPU_CALL if gpus else 1)
    return Session(stylizer, weights, chosen, _device(gpus))


@functools.cache
def _weights(file: Path | None, cache: Path) -> Weights:
    from pipeline.engine import weights

    return weights.load(file, cache)


def _device(gpus: list[Any]) -> str:
    if gpus:
        details = tensorflow().config.experimental.get_device_details(gpus[0])
        return str(details.get("device_name", gpus[0].name))
    return "CPU"


@contextlib.contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Send what C++ writes to standard error away: TensorFlow greets with a page that no setting silences."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
