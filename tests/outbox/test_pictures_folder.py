"""The folder of the pictures alone: where each goes, what it replaces, and what it leaves."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import storage
from pipeline.inbox.submit import find_photos
from pipeline.jobs import attempt, result
from pipeline.jobs.record import Job, JobImage
from pipeline.jobs.spool import Spool
from pipeline.manifest.names import on_any_system
from pipeline.manifest.parse import parse_manifest
from pipeline.outbox import cleaning, pictures
from pipeline.outbox.results import Results
from pipeline.pictures import saving
from pipeline.pictures.images import Picture
from pipeline.pictures.metadata import Metadata
from pipeline.runner.publisher import Publisher
from tests.runner.conftest import DONE, spool

__all__ = ["spool"]

numbers = itertools.count()


def encoded(inputs: dict[str, str], output_format: str = "png") -> bytes:
    """A picture of ours, no two alike."""
    rgb = np.full((4, 4, 3), next(numbers) % 200 / 200, np.float32)
    return saving.encode(
        Picture(rgb, None), output_format, metadata=Metadata("Stylistic", {"inputs": json.dumps(inputs)})
    )


def started(spool: Spool, name: str, photo: str, style: str, place: str | None, more: str = "") -> Job:
    """A job whose pictures are painted; a photo and a style are told apart by one letter."""
    manifest = parse_manifest(f"content: {place or 'photo.png'}\nstyle: painting.png\n{more}".encode(), f"{name}.yaml")
    digests = {"content": photo * 64, "style-1": style * 64}
    images = {
        part: JobImage(file=file, stored=f"{part}.png", sha256=digests[part], width=8, height=8)
        for part, file in manifest.images.items()
    }
    job_id = f"{name}-20260101-000000-{next(numbers):04x}"
    job = Job(id=job_id, name=name, claimed_at="2026-01-01T00:00:00Z", manifest=manifest, images=images, place=place)
    spool.admit(spool.draft(job_id), job, spool.queued)
    return spool.start(job_id)


class Outbox:
    """An outbox, and the way of painted jobs into it."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.spool, self.folder, self.pictures = spool, folder, folder / "pictures"
        self.said: list[str] = []

    def paint(
        self, name: str = "a", photo: str = "a", style: str = "b", place: str | None = None, more: str = ""
    ) -> Job:
        """A job that is through but for publishing."""
        job = started(self.spool, name, photo, style, place, more)
        own = attempt.place(self.spool.running / job.id, job.attempts)
        own.mkdir(exist_ok=True)
        assert job.manifest
        output_format = job.manifest.parameters.output_format
        file = name + saving.SUFFIXES[output_format]
        data = encoded({part: image.sha256 for part, image in job.images.items()}, output_format)
        result.leave(own, DONE.model_copy(update={"output": result.Output.of(file, 4, 4, data)}), {file: data})
        return job

    def publish(self, *asked: str, **more: str) -> Path:
        """Publish a painted job; gives its result's picture."""
        job = self.paint(*asked, **more)
        self.turn(job)
        assert job.manifest
        return self.folder / job.id / (job.name + saving.SUFFIXES[job.manifest.parameters.output_format])

    def turn(self, job: Job, with_pictures: bool = True) -> None:
        publisher = Publisher(self.spool, self.folder, self.said.append, with_pictures=with_pictures)
        publisher.add(job, None)
        publisher.turn()
        assert not publisher.waiting

    def shown(self) -> set[str]:
        """The files that are there."""
        files = (path for path in self.pictures.rglob("*") if not path.is_dir() or path.is_symlink())
        return {str(path.relative_to(self.pictures)) for path in files}


@pytest.fixture
def outbox(spool: Spool, tmp_path: Path) -> Outbox:
    return Outbox(spool, tmp_path / "outbox")


