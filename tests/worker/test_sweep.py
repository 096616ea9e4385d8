"""The table of a sweep."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import result
from pipeline.worker import sweep
from pipeline.worker.sweep import table
from tests.runner.conftest import DONE


def test_a_name_that_begins_like_a_formula_stays_a_text() -> None:
    rows: list[dict[str, Any]] = [{"content": "=cmd().jpg", "final_total": -1.5, "error": None}, {"content": "a.jpg"}]
    found = list(csv.DictReader(io.StringIO(table(rows).decode())))
    assert [row["content"] for row in found] == ["'=cmd().jpg", "a.jpg"]
    assert found[0]["final_total"] == "-1.5"


@pytest.mark.parametrize("data", [bytes(100), None])
def test_a_variant_whose_picture_cannot_be_read_leaves_its_place_empty(tmp_path: Path, data: bytes | None) -> None:
    result.leave(tmp_path, DONE, {} if data is None else {DONE.output.file: data})
    assert sweep._picture(tmp_path, DONE) is None
