"""`retry` and `cancel` of several jobs, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli.main import cli
from pipeline.errors import UsageError
from pipeline.jobs import cancel
from pipeline.jobs.spool import Spool
from pipeline.outbox.cancelling import cancel_job
from tests.runner.conftest import admit, spool

__all__ = ["spool"]

NOBODYS = "nobody-20260101-000000-0000"


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "outbox"


def refused(*arguments: str) -> str:
    done: Result = CliRunner().invoke(cli, arguments)
    assert done.exit_code != 0
    return str(done.exception)


@pytest.mark.parametrize("wrong", [NOBODYS, "../inbox", "done"])
def test_of_several_one_of_which_is_none_nothing_is_cancelled(spool: Spool, outbox: Path, wrong: str) -> None:
    job_id = admit(spool, "a")
    (spool.done / f"{NOBODYS}.json").touch()
    assert refused("cancel", job_id, wrong).startswith(f"{wrong}: no queued or running job of this id")
    assert spool.queued_ids() == [job_id]
    assert CliRunner().invoke(cli, ["cancel", job_id, job_id]).stdout == f"{job_id}: cancelled\n"
    assert CliRunner().invoke(cli, ["cancel", job_id]).stdout == f"{job_id}: cancelled\n", "as it is already"


def test_of_several_one_of_which_is_none_nothing_is_retried(spool: Spool, outbox: Path) -> None:
    job_id = admit(spool, "a")
    cancel_job(spool, outbox, job_id, "ann")
    assert refused("retry", job_id, NOBODYS).startswith(f"{NOBODYS}: no failed job of this id")
    assert (outbox / job_id).is_dir(), "its answer is there still"
    assert spool.queued_ids() == []


def test_of_several_one_of_which_cannot_be_retried_none_is_and_no_answer_is_lost(spool: Spool, outbox: Path) -> None:
    first, second = admit(spool, "a"), admit(spool, "b")
    for job_id in (first, second):
        cancel_job(spool, outbox, job_id, "ann")
    cancel.mark(spool.failed / second, "ann")
    assert "its owner is not told yet" in refused("retry", first, second)
    assert spool.queued_ids() == []
    assert (outbox / first).is_dir()
    assert (outbox / second).is_dir()


def test_the_page_tells_what_was_done_before_something_went_wrong(
    spool: Spool, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = admit(spool, "a"), admit(spool, "b")
    for job_id in (first, second):
        cancel_job(spool, outbox, job_id, "ann")
    retry = Spool.retry

    def failing(spool: Spool, job_id: str) -> None:
        if job_id == second:
            raise UsageError("the disk is full.")
        retry(spool, job_id)

    monkeypatch.setattr(Spool, "retry", failing)
    assert refused("retry", first, second) == "the disk is full."
    assert spool.queued_ids() == [first]
    assert first in (outbox / "index.html").read_text()


def test_a_retry_where_there_is_no_outbox_does_nothing_as_the_old_failure_would_answer_it(
    spool: Spool, outbox: Path
) -> None:
    job_id = admit(spool, "a")
    cancel_job(spool, outbox, job_id, "ann")
    told = refused("retry", job_id, "--outbox", str(outbox / "elsewhere"))
    assert told == f"{outbox}/elsewhere: not there. Name the outbox with --outbox."
    assert spool.queued_ids() == []