@pytest.fixture(params=["links", "copies"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with hard links, and one without."""
    if request.param == "copies":

        def refused(*args: Any, **options: Any) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refused)
    return str(request.param)


def test_a_picture_lies_where_its_photo_came_from(outbox: Outbox, either: str) -> None:
    mirrored = outbox.publish("2019-Straße", place="sea/2019/Straße.jpg")
    plain = outbox.publish("harbour")
    assert outbox.shown() == {"sea/2019/Straße.png", "harbour.png"}
    assert (outbox.pictures / "sea/2019/Straße.png").read_bytes() == mirrored.read_bytes()
    assert (outbox.pictures / "harbour.png").samefile(plain) is (either == "links")
    assert list(outbox.folder.rglob(".*")) == []


@pytest.mark.parametrize("output_format", list(saving.SUFFIXES))
def test_a_newer_picture_of_the_same_photo_and_style_replaces_the_older(
    outbox: Outbox, either: str, output_format: str
) -> None:
    more = f"parameters: {{output_format: {output_format}}}"
    older = outbox.publish(more=more)
    newer = outbox.publish(more=more)
    (shown,) = outbox.shown()
    assert (outbox.pictures / shown).read_bytes() == newer.read_bytes() != older.read_bytes()


def test_of_another_photo_or_style_it_gets_its_own_name_and_keeps_that(outbox: Outbox, either: str) -> None:
    place = "sea/Straße.jpg"
    outbox.publish(place=place)
    outbox.publish(place=place, style="c")
    outbox.publish(place=place, photo="d")
    assert outbox.shown() == {"sea/Straße.png", "sea/Straße (2).png", "sea/Straße (3).png"}
    (outbox.pictures / "sea/Straße.png").unlink()
    newer = outbox.publish(place=place, style="c")
    assert outbox.shown() == {"sea/Straße (2).png", "sea/Straße (3).png"}
    assert (outbox.pictures / "sea/Straße (2).png").read_bytes() == newer.read_bytes()


def test_names_that_differ_in_case_or_composition_alone_are_kept_apart(outbox: Outbox) -> None:
    outbox.publish(place="sea/Zürich.jpg")
    outbox.publish(place="SEA/ZU\u0308RICH.jpg", photo="c")
    outbox.publish(place="Sea/zürich.jpg", photo="d")
    assert outbox.shown() == {"sea/Zürich.png", "sea/ZÜRICH (2).png", "sea/zürich (3).png"}


def strangers_file(path: Path) -> None:
    path.write_bytes(b"somebody's")


def strangers_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def strangers_folder(path: Path) -> None:
    path.mkdir()
    (path / "theirs").touch()


def strangers_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("put", [strangers_file, strangers_link, strangers_folder, strangers_giant, os.mkfifo])
def test_what_is_not_ours_is_never_replaced(outbox: Outbox, put: Any) -> None:
    outbox.pictures.mkdir()
    put(outbox.pictures / "a.png")
    before = (outbox.pictures / "a.png").lstat()
    outbox.publish("a")
    after = (outbox.pictures / "a.png").lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert (outbox.pictures / "a (2).png").is_file()


@pytest.mark.parametrize("put", [strangers_file, strangers_link, os.mkfifo])
def test_in_the_place_of_a_folder_too(outbox: Outbox, put: Any) -> None:
    outbox.pictures.mkdir()
    put(outbox.pictures / "sea")
    outbox.publish(place="sea/a.jpg")
    assert (outbox.pictures / "sea (2)" / "a.png").is_file()


@pytest.mark.parametrize("put", [strangers_file, strangers_link, os.mkfifo])
def test_what_is_in_the_way_of_all_is_told_once_and_fails_no_job(
    outbox: Outbox, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put(outbox.pictures)
    publisher = Publisher(outbox.spool, outbox.folder, outbox.said.append)
    with caplog.at_level(logging.WARNING):
        for name in "abc":
            job = outbox.paint(name)
            publisher.add(job, None)
            publisher.turn()
    assert (publisher.tally.done, publisher.waiting) == (3, {})
    assert len(caplog.records) == 1, caplog.text
    assert "no picture in pictures" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_fails_no_job(outbox: Outbox) -> None:
    outbox.pictures.mkdir(mode=0o500)
    assert outbox.publish().is_file()
    assert outbox.shown() == set()


def test_a_file_system_gone_read_only_fails_no_job(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(source: Path, target: Path) -> bool:
        raise OSError(30, "Read-only file system", str(target))

    monkeypatch.setattr(storage, "link", read_only)
    assert outbox.publish().is_file()
    assert "Read-only file system" in caplog.text
    assert outbox.shown() == set()


def test_what_somebody_removes_stays_removed(outbox: Outbox) -> None:
    job = outbox.paint("a")
    in_the_way = outbox.spool.done / f"{job.id}.json"
    in_the_way.mkdir()  # so that the job cannot be filed, and is taken up again
    publisher = Publisher(outbox.spool, outbox.folder, outbox.said.append)
    publisher.add(job, None)
    publisher.turn()
    (outbox.pictures / "a.png").unlink()
    publisher.turn()
    in_the_way.rmdir()
    outbox.turn(job)  # in another life
    assert not publisher.tally.done
    assert outbox.said
    assert outbox.shown() == set()


def test_one_that_a_crash_has_kept_from_its_place_comes_there(outbox: Outbox) -> None:
    job = outbox.paint("a")
    outbox.pictures.mkdir()
    (outbox.pictures / f".{job.id}").write_bytes(b"half")  # as far as a copy had come
    outbox.turn(job)
    assert outbox.shown() == {"a.png"}


def test_failed_jobs_and_whoever_wants_none_have_none(outbox: Outbox) -> None:
    job = started(outbox.spool, "a", "a", "b", None)
    publisher = Publisher(outbox.spool, outbox.folder, outbox.said.append)
    publisher.add(job, result.Failed(reason="too small"))
    publisher.turn()
    job = outbox.paint("b")
    outbox.turn(job, with_pictures=False)
    assert not outbox.pictures.exists()


def test_a_sweep_has_a_folder_of_its_own(outbox: Outbox) -> None:
    job = started(outbox.spool, "tides", "a", "b", None, "sweep: {seed: [1, 2, 3]}")
    own = attempt.place(outbox.spool.running / job.id, job.attempts)
    for number in attempt.spread(own.parent, job)[:2]:  # the third has failed
        name = f"tides-{number:03}"
        data = encoded({})
        result.leave(own / "variants" / f"{number:03}", DONE.model_copy(), {f"{name}.png": data})
    rows = [{"variant": f"tides-{number:03}", "file": f"tides-{number:03}.png"} for number in (1, 2, 3)]
    result.leave(own, DONE.model_copy(update={"variants": rows}), {"tides.sheet.png": b""})
    outbox.turn(job)
    assert outbox.shown() == {"tides/tides-001.png", "tides/tides-002.png"}
    pictures.take_back(outbox.folder, job.id)
    assert not outbox.pictures.exists()


def clean(outbox: Outbox, picture: Path) -> None:
    leftover = cleaning.Leftover("results", picture.parent, 0, 0)
    cleaning.remove(leftover, outbox.spool)
    assert not picture.exists()


def test_clean_removes_what_is_still_the_same_picture(outbox: Outbox, either: str) -> None:
    older = outbox.publish(place="sea/2019/a.jpg")
    newer = outbox.publish(place="sea/2019/a.jpg")
    other = outbox.publish("b", style="c", place="sea/2019/a.jpg")
    theirs = outbox.pictures / "sea/2019/b.png"
    strangers_file(theirs)
    clean(outbox, older)
    assert outbox.shown() == {"sea/2019/a.png", "sea/2019/a (2).png", "sea/2019/b.png"}
    clean(outbox, newer)
    assert outbox.shown() == {"sea/2019/a (2).png", "sea/2019/b.png"}
    theirs.unlink()
    clean(outbox, other)
    assert not outbox.pictures.exists()


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        *(("con", "_con"), ("NUL.old", "_NUL.old"), ("com1", "_com1"), ("LPT¹", "_LPT¹"), ("aux ", "_aux")),
        *(("what?", "what-"), ('a<b>c:d"e|f*g\\h', "a-b-c-d-e-f-g-h"), ("a\nb\x7f", "a-b-"), ("ends. .", "ends")),
        *(("..", "_"), ("", "_"), (".hidden", "hidden"), ("/", "-"), ("IMG (2) & #1", "IMG (2) & #1")),
        *(("Zu\u0308rich", "Zürich"), ("海" * 100, "海" * 80), ("a" * 250, "a" * 240), ("नमस्ते", "नमस्ते")),
    ],
)
def test_names_are_those_that_windows_and_samba_take(photo: str, name: str) -> None:
    assert on_any_system(photo) == name


@pytest.mark.parametrize("place", ["../../a.jpg", "/etc/a.jpg", "sea/../../../a.jpg", "sea/CON/a.jpg", ".a/.b.jpg"])
def test_no_path_leads_out(outbox: Outbox, tmp_path: Path, place: str) -> None:
    def others() -> Iterator[Path]:
        return (path for path in tmp_path.rglob("a.png") if outbox.pictures not in path.parents)

    outbox.publish("job", place=place)
    assert len(outbox.shown()) == 1
    assert list(others()) == []


def test_they_are_no_results_and_no_photos(outbox: Outbox, tmp_path: Path) -> None:
    outbox.publish(place="sea/a.jpg")
    assert [row["name"] for row in Results(outbox.folder).rows()] == ["a"]
    (tmp_path / "own.jpg").touch()
    found, _ = find_photos([str(tmp_path)])
    assert set(found) == {tmp_path / "own.jpg"}


@pytest.mark.parametrize("place", ["sea/a.jpg", None])
def test_there_is_a_number_for_every_picture_of_one_name_and_each_can_be_taken_back(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    monkeypatch.setattr(pictures, "MOST_ALIKE", 2)
    where = {"place": place} if place else {}
    results = [outbox.publish("a", photo=photo, **where) for photo in "abcdef"]
    folder = outbox.pictures / "sea" if place else outbox.pictures
    names = ["a", *(f"a ({number})" for number in range(2, 7))]
    assert {path.stem for path in folder.iterdir()} == set(names)
    assert [line for line in outbox.said if "no picture" in line] == []
    (folder / "a (4).png").unlink()
    (folder / "a (999999999999).png").touch()  # somebody else's
    outbox.publish("a", photo="0", **where)
    assert (folder / "a (4).png").exists()
    for picture in results:
        pictures.take_back(outbox.folder, picture.parent.name)
    assert {path.stem for path in folder.iterdir()} == {"a (4)", "a (999999999999)"}
