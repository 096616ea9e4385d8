"""How much memory the card has left for this process, and how much this process has taken of it."""

from __future__ import annotations

import ctypes

from pipeline.worker.gpu import System
from pipeline.worker.session import tensorflow

DEVICE = "GPU:0"  # the one that TensorFlow paints on; the driver's first of those that are visible

_highest = 0  # bytes at once since this process began


def available(processes: int = 1, system: System | None = None) -> int | None:
    """Bytes that this process can still have beside a large picture's strips; None where the driver does not tell.

    Others' are not free; what TensorFlow had at any time it keeps, and gives again to the next job.

    Args:
        processes: of ours that share the card, each of which takes no more than its part.
        system: where the driver is looked for.
    """
    found = memory(system or System())
    if found is None:
        return None
    free, total = found
    used = tensorflow().config.experimental.get_memory_info(DEVICE)["current"]
    kept = max(_highest, peak()) - used
    return int(min(free + kept, total // processes - used)) - of_strips(total)


def of_strips(total: int) -> int:
    """Bytes that the strips of a large picture have of a card with so many: as many on one card at any time, as their
    height is in the result's last bits."""
    return total // 16


def memory(system: System) -> tuple[int, int] | None:
    """Bytes that are free on the first visible card, and all that it has, as the driver counts them."""
    try:
        cuda = system.load("libcuda.so.1")
    except OSError:
        return None
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    # The card's primary context, which TensorFlow has, too: it is counted, not made anew.
    if cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if cuda.cuCtxPushCurrent_v2(context):
            return None
        code = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        cuda.cuCtxPopCurrent_v2(ctypes.byref(context))
        return None if code else (free.value, total.value)
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(device)


def peak() -> int:
    """Bytes that TensorFlow has had at once since ``reset_peak``."""
    return int(tensorflow().config.experimental.get_memory_info(DEVICE)["peak"])


def reset_peak() -> None:
    """Let ``peak`` count from here on."""
    global _highest
    _highest = max(_highest, peak())
    tensorflow().config.experimental.reset_memory_stats(DEVICE)
