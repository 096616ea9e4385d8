"""What a device computes, beside the same by NumPy: devices have been seen to list fine and return wrong numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.worker.finding import Finding, broken, ok

Array = npt.NDArray[np.float64]

# Of the norm. A device rounds to 8 bits in bfloat16 and, on newer GPUs, to 11 within float32's products (TF32); a wrong
# kernel is off by tens of percent.
TOLERANCES = {"float32": 0.004, "bfloat16": 0.03}
SIDE, CHANNELS = 40, 32


@dataclass(frozen=True)
class Operation:
    """Something that jobs have the device do.

    Args:
        name: as it is told.
        on_device: of two float32 arrays, in a precision, by TensorFlow.
        known: the same by NumPy in float64.
    """

    name: str
    on_device: Callable[[Any, Any, str], Any]
    known: Callable[[Array, Array], Array]


def examine(operations: Sequence[Operation], precisions: Sequence[str], device: str) -> list[Finding]:
    """Run each operation on TensorFlow's device in each precision; a finding for each operation.

    Args:
        operations: such as ``OPERATIONS``.
        precisions: of ``TOLERANCES``.
        device: its name, as it is told.
    """
    rng = np.random.default_rng(19)
    image = rng.normal(0, 1, (1, SIDE, SIDE, CHANNELS)).astype(np.float32)
    kernel = rng.normal(0, 1, (3, 3, CHANNELS, CHANNELS)).astype(np.float32)
    return [_compared(operation, precisions, device, image, kernel) for operation in operations]


def _compared(operation: Operation, precisions: Sequence[str], device: str, image: Any, kernel: Any) -> Finding:
    known = operation.known(image.astype(np.float64), kernel.astype(np.float64))
    errors = {}
    for precision in precisions:
        try:
            found = np.asarray(operation.on_device(image, kernel, precision), np.float64)
        except Exception as error:  # whatever a driver or a library answers
            words = str(error).splitlines()[0][:300] if str(error) else repr(error)
            return broken(operation.name, f"fails on {device} in {precision}: {words}", _remedy(device))
        errors[precision] = float(np.linalg.norm(found - known) / np.linalg.norm(known))
    wrong = [precision for precision, error in errors.items() if not error <= TOLERANCES[precision]]  # nan is wrong
    told = ", ".join(f"{error:.1g} in {precision}" for precision, error in errors.items())
    if wrong:
        return broken(operation.name, f"{device} returns wrong numbers; relative error {told}", _remedy(device))
    return ok(operation.name, f"relative error {told}")


def _remedy(device: str) -> str:
    if device == "CPU":
        return "Install TensorFlow's own wheel again; test the memory. Results from here are not to be trusted."
    return "Use --device cpu until driver, cuDNN and TensorFlow are of versions that go together."


def _convolution(image: Any, kernel: Any, precision: str) -> Any:
    import tensorflow as tf

    y = tf.nn.conv2d(tf.cast(image, precision), tf.cast(kernel, precision), 1, "SAME")
    return tf.cast(y, "float32").numpy()


def _gradient(image: Any, kernel: Any, precision: str) -> Any:
    """Of half the sum of the squares of a convolution, by its image: what each step of a job asks for."""
    import tensorflow as tf

    x, kernel = tf.cast(image, precision), tf.cast(kernel, precision)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, kernel, 1, "SAME")
        # With y stopped as a factor the gradient is that of half the squares.
        half = tf.reduce_sum(tf.cast(y, "float32") * tf.stop_gradient(tf.cast(y, "float32")))
    return tf.cast(tape.gradient(half, x), "float32").numpy()


def _product(image: Any, kernel: Any, precision: str) -> Any:
    """The Gram matrix of the image's channels."""
    import tensorflow as tf

    pixels = tf.cast(tf.reshape(image, (-1, CHANNELS)), precision)
    return tf.cast(tf.matmul(pixels, pixels, transpose_a=True), "float32").numpy()


def _known_convolution(image: Array, kernel: Array) -> Array:
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))  # [H, W, in, 3, 3]
    columns = windows.transpose(0, 1, 3, 4, 2).reshape(SIDE * SIDE, -1)
    return (columns @ kernel.reshape(-1, kernel.shape[3])).reshape(1, SIDE, SIDE, -1)


def _known_gradient(image: Array, kernel: Array) -> Array:
    """The transpose of the convolution, which is one with the kernel turned over, of its result."""
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return _known_convolution(_known_convolution(image, kernel), turned)


def _known_product(image: Array, kernel: Array) -> Array:
    pixels = image.reshape(-1, CHANNELS)
    return pixels.T @ pixels


OPERATIONS = (
    Operation("convolution", _convolution, _known_convolution),
    Operation("its gradient", _gradient, _known_gradient),
    Operation("matrix product", _product, _known_product),
)
