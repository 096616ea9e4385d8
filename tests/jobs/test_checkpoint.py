"""A checkpoint is the one that was saved, or a sentence: never other arrays, and never an exception."""

from __future__ import annotations

import json
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.jobs import checkpoint
from pipeline.jobs.checkpoint import Checkpoint

SAVED = Checkpoint(
    step=7,
    scale_index=1,
    arrays=[
        np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 4, 5, 3),
        np.array(np.inf, np.float32),
        np.arange(6, dtype=np.float32),
    ],
    optimize_seconds=1.5,
)
STAGES = [(5, [(1, 2, 3, 3), (), (6,)]), (10, [(1, 4, 5, 3), (), (6,)])]


@pytest.fixture
def saved(tmp_path: Path) -> bytes:
    checkpoint.save(tmp_path, SAVED, "these parameters")
    return (tmp_path / checkpoint.FILE).read_bytes()


def load(folder: Path, data: bytes) -> Checkpoint | str | None:
    (folder / checkpoint.FILE).write_bytes(data)
    return checkpoint.load(folder, "these parameters", STAGES)


def is_what_was_saved(found: Checkpoint) -> bool:
    facts = (found.step, found.scale_index, found.optimize_seconds) == (
        SAVED.step,
        SAVED.scale_index,
        SAVED.optimize_seconds,
    )
    pairs = zip(found.arrays, SAVED.arrays, strict=True)
    return facts and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def test_it_comes_back_as_it_was_saved(tmp_path: Path, saved: bytes) -> None:
    found = load(tmp_path, saved)
    assert isinstance(found, Checkpoint)
    assert is_what_was_saved(found)
    assert checkpoint.load(tmp_path / "elsewhere", "these parameters", STAGES) is None
    assert "other weights, parameters or versions" in str(checkpoint.load(tmp_path, "others", STAGES))


def test_a_damaged_one_is_told_in_a_sentence_or_was_not_harmed(tmp_path: Path, saved: bytes, is_long: bool) -> None:
    dice = random.Random(2)
    refused = 0
    damages = [(at, 1 << dice.randrange(8)) for at in range(len(saved))] * (8 if is_long else 1)
    for at, bits in damages:
        data = bytearray(saved)
        data[at] ^= dice.randrange(1, 256) if is_long else bits
        found = load(tmp_path, bytes(data))
        if isinstance(found, Checkpoint):
            assert is_what_was_saved(found), f"byte {at}"
        else:
            assert found is not None and found.startswith("the checkpoint cannot be read ("), f"byte {at}: {found}"
            refused += 1
    assert refused > 0.6 * len(damages)
    print(f"bytes of a checkpoint damaged: {len(damages)}, refused: {refused}, harmless: {len(damages) - refused}")


def test_one_that_breaks_off_is_told_in_a_sentence(tmp_path: Path, saved: bytes) -> None:
    for length in range(len(saved)):
        assert "the checkpoint cannot be read" in str(load(tmp_path, saved[:length])), length


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 5000,
        b"not a checkpoint",
        b"\x93NUMPY\x01\x00\x0e\x00{'descr': 'O'}",
        b"\x80\x04\x95.",
    ],
)
def test_what_is_no_checkpoint_is_told_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    assert "the checkpoint cannot be read" in str(load(tmp_path, data))


def test_one_without_its_facts_is_told_in_a_sentence(tmp_path: Path) -> None:
    for meta in ("[1]", "{}", '{"valid_with": "these parameters", "step": "x"}', "not JSON"):
        np.savez(tmp_path / checkpoint.FILE, meta=np.array(meta))
        assert "the checkpoint cannot be read" in str(checkpoint.load(tmp_path, "these parameters", STAGES))


