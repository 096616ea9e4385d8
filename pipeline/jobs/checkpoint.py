"""Checkpoints of a running job: the engine's state, and what it is only valid with."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import storage
from pipeline.errors import short
from pipeline.jobs.fields import Count, Number, Seconds, Text, read_json
from pipeline.manifest.fields import Model

FILE = "checkpoint.npz"
FORMAT = 3
MOST_META_BYTES = 1 << 16
_HEADER_BYTES = 1 << 12  # of an array's file, beside its numbers

Stages = Sequence[tuple[int, Sequence[tuple[int, ...]]]]  # of each scale the last step, and the shapes of the arrays


@dataclass(frozen=True)
class Checkpoint:
    """Where a job stands: steps done, index of the scale, the optimizer's arrays, seconds spent so far."""

    step: int
    scale_index: int
    arrays: list[npt.NDArray[Any]]
    optimize_seconds: float


class _Meta(Model):
    step: Number
    scale_index: Count
    optimize_seconds: Seconds
    arrays: Count
    valid_with: Text


def fingerprint(**facts: Any) -> str:
    """A digest of everything that a checkpoint depends on; plain data only."""
    return hashlib.sha256(json.dumps({"format": FORMAT, **facts}, sort_keys=True).encode()).hexdigest()


def save(folder: Path, checkpoint: Checkpoint, valid_with: str) -> None:
    """Replace the folder's checkpoint; of a large picture it is gigabytes, which memory does not hold twice."""
    meta = _Meta(
        step=checkpoint.step,
        scale_index=checkpoint.scale_index,
        optimize_seconds=checkpoint.optimize_seconds,
        arrays=len(checkpoint.arrays),
        valid_with=valid_with,
    )
    arrays: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(checkpoint.arrays)}
    with storage.opened_atomic(folder / FILE) as file:
        np.savez(file, **{"meta": np.array(meta.model_dump_json()), **arrays})


def load(folder: Path, valid_with: str, stages: Stages) -> Checkpoint | str | None:
    """The folder's checkpoint; None where there is none; a sentence where there is one that must not be used.

    Args:
        folder: of the attempt.
        valid_with: a fingerprint.
        stages: of the run that is to go on from it. What fits none of them is not so much as read.
    """
    try:
        with storage.open_file(folder / FILE) as file, zipfile.ZipFile(file) as archive:
            meta = read_json(_Meta, str(_array(archive, "meta", MOST_META_BYTES)).encode())
            if meta.valid_with != valid_with:
                return "the checkpoint was made with other weights, parameters or versions"
            if meta.scale_index >= len(stages):
                raise ValueError(f"there is no scale {meta.scale_index}")
            before = stages[meta.scale_index - 1][0] if meta.scale_index else 0
            last, shapes = stages[meta.scale_index]
            if not before < meta.step <= last:
                raise ValueError(f"step {meta.step} is none of its scale")
            if meta.arrays != len(shapes):
                raise ValueError(f"{meta.arrays} arrays, not {len(shapes)}")
            arrays = [_of_state(archive, f"array_{index}", shape) for index, shape in enumerate(shapes)]
            return Checkpoint(meta.step, meta.scale_index, arrays, meta.optimize_seconds)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever zip, NumPy and JSON run into; the job only has to start over
        return f"the checkpoint cannot be read ({type(error).__name__}: {short(str(error))})"


def _of_state(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An array of the engine's state. A single number may be infinite, as the loss before the first step is."""
    array = _array(archive, name, 4 * math.prod(shape))
    if array.dtype != np.float32 or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not float32 {shape}")
    if np.isnan(array).any() or (shape and not np.isfinite(array).all()):
        raise ValueError(f"{name} has numbers that are none")
    return array


def _array(archive: zipfile.ZipFile, name: str, most_bytes: int) -> npt.NDArray[Any]:
    """An array as it was saved: neither compressed, so that none can be larger than its file, nor pickled."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > most_bytes + _HEADER_BYTES:
        raise ValueError(f"{name} is compressed, or too large")
    with archive.open(member) as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        file.read()  # to its end, where its checksum is compared
        return array
