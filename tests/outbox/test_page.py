"""The page of all results, and of what goes on."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.forecast.paces import Paces
from pipeline.jobs import log, report
from pipeline.jobs.lock import runner_lock
from pipeline.jobs.record import Job, now
from pipeline.jobs.report import Report
from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.outbox.page import EVERY_SECONDS, IDLE_SECONDS, Page, renew
from pipeline.outbox.publish import publish, withdraw
from pipeline.outbox.results import MOST_OF_VARIANTS
from tests.inbox.conftest import Clock

A = "a-20260101-000000-0000"


@pytest.fixture
def page(tmp_path: Path) -> Page:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "jobs").mkdir()
    return Page(tmp_path / "outbox", Spool(tmp_path / "jobs"), Paces(None))


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def fail(outbox: Path, reason: str, dropped: Path | None = None) -> None:
    storage.at_once(publish(outbox, Job(id=A, name="a", claimed_at=now()), None, Failed(reason=reason), dropped))


def data_in(outbox: Path) -> dict[str, Any]:
    text = (outbox / "index.html").read_text()
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    data: dict[str, Any] = json.loads(found)
    return data


def shown(page: Page, outbox: Path) -> list[dict[str, Any]]:
    page.keep_current(is_working=False, at_once=True)
    rows: list[dict[str, Any]] = data_in(outbox)["results"]
    return rows


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
def test_what_others_keep_in_the_outbox_is_not_shown_and_does_no_harm(page: Page, outbox: Path, foreign: bytes) -> None:
    for name in ("x", "notes-20260101-000000-abcd"):
        (outbox / name).mkdir()
        (outbox / name / f"{name.split('-')[0]}.json").write_bytes(foreign)
    fail(outbox, "ours")
    assert [row["error"] for row in shown(page, outbox)] == ["ours"]


def test_a_log_that_was_copied_elsewhere_does_not_lead_there(page: Page, outbox: Path) -> None:
    fail(outbox, "ours")
    copy = outbox / "a-20260101-000000-ffff"
    copy.mkdir()
    log = json.loads((outbox / A / "a.json").read_text())
    log["job"]["id"] = "../../elsewhere"
    (copy / "a.json").write_text(json.dumps(log))
    assert [row["id"] for row in shown(page, outbox)] == [A]


def test_a_number_that_json_does_not_know_does_not_spoil_the_page(page: Page, outbox: Path) -> None:
    fail(outbox, "ours")
    path = outbox / A / "a.json"
    log = json.loads(path.read_text()) | {"variants": [{"variant": "a-001", "final_total": float("nan")}]}
    path.write_text(json.dumps(log))
    (row,) = shown(page, outbox)
    assert row["variants"] == [{"variant": "a-001", "final_total": None}]


def test_a_failure_that_is_retried_leaves_the_page(page: Page, outbox: Path) -> None:
    fail(outbox, "the first failure")
    assert shown(page, outbox)[0]["error"] == "the first failure"
    withdraw(outbox, A)
    assert shown(page, outbox) == []
    fail(outbox, "the second failure")
    assert shown(page, outbox)[0]["error"] == "the second failure"


def test_nothing_new_is_not_written_again_and_what_waits_is(page: Page, outbox: Path, tmp_path: Path) -> None:
    fail(outbox, "a failure")
    shown(page, outbox)
    before = (outbox / "index.html").stat().st_mtime_ns
    shown(page, outbox)
    assert (outbox / "index.html").stat().st_mtime_ns == before
    report.write(tmp_path / "jobs", Report(pid=1, inbox="inbox", since=now(), unknown=["notes.docx is not looked at"]))
    shown(page, outbox)
    assert data_in(outbox)["status"]["unknown"] == ["notes.docx is not looked at"]


class TestADroppedManifest:
    def test_lies_beside_the_reason(self, page: Page, outbox: Path, tmp_path: Path) -> None:
        (tmp_path / "whatever.json").write_text('{"content": ')
        fail(outbox, "no JSON", tmp_path / "whatever.json")
        assert (outbox / A / "dropped" / "a.json").read_text() == '{"content": '
        (row,) = shown(page, outbox)
        assert (row["dropped"], row["files"]) == ("dropped/a.json", ["a.json", "dropped/a.json"])
        assert json.loads((outbox / A / "a.json").read_text())["error"] == "no JSON"

    @pytest.mark.parametrize("kind", ["link", "large", "gone"])
    def test_that_is_none_stays_away(self, page: Page, outbox: Path, tmp_path: Path, kind: str) -> None:
        dropped = tmp_path / "a.yaml"
        if kind == "link":
            (tmp_path / "secret").write_text("secret")
            dropped.symlink_to(tmp_path / "secret")
        elif kind == "large":
            with dropped.open("wb") as file:
                file.truncate(1 << 30)
        fail(outbox, "refused", dropped)
        (row,) = shown(page, outbox)
        assert (row["error"], row["dropped"], row["files"]) == ("refused", None, ["a.json"])


def test_what_a_command_changes_is_on_the_page_where_no_runner_sees_to_it(page: Page, outbox: Path) -> None:
    spool = Spool(outbox.parent / "jobs")
    fail(outbox, "refused")
    renew(spool, outbox, Paces(None))
    assert data_in(outbox)["counts"]["failed"] == 1
    withdraw(outbox, A)
    with runner_lock(spool.folder):
        renew(spool, outbox, Paces(None))
        assert data_in(outbox)["counts"]["failed"] == 1, "left to the runner"
    renew(spool, outbox, Paces(None))
    assert data_in(outbox)["counts"]["failed"] == 0
    renew(spool, outbox / "gone", Paces(None))
    assert not (outbox / "gone").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"manifest": {"sweep": 3, "preset": ["x"], "parameters": "none"}},
        {"loss": {key: [1] for key in ("step", "total", "content", "style", "total_variation")} | {"scale": [1, 2, 3]}},
    ],
)
def test_a_log_that_another_program_wrote_does_not_spoil_the_page(
    page: Page, outbox: Path, change: dict[str, Any]
) -> None:
    fail(outbox, "ours")
    path = outbox / A / "a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert [row["id"] for row in shown(page, outbox)] == [A]


@pytest.mark.parametrize("forged", ["[]," * log.MOST_LISTS + "[]", "0," * log.MOST_VALUES + "0"])
def test_a_log_of_more_lists_or_numbers_than_any_of_ours_is_not_read(
    page: Page, outbox: Path, monkeypatch: pytest.MonkeyPatch, forged: str
) -> None:
    fail(outbox, "ours")
    path = outbox / A / "a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"x": "forged"}).replace('"forged"', f"[{forged}]"))
    parsed: list[int] = []
    monkeypatch.setattr(log, "read_json", lambda model, data: parsed.append(len(data)))
    assert shown(page, outbox) == []
    assert parsed == []


def test_of_a_table_of_any_length_the_page_has_a_part(page: Page, outbox: Path) -> None:
    fail(outbox, "ours")
    path = outbox / A / "a.json"
    rows = [{f"{key}": "a" * 4000 for key in range(10)} for _ in range(100)]
    sides = {"scale": [64, 128] * 500, **{key: [1] * 1000 for key in ("step", "total", "content", "style")}}
    loss = {**sides, "total_variation": [1] * 1000}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"variants": rows, "loss": loss}))
    (row,) = shown(page, outbox)
    assert row["variants"] == rows[: len(row["variants"])]
    assert MOST_OF_VARIANTS / 2 < len(json.dumps(row["variants"])) <= MOST_OF_VARIANTS + 200
    assert row["curve"]["last"] == 1
    assert len(row["curve"]["scales"]) == 100


def test_results_that_take_long_to_read_come_to_the_page_by_and_by(
    page: Page, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    for number in range(7):
        job_id = f"a-20260101-000000-000{number}"
        job = Job(id=job_id, name="a", claimed_at=now())
        storage.at_once(publish(outbox, job, None, Failed(reason="it cannot be painted")))
    read = log.read

    def slow(outbox: Path, job_id: str) -> Any:
        clock.pass_(1.0)
        return read(outbox, job_id)

    monkeypatch.setattr(log, "read", slow)
    counts = []
    for _ in range(5):
        page.keep_current(is_working=False)
        counts.append(len(data_in(outbox)["results"]))
        clock.pass_(1000.0)
    assert counts == [2, 4, 6, 7, 7]
    other = Page(outbox, page._spool, Paces(None))
    assert len(shown(other, outbox)) == 7, "a command has no next time"


def test_an_idle_runner_writes_the_page_every_few_minutes(
    page: Page, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    fail(outbox, "ours")
    times = []
    for seconds in (0, 0, IDLE_SECONDS - 1, 1, 1):
        clock.pass_(seconds)
        page.keep_current(is_working=False)
        times.append((outbox / "index.html").stat().st_mtime_ns)
    assert [after != before for before, after in itertools.pairwise(times)] == [False, False, True, False]
    for is_working, seconds in ((True, EVERY_SECONDS), (False, IDLE_SECONDS)):
        clock.pass_(EVERY_SECONDS)
        page.keep_current(is_working)
        assert data_in(outbox)["next"] == seconds


def test_two_runners_with_one_outbox_write_whole_pages(
    page: Page, outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "others").mkdir()
    other = Page(outbox, Spool(tmp_path / "others"), Paces(None))
    replace = os.replace

    def late(*paths: Path, **folders: Any) -> None:  # when the first is about to show its page, the second writes one
        monkeypatch.setattr(os, "replace", replace)
        shown(other, outbox)
        replace(*paths, **folders)

    monkeypatch.setattr(os, "replace", late)
    assert shown(page, outbox) == []
    assert [path.name for path in outbox.iterdir()] == ["index.html"]


def test_two_idle_runners_with_one_outbox_leave_the_page_alone(page: Page, outbox: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    other = Page(outbox, Spool(tmp_path / "others"), Paces(None))
    fail(outbox, "ours")
    for one in (page, other, page, other):
        shown(one, outbox)
    before = (outbox / "index.html").stat().st_mtime_ns
    for one in (page, other, page, other):
        shown(one, outbox)
    assert (outbox / "index.html").stat().st_mtime_ns == before
    withdraw(outbox, A)
    assert shown(other, outbox) == []
    (outbox / "index.html").unlink()
    assert shown(page, outbox) == []
