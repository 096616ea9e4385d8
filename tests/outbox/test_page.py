"""The page of all results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.jobs.record import Job, now
from pipeline.jobs.result import Failed
from pipeline.outbox.page import Page
from pipeline.outbox.publish import publish, withdraw

A = "a-20260101-000000-0000"


def fail(outbox: Path, reason: str) -> None:
    publish(outbox, Job(id=A, name="a", claimed_at=now()), None, Failed(reason=reason))


def shown(page: Page, outbox: Path) -> str:
    page.keep_current(at_once=True)
    return (outbox / "index.html").read_text()


@pytest.mark.parametrize(
    "foreign",
    [
        b'{"schema": "stylistic.log/1"}',
        b'{"schema": "stylistic.log/1", "job": 3}',
        b"[1, 2]",
        b"\xff\xfe",
        b"",
        b'{"schema": "theirs"}',
    ],
)
def test_what_others_keep_in_the_outbox_is_not_shown_and_does_no_harm(tmp_path: Path, foreign: bytes) -> None:
    for name in ("x", "notes-20260101-000000-abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name.split('-')[0]}.json").write_bytes(foreign)
    fail(tmp_path, "ours")
    text = shown(Page(tmp_path), tmp_path)
    assert "ours" in text
    assert "1 result" in text


def test_a_log_that_was_copied_elsewhere_does_not_lead_there(tmp_path: Path) -> None:
    fail(tmp_path, "ours")
    copy = tmp_path / "a-20260101-000000-ffff"
    copy.mkdir()
    log = json.loads((tmp_path / A / "a.json").read_text())
    log["job"]["id"] = "../../elsewhere"
    (copy / "a.json").write_text(json.dumps(log))
    assert "elsewhere" not in shown(Page(tmp_path), tmp_path)


def test_a_failure_that_is_retried_leaves_the_page(tmp_path: Path) -> None:
    page = Page(tmp_path)
    fail(tmp_path, "the first failure")
    assert "the first failure" in shown(page, tmp_path)
    withdraw(tmp_path, A)
    assert "the first failure" not in shown(page, tmp_path)
    fail(tmp_path, "the second failure")
    assert "the second failure" in shown(page, tmp_path)


def test_an_unchanged_outbox_is_not_written_again(tmp_path: Path) -> None:
    page = Page(tmp_path)
    fail(tmp_path, "a failure")
    shown(page, tmp_path)
    before = (tmp_path / "index.html").stat().st_mtime_ns
    shown(page, tmp_path)
    assert (tmp_path / "index.html").stat().st_mtime_ns == before
