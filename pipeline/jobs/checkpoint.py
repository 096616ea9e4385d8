"""Checkpoints of a running job: the engine's state, and what it is only valid with."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import storage

FILE = "checkpoint.npz"
FORMAT = 3


@dataclass(frozen=True)
class Checkpoint:
    """Where a job stands: steps done, index of the scale, the optimizer's arrays, seconds spent so far."""

    step: int
    scale_index: int
    arrays: list[npt.NDArray[Any]]
    optimize_seconds: float


def fingerprint(**facts: Any) -> str:
    """A digest of everything that a checkpoint depends on; plain data only."""
    return hashlib.sha256(json.dumps({"format": FORMAT, **facts}, sort_keys=True).encode()).hexdigest()


def save(folder: Path, checkpoint: Checkpoint, valid_with: str) -> None:
    """Replace the folder's checkpoint."""
    meta = {
        "step": checkpoint.step,
        "scale_index": checkpoint.scale_index,
        "optimize_seconds": checkpoint.optimize_seconds,
        "arrays": len(checkpoint.arrays),
        "valid_with": valid_with,
    }
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(checkpoint.arrays)}
    np.savez(buffer, **{"meta": np.array(json.dumps(meta)), **arrays})
    storage.write_atomic(folder / FILE, buffer.getvalue())


def load(folder: Path, valid_with: str) -> Checkpoint | str | None:
    """The folder's checkpoint; None where there is none; a sentence where there is one that must not be used."""
    try:
        # Opened here, as NumPy leaves it open where it fails.
        with storage.open_file(folder / FILE) as file, np.load(file, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["valid_with"] != valid_with:
                return "the checkpoint was made with other weights, parameters or versions"
            arrays = [archive[f"array_{index}"] for index in range(meta["arrays"])]
            return Checkpoint(int(meta["step"]), int(meta["scale_index"]), arrays, float(meta["optimize_seconds"]))
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever zip, NumPy and JSON run into; the job only has to start over
        return f"the checkpoint cannot be read ({type(error).__name__}: {error})"
