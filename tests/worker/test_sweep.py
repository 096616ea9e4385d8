"""The table of a sweep."""

from __future__ import annotations

import csv
import io
from typing import Any

from pipeline.worker.sweep import table


def test_a_name_that_begins_like_a_formula_stays_a_text() -> None:
    rows: list[dict[str, Any]] = [{"content": "=cmd().jpg", "final_total": -1.5, "error": None}, {"content": "a.jpg"}]
    found = list(csv.DictReader(io.StringIO(table(rows).decode())))
    assert [row["content"] for row in found] == ["'=cmd().jpg", "a.jpg"]
    assert found[0]["final_total"] == "-1.5"
