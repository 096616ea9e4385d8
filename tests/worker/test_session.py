from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeline.engine import extractor
from pipeline.errors import EnvironmentFault
from pipeline.worker.session import Options, is_out_of_memory, open_session

# As TensorFlow 2.21 says where a constant does not fit onto a GPU.
OF_A_COPY = (
    "Failed copying input tensor from /job:localhost/replica:0/task:0/device:CPU:0 to"
    " /job:localhost/replica:0/task:0/device:GPU:0 in order to run _EagerConst: Dst tensor is not initialized."
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[1,64,512,512]"),
        tf.errors.InternalError(None, None, OF_A_COPY),
        tf.errors.InternalError(None, None, "Failed to call cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    ],
    ids=repr,
)
def test_what_lacked_memory_is_told_apart(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(tf.errors.InternalError(None, None, "Blas GEMM launch failed"))


@pytest.mark.parametrize("message", [OF_A_COPY, "Blas GEMM launch failed"])
def test_a_device_that_others_have_filled_is_the_places_fault(
    message: str, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise tf.errors.InternalError(None, None, message)

    monkeypatch.setattr(extractor, "Extractor", full)
    is_full = message == OF_A_COPY
    with pytest.raises(EnvironmentFault if is_full else tf.errors.InternalError) as told:
        open_session(Options(tiny_weights, 10**6, 30), "float32")
    assert ("no memory left" in str(told.value)) is is_full
