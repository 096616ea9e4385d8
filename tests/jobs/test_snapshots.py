"""Pictures of a job on its way, between two attempts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.jobs import snapshots
from tests.conftest import picture


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-40]), lambda path: path.write_bytes(b"")]
)
def test_snapshots_are_whole_where_each_is_there_and_can_be_read(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    for step in (50, 100):
        buffer = io.BytesIO()
        picture(seed=step).save(buffer, "PNG")
        snapshots.save(tmp_path, step, buffer.getvalue())
    assert snapshots.are_whole(tmp_path, 50, 149)
    assert not snapshots.are_whole(tmp_path, 50, 150)
    harm(snapshots.read(tmp_path)[50])
    assert not snapshots.are_whole(tmp_path, 50, 100)
    assert snapshots.are_whole(tmp_path, 0, 100)
