"""Photos that are dropped again: painted once, and told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Place
from tests.inbox.conftest import make
from tests.inbox.test_style_folder import at_once, jobs, photo, scan, take_away


def painted_once(folder: Path) -> Path:
    """A style folder whose one photo has become a job."""
    photo(folder / "wave" / "style.jpg", seed=1)
    photo(folder / "wave" / "a.png")
    scan(at_once(folder), 1)
    assert list(jobs(folder)) == ["wave/a.png"]
    take_away(folder)
    return folder / "wave" / "a.png"


@pytest.mark.parametrize("name", ["copy.png", "a.png", "day 2/a.png", "a (1).png", "A.JPG"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_photo_that_is_dropped_again_is_told_and_not_painted(folder: Path, name: str, restart: bool) -> None:
    first = painted_once(folder)
    inbox = at_once(folder)
    scan(inbox)
    assert inbox.repeats == set()
    data = first.read_bytes()
    (folder / "wave" / name).parent.mkdir(exist_ok=True)
    (folder / "wave" / name).write_bytes(data)
    os.utime(folder / "wave" / name, (1e9, 1e9))
    for scanner in (inbox, at_once(folder)) if restart else (inbox,):
        scan(scanner)
        (told,) = scanner.repeats
        assert told == f"wave/{name}: already painted as wave/a.png; `stylistic submit` paints it once more"
    assert jobs(folder) == {}
    (folder / "wave" / name).unlink()
    scan(inbox)
    assert inbox.repeats == set()


def test_the_very_file_is_no_repetition_under_another_inode(folder: Path) -> None:
    first = painted_once(folder)
    status = first.stat()
    data = first.read_bytes()
    first.unlink()
    (folder / "in its place").touch()
    first.write_bytes(data)
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    inbox = at_once(folder)
    scan(inbox)
    assert inbox.repeats == set()


def test_a_whole_card_that_is_copied_again_is_told_in_few_lines(folder: Path) -> None:
    photo(folder / "wave" / "style.jpg", seed=1)
    for number in range(40):
        photo(folder / "wave" / f"{number:02}.png", seed=number + 5)
    scan(at_once(folder), 4)
    take_away(folder)
    for path in (folder / "wave").glob("*.png"):
        (folder / "wave" / f"again {path.name}").write_bytes(path.read_bytes())
    inbox = at_once(folder)
    scan(inbox)
    assert len(inbox.repeats) == 21
    assert "wave: 20 more photos are already painted" in inbox.repeats


def test_where_the_style_says_again_another_style_paints_it_without_a_word(folder: Path) -> None:
    painted_once(folder)
    (folder / "wave" / "style.yaml").write_text("again: true\nparameters: {epochs: 3}\n")
    inbox = make(folder, settle_seconds=0)
    scan(inbox)
    assert list(jobs(folder)) == ["wave/a.png"]
    assert inbox.repeats == set()


@pytest.mark.stand_in
def test_run_status_and_page_tell_the_job_and_how_to_repeat_it(place: Place) -> None:
    place.photo("wave/style.jpg", seed=1)
    (place.inbox / "wave" / "style.yaml").write_text("parameters: {image_size: 64, epochs: 1, steps_per_epoch: 3}")
    first = place.photo("wave/day 1/a.png", seed=2)
    assert place.run("run").returncode == 0
    (log,) = place.logs()
    (place.inbox / "wave" / "b.png").write_bytes(first.read_bytes())
    again = place.run("run")
    sentence = f"wave/b.png: already painted as {log['job']['id']}; `stylistic again '{log['job']['id']}'` paints"
    assert sentence in again.stderr
    assert len(place.logs()) == 1
    status = place.run("status").stdout
    assert f"dropped again: 1\n  {sentence}" in status
    assert "not understood" not in status
    assert "wave/b.png: already painted as " in (place.outbox / "index.html").read_text()
    assert place.run("again", log["job"]["id"]).returncode == 0
    assert place.run("run").returncode == 0
    assert len(place.logs()) == 2
