"""`clean`, in this process."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import storage
from pipeline.cli.tidying import clean
from pipeline.jobs.result import Failed
from pipeline.jobs.spool import Spool
from pipeline.outbox import cleaning
from pipeline.outbox.publish import publish
from tests.runner.conftest import admit


def test_what_cannot_be_removed_is_told_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a result of somebody else, in a shared outbox with the sticky bit."""
    spool, outbox = Spool(tmp_path / "jobs"), tmp_path / "outbox"
    outbox.mkdir()
    spool.folder.mkdir()
    spool.prepare()
    ids = [admit(spool, name) for name in "abc"]
    for job_id in ids:
        storage.at_once(publish(outbox, spool.start(job_id), None, Failed(reason="too small")))
        spool.fail(job_id)
    discard = storage.discard

    def refused(folder: Path, trash: Path) -> None:
        if folder == outbox / ids[0]:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(folder))
        discard(folder, trash)

    monkeypatch.setattr(storage, "discard", refused)
    arguments = ["--older-than", "0h", "--results", "--remove", "--jobs", str(spool.folder), "--outbox", str(outbox)]
    done = CliRunner().invoke(clean, arguments)
    assert done.exit_code == 3
    assert f"{outbox / ids[0]} stays: Operation not permitted" in done.stderr
    assert done.stdout.splitlines()[-1] == "all but 1 of it is removed"
    left = cleaning.find(spool, outbox, float("inf"))
    assert [one.path for one in left] == [outbox / ids[0]]