def test_one_that_would_not_fit_into_memory_is_told_in_a_sentence(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(tmp_path / checkpoint.FILE, "w") as archive:
        archive.writestr("meta.npy", header.ljust(127) + b"\n")
    assert "the checkpoint cannot be read" in str(checkpoint.load(tmp_path, "these parameters", STAGES))


IMAGE, NUMBER, SIX = SAVED.arrays
WRONG_ARRAYS = {
    "none": [],
    "one too few, as an optimizer had them before": [IMAGE, NUMBER],
    "one too many, as an optimizer will have them": [*SAVED.arrays, SIX],
    "of another size": [IMAGE[:, :3], NUMBER, SIX],
    "that would be spread to the size": [IMAGE[:, :1, :1], NUMBER, SIX],
    "of the scale before": [IMAGE[:, :2, :3], NUMBER, SIX],
    "of another dimension": [IMAGE[0], NUMBER, SIX],
    "a list for a number": [IMAGE, NUMBER[None], SIX],
    "of doubles": [IMAGE.astype(np.float64), NUMBER, SIX],
    "of integers": [IMAGE.astype(np.int32), NUMBER, SIX],
    "of words": [IMAGE, NUMBER, np.array(["a"] * 6)],
    "of objects": [IMAGE, NUMBER, np.array([{}] * 6, object)],
    "that are no numbers": [IMAGE, NUMBER, np.full(6, np.nan, np.float32)],
    "a number that is none": [IMAGE, np.array(np.nan, np.float32), SIX],
    "without end": [np.full_like(IMAGE, np.inf), NUMBER, SIX],
}


@pytest.mark.parametrize("arrays", WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_arrays_that_no_state_of_the_run_has_are_told_in_a_sentence(tmp_path: Path, arrays: list[Any]) -> None:
    checkpoint.save(tmp_path, replace(SAVED, arrays=arrays), "these parameters")
    assert "the checkpoint cannot be read" in str(checkpoint.load(tmp_path, "these parameters", STAGES))


WRONG_META: list[dict[str, Any]] = [
    {"step": step} for step in (0, -1, 5, 11, 10**400, 2.5, True, "7", None, float("nan"))
]
WRONG_META += [{"scale_index": index} for index in (-1, 0, 2, 10**30, None, "1", False)]
WRONG_META += [{"optimize_seconds": s} for s in (-1, 1e308, float("inf"), float("nan"), "1", None, True, 10**400)]
WRONG_META += [{"arrays": count} for count in (-1, 0, 4, 10**400, "3", None)]
WRONG_META += [{"colour": "red"}]


@pytest.mark.parametrize("change", WRONG_META, ids=lambda change: str(change)[:40])
def test_facts_that_cannot_be_are_told_in_a_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    meta = {"step": 7, "scale_index": 1, "optimize_seconds": 1.5, "arrays": 3, "valid_with": "these parameters"}
    arrays: dict[str, Any] = {f"array_{number}": array for number, array in enumerate(SAVED.arrays)}
    for said, is_fine in ((meta, True), (meta | change, False)):
        np.savez(tmp_path / checkpoint.FILE, meta=np.array(json.dumps(said)), **arrays)
        found = checkpoint.load(tmp_path, "these parameters", STAGES)
        assert isinstance(found, Checkpoint) if is_fine else "the checkpoint cannot be read" in str(found)


def test_one_that_is_compressed_is_not_unpacked(tmp_path: Path) -> None:
    meta = {"step": 7, "scale_index": 1, "optimize_seconds": 1.5, "arrays": 3, "valid_with": "these parameters"}
    arrays: dict[str, Any] = {f"array_{number}": array for number, array in enumerate(SAVED.arrays)}
    np.savez_compressed(tmp_path / checkpoint.FILE, meta=np.array(json.dumps(meta)), **arrays)
    assert "compressed" in str(checkpoint.load(tmp_path, "these parameters", STAGES))
    np.savez(tmp_path / checkpoint.FILE, meta=np.array(json.dumps(meta)), **arrays | {"array_2": np.zeros(10**6)})
    assert "too large" in str(checkpoint.load(tmp_path, "these parameters", STAGES))
