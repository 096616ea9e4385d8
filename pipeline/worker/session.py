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

from pipeline.errors import EnvironmentFault
from pipeline.worker import gpu
from pipeline.worker.finding import Finding

if TYPE_CHECKING:
    from pipeline.engine.stylize import Stylizer
    from pipeline.engine.weights import Weights

GPU_CALL_SECONDS = 0.25  # a stop is heard between calls
# What errors say that are not of memory by their kind, where a copy to a full card fails, or one of CUDA's libraries.
FULL = (
    "Dst tensor is not initialized",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True)
class Options:
    """What a worker needs to know beside the job."""

    weights: Path | None
    max_pixels: int
    checkpoint_seconds: float
    device: str = "auto"  # or cpu, gpu
    log_format: str = "text"  # or json
    paces: Path | None = None  # where step times are kept
    memory_limit: int | None = None  # bytes that a worker process may take in all; None for what is there
    processes_a_card: int = 1  # that share its memory
    idle_seconds: float | None = None  # without an order, after which the process ends; None for never


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
            tf.config.experimental.enable_tensor_float_32_execution(False)  # a covariance has no bits to spare
    return tf


@functools.cache
def open_session(options: Options, precision: str) -> Session:
    """An engine of ``float32``, ``bfloat16`` or ``auto``, which is what the device is best at.

    Raises:
        EnvironmentFault: no weights, no GPU where one is asked for, or no memory left there.
    """
    found = gpus(options.device)

    from pipeline.engine.extractor import Extractor, best_precision
    from pipeline.engine.stylize import Stylizer
    from pipeline.worker import card

    chosen = best_precision() if precision == "auto" else precision
    if chosen != precision:
        return open_session(options, chosen)
    weights = _weights(options.weights)
    memory = card.memory(gpu.System()) if found else None
    try:
        extractor = Extractor(weights.kernels, chosen, card.of_strips(memory[1]) if memory else 0)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise EnvironmentFault(
            f"{device_name(found)} has no memory left for VGG-19: other programs hold it.",
            "`nvidia-smi` lists those on a GPU; --device cpu paints without one.",
        ) from None
    stylizer = Stylizer(extractor, GPU_CALL_SECONDS if found else 0.0)
    return Session(stylizer, weights, chosen, device_name(found))


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was no memory for something, on a device or beside it."""
    tf = sys.modules.get("tensorflow")
    kinds = (MemoryError, tf.errors.ResourceExhaustedError) if tf else (MemoryError,)
    return isinstance(error, kinds) or any(words in str(error) for words in FULL)


@functools.cache
def _weights(file: Path | None) -> Weights:
    from pipeline.engine import weights

    return weights.load(file, weights_cache())


def weights_cache() -> Path:
    """Where the weights of VGG-19 are kept, by this user on this machine."""
    import platformdirs

    return platformdirs.user_cache_path("stylistic") / "weights"


@functools.cache
def gpus(device: str) -> tuple[Any, ...]:
    """The GPUs that this process may use; TensorFlow keeps to the first answer.

    Args:
        device: ``auto``, ``cpu`` (hides them) or ``gpu``.

    Raises:
        EnvironmentFault: ``gpu``, and there is none; names the first broken link.
    """
    tf = tensorflow()
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    found = tuple(tf.config.get_visible_devices("GPU"))
    if device == "gpu" and not found:
        link = why_no_gpu()
        raise EnvironmentFault(
            f"--device gpu: TensorFlow sees no GPU: {link.name}: {link.what}.",
            f"{link.remedy} `stylistic doctor --device gpu` tells every link.",
        )
    return found


def why_no_gpu() -> Finding:
    """The first broken link to a GPU."""
    found = gpu.links(gpu.System(), tensorflow().sysconfig.get_build_info())
    return next((link for link in found if link.state == "broken"), gpu.UNKNOWN)


def device_name(gpus: tuple[Any, ...]) -> str:
    """What the log calls the device, such as ``NVIDIA H200``."""
    if gpus:
        details = tensorflow().config.experimental.get_device_details(gpus[0])
        return str(details.get("device_name", gpus[0].name))
    return "CPU"


def describe(options: Options, session: Session) -> str:
    """What jobs are painted on, in a line; on a CPU also why it is no GPU."""
    line = f"{session.device}, {session.precision}"
    if gpus(options.device):
        return line
    if options.device == "cpu":
        return f"{line}, as --device asks"
    return f"{line}; TensorFlow sees no GPU: {why_no_gpu().what}"


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
