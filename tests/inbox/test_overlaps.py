"""Folders that must not lie within one another, and results that turn up where photos are looked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.doctor.folders import apart
from pipeline.errors import UsageError
from pipeline.inbox import own_results, submit
from pipeline.inbox.backlog import count
from pipeline.inbox.overlaps import overlaps
from tests.conftest import Place
from tests.inbox.conftest import drop, make, pair
from tests.inbox.test_style_folder import jobs, photo, scan

APART: list[dict[str, str]] = [
    {},  # as they are by default
    {"inbox": "share/inbox", "outbox": "share/outbox"},
    {"inbox": "a/inbox", "jobs": "a/inbox-jobs", "outbox": "b"},
    {"outbox": "jobs/outbox"},
    {"library": "paintings"},
]
ENTANGLED = [  # folders given, and what is said of them
    ({"outbox": "inbox"}, "inbox is given as --inbox and as --outbox"),
    ({"outbox": "inbox/wave/out"}, "(--outbox) lies within"),
    ({"outbox": "link/wave/out"}, "(--outbox) lies within"),
    ({"inbox": "link", "jobs": "inbox/jobs"}, "(--jobs) lies within"),
    ({"inbox": "inbox/../inbox", "outbox": "inbox/.out"}, "(--outbox) lies within"),
    ({"inbox": "outbox/inbox"}, "(--inbox) lies within"),
    ({"inbox": "jobs/inbox"}, "(--inbox) lies within"),
    ({"library": "inbox/paintings"}, "(--library) lies within"),
    ({"library": "."}, "(--inbox) lies within"),
    ({"library": "inbox"}, "is given as --inbox and as --library"),
    ({"jobs": "outbox"}, "is given as --jobs and as --outbox"),
    ({"outbox": "."}, "(--inbox) lies within"),
]


def given(root: Path, folders: dict[str, str]) -> dict[str, Any]:
    paths = {name: root / folders.get(name, name) for name in ("inbox", "jobs", "outbox")}
    for path in paths.values():
        path.mkdir(parents=True, exist_ok=True)
    library = root / folders["library"] if "library" in folders else None
    return {**paths, "libraries": [library] if library else []}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "link").symlink_to("inbox")
    return tmp_path


@pytest.mark.parametrize("folders", APART, ids=str)
def test_folders_side_by_side_are_in_order(root: Path, folders: dict[str, str]) -> None:
    assert overlaps(**given(root, folders)) == []


@pytest.mark.parametrize("folders, sentence", ENTANGLED, ids=str)
def test_folders_within_one_another_are_told_with_their_options(
    root: Path, folders: dict[str, str], sentence: str
) -> None:
    (found,) = overlaps(**given(root, folders))
    assert sentence in found
    assert apart(**given(root, folders)).state == "broken"


@pytest.mark.stand_in
@pytest.mark.parametrize("command", ["run", "watch", "doctor"])
def test_an_outbox_within_a_style_folder_is_refused_before_anything_is_made(place: Place, command: str) -> None:
    place.photo("wave/style.jpg")
    place.photo("wave/a.png")
    (place.inbox / "wave" / "out").mkdir()
    done = place.run(command, "--outbox", "inbox/wave/out", *(["--device", "cpu"] if command == "doctor" else []))
    assert done.returncode == (3 if command == "doctor" else 2)
    assert "inbox/wave/out (--outbox) lies within" in " ".join((done.stdout + done.stderr).split())
    assert not place.jobs.exists()


def result(folder: Path, name: str = "harbour") -> Path:
    """A folder as it lies in an outbox."""
    for picture in (f"{name}.png", f"{name}.loss.png", "previews/photo.jpg"):
        photo(folder / picture, seed=len(picture))
    log = {"schema": "stylistic.log/1", "status": "done", "loss": {"step": [1]}, "output": {"file": f"{name}.png"}}
    (folder / f"{name}.json").write_text(json.dumps(log))
    (folder / "manifest.yaml").write_text("content: photo.png\nstyle: painting.png\n")
    return folder


class TestResultsAmongPhotos:
    @pytest.mark.parametrize("within", ["", "day 1/"])
    def test_in_a_style_folder_none_is_painted_and_it_is_told(self, folder: Path, within: str) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        photo(folder / "wave" / "a.png")
        result(folder / "wave" / within / "harbour-20260101-120000-1a2b")
        inbox = make(folder, settle_seconds=0)
        scan(inbox)
        assert list(jobs(folder)) == ["wave/a.png"]
        assert any("harbour-20260101-120000-1a2b is not looked at: a result" in hint for hint in inbox.drops.hints)
        assert count(folder, inbox.drops.claimed, folder.parent / ".retry") == 1, "the job"

    def test_loose_in_a_style_folder_only_what_its_log_names_is_none(self, folder: Path) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        result(folder / "wave")
        photo(folder / "wave" / "harbour.jpg", seed=2)
        inbox = make(folder, settle_seconds=0)
        scan(inbox)
        assert list(jobs(folder)) == ["wave/harbour.jpg"]

    def test_beside_a_log_of_very_many_steps_whatever_may_be_its_picture_is_none(self, folder: Path) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        log = result(folder / "wave") / "harbour.json"
        log.write_text(log.read_text() + " " * own_results.MOST_BYTES)
        photo(folder / "wave" / "sea.png", seed=2)
        scan(make(folder, settle_seconds=0))
        assert list(jobs(folder)) == ["wave/sea.png"]

    def test_of_many_names_of_one_large_log_little_is_read(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log = result(folder / "a", "0") / "0.json"
        log.write_text(log.read_text() + " " * (own_results.MOST_BYTES // 2))
        for number in range(1, 20):
            (folder / "a" / f"{number}.json").hardlink_to(log)
        parsed: list[int] = []

        def counted(data: bytes) -> dict[str, Any]:
            parsed.append(len(data))
            return {}

        monkeypatch.setattr(json, "loads", counted)
        assert "19.png" in own_results.results_in(folder / "a")
        assert sum(parsed) <= own_results.MOST_BYTES

    def test_in_the_inbox_it_is_no_drop_and_nobody_is_told_to_make_one_of_it(self, folder: Path) -> None:
        result(folder / "harbour-20260101-120000-1a2b")
        inbox = make(folder, settle_seconds=0)
        scan(inbox)
        assert inbox.waiting == {}
        (hint,) = inbox.drops.hints
        assert "is not looked at: a result" in hint

    def test_submit_finds_no_photo_in_it(self, folder: Path) -> None:
        result(folder / "harbour-20260101-120000-1a2b")
        photo(folder / "a.png")
        assert list(submit.find_photos([str(folder)])[0]) == [folder / "a.png"]
        with pytest.raises(UsageError, match="no photo there"):
            submit.find_photos([str(folder / "harbour-20260101-120000-1a2b")])

    def test_who_puts_a_job_yaml_into_one_has_it_run(self, folder: Path) -> None:
        pair(result(folder / "trip"))
        drop(folder / "trip", "job.yaml")
        inbox = make(folder, settle_seconds=0)
        assert len(list(inbox.scan())) == 1

    def test_a_log_of_another_program_makes_no_result(self, folder: Path) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        photo(folder / "wave" / "sub" / "a.png")
        (folder / "wave" / "sub" / "a.json").write_text('{"schema": "other.log/1"}')
        scan(make(folder, settle_seconds=0))
        assert list(jobs(folder)) == ["wave/sub/a.png"]
