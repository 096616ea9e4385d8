"""How much lies in an inbox with no runner to see to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.inbox.backlog import count
from pipeline.inbox.claims import Claims
from tests.inbox.conftest import drop, make, pair


def counted(inbox: Path) -> int:
    jobs = inbox.parent / "jobs"
    return count(inbox, Claims(inbox, jobs, jobs / ".retry").folder, jobs / ".retry")


def test_drops_count_and_loose_images_do_not(folder: Path) -> None:
    pair(folder)
    (folder / "notes.txt").touch()
    assert counted(folder) == 0
    drop(folder, "a.yaml")
    (folder / "trip").mkdir()
    drop(folder / "trip", "job.yaml")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert counted(folder) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("style", ["picture", "manifest"])
def test_photos_of_a_style_folder_count_until_they_have_become_jobs(folder: Path, style: str) -> None:
    (folder / "wave").mkdir()
    pair(folder / "wave")
    if style == "picture":
        os.rename(folder / "wave" / "painting.png", folder / "wave" / "style.png")
    else:
        (folder / "wave" / "style.yaml").write_text("style: painting.png\n")
    assert counted(folder) == 1
    inbox = make(folder, settle_seconds=0)
    list(inbox.scan())
    assert counted(folder) == 1, "the photo's job, which no runner has taken in"
    for job in folder.glob("*/job.yaml"):
        job.unlink()
    assert counted(folder) == 0
    (folder / "wave" / "copy.png").write_bytes((folder / "wave" / "photo.png").read_bytes())
    assert counted(folder) == 0, "what it shows is known"
    os.mkfifo(folder / "wave" / "pipe.jpg")
    (folder / "wave" / "elsewhere.jpg").symlink_to(__file__)
    assert counted(folder) == 0, "what no runner would paint"
    (folder / "wave" / "new.jpg").write_bytes(b"another")
    assert counted(folder) == 1
