"""A checkpoint is the one that was saved, or a sentence: never other arrays, and never an exception."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.jobs import checkpoint
from pipeline.jobs.checkpoint import Checkpoint

SAVED = Checkpoint(
    step=7,
    scale_index=1,
    arrays=[
        np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 4, 5, 3),
        np.array(0.25, np.float32),
        np.zeros((0, 3), np.float32),
        np.array([True, False]),
        np.arange(6, dtype=np.int64),
    ],
    optimize_seconds=1.5,
)


@pytest.fixture
def saved(tmp_path: Path) -> bytes:
    checkpoint.save(tmp_path, SAVED, "these parameters")
    return (tmp_path / checkpoint.FILE).read_bytes()


def load(folder: Path, data: bytes) -> Checkpoint | str | None:
    (folder / checkpoint.FILE).write_bytes(data)
    return checkpoint.load(folder, "these parameters")


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
    assert checkpoint.load(tmp_path / "elsewhere", "these parameters") is None
    assert "other weights, parameters or versions" in str(checkpoint.load(tmp_path, "others"))


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
        assert "the checkpoint cannot be read" in str(checkpoint.load(tmp_path, "these parameters"))


def test_one_that_would_not_fit_into_memory_is_told_in_a_sentence(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(tmp_path / checkpoint.FILE, "w") as archive:
        archive.writestr("meta.npy", header.ljust(127) + b"\n")
    assert "the checkpoint cannot be read" in str(checkpoint.load(tmp_path, "these parameters"))
