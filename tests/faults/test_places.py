"""Nobody else's files: whatever stands in a place of the runner's, only that place is touched, and nothing waits.

Places × what may stand there, planted by somebody who may write in inbox and outbox, or who shares in the jobs folder.
A private folder and a private file beside it stay as they are to the byte, good jobs are done, no command hangs.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import storage
from tests.conftest import picture, wait_for
from tests.faults.ground import (
    ID,
    OPTIONS,
    OWNER,
    QUICK,
    THINGS,
    Ground,
    ended,
    fill_queue,
    job_folder,
    made,
    plant,
    style_folder,
)
from tests.faults.spots import SPOTS, of_image

OF_THE_RUNNER = [
    *("inbox/.claimed", "inbox/.claimed/{runner}", "inbox/.painted", "jobs/queued", "jobs/running", "jobs/failed"),
    *(
        "jobs/done",
        "jobs/.staging",
        "jobs/.retry",
        "jobs/.trash",
        "jobs/.aside",
        "jobs/inputs",
        "jobs/.lock",
        "jobs/.runner.json",
    ),
    *("outbox/.stylistic-trash", "outbox/pictures", "inbox/.claimed/{runner}/.drafts"),
]

IN_AN_ATTEMPT = [
    "loss.jsonl",
    "checkpoint.npz",
    "preview.webp",
    "painter.json",
    "result",
    ".checkpoint.npz.tmp",
    "previews",
]
# By the test: all places, and a few of them, for the short form.
WHERE = {
    "test_what_stands_in_the_place_of_a_folder_of_the_runners_own_is_left_and_when_it_is_gone_all_goes_on": (
        OF_THE_RUNNER,
        ["inbox/.claimed", "jobs/.lock", "outbox/.stylistic-trash"],
    ),
    "test_what_is_planted_while_a_job_runs_harms_that_job_at_most": (
        [*IN_AN_ATTEMPT, "outbox draft", "page draft"],
        ["result", "outbox draft"],
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--long")
    if "thing" in metafunc.fixturenames:
        metafunc.parametrize("thing", list(THINGS) if is_long else ["link to a folder"])
    if "answer" in metafunc.fixturenames:
        answers = ["ESTALE", "EIO", "EACCES", "ELOOP", "ENAMETOOLONG", "ENOTDIR"]
        metafunc.parametrize("answer", answers if is_long else answers[:1])
    if "where" in metafunc.fixturenames:
        places, few = WHERE[metafunc.function.__name__]
        metafunc.parametrize("where", places if is_long else few)
    if "user" in metafunc.fixturenames:
        # Root, and a user beside whom another one plants; in short in turns.
        metafunc.parametrize("user", [None, OWNER] if is_long else [OWNER])


@pytest.fixture
def ground(tiny_weights: Path, user: int | None) -> Iterator[Ground]:
    """In a folder of its own, as that of a test's is root's alone."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("not root, who alone can be another user")
    root = Path(tempfile.mkdtemp(prefix="stylistic-places-"))
    root.chmod(0o755)
    weights = root / "tiny.h5"
    shutil.copy(tiny_weights, weights)
    ground = Ground(root, weights, user)
    if user is not None:
        ground.place.environment["MPLCONFIGDIR"] = str(root)
        tried = ground.start("--version")
        if tried.wait(60):
            pytest.skip(f"the command cannot be run by another user (setpriv): {tried.communicate()[0]}")
    yield ground
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(path.lstat().st_mode):
                path.chmod(0o755)
    storage.remove_tree(root)


def test_whatever_stands_in_an_entrys_place_the_others_go_on_and_nobody_elses_files_are_touched(
    ground: Ground, thing: str
) -> None:
    place = ground.place
    for spot in SPOTS:
        if spot.queued:
            place.manifest(f"{spot.name}.yaml", parameters=QUICK)
    place.manifest("good-queued.yaml", parameters=QUICK)
    fill_queue(ground)
    for spot in SPOTS:
        if spot.name == "holder" and thing == "folder":
            continue  # as if the lock could not be held: see below
        plant(ground, thing, spot.where(ground, spot.name))
    for name in ("a-good", "z-good"):
        place.manifest(f"{name}.yaml", parameters=QUICK)
    ground.give()
    code, said = ground.run("run", *OPTIONS)
    assert code in (1, 3), said
    for name in ("good-queued", "a-good", "z-good"):
        assert ground.status_of(name) == ["done"], (name, said)
    for command in (["status"], ["status", "--json"], ["clean", "--older-than", "0h", "--remove", "--results"]):
        assert ground.run(*command)[0] in (0, 1, 3)
    code, said = ground.run("run", *OPTIONS)
    assert code in (0, 1, 3), said
    assert ground.seen() == ground.before


def test_what_stands_in_the_place_of_a_folder_of_the_runners_own_is_left_and_when_it_is_gone_all_goes_on(
    ground: Ground, thing: str, where: str
) -> None:
    place, name = ground.place, where
    is_file = name.endswith((".lock", ".json"))
    if thing == "folder" and not is_file:
        pytest.skip("as it should be")
    if (thing == "huge file" and is_file) or (thing != "folder" and name.endswith(".json")):
        pytest.skip("which can be locked, or is replaced by one of ours")
    place.manifest("good.yaml", parameters=QUICK)
    style_folder(ground, "wave")
    theirs = made(place.root / name.format(runner=ground.runner))
    plant(ground, thing, theirs)
    place.outbox.mkdir(exist_ok=True)
    place.jobs.mkdir(exist_ok=True)
    ground.give()
    kind = stat.S_IFMT(theirs.lstat().st_mode)
    code, said = ground.run("run", *OPTIONS)
    assert stat.S_IFMT(theirs.lstat().st_mode) == kind
    assert ground.seen() == ground.before
    if code:
        assert code == 3, said
        assert theirs.name in said
    if thing == "folder":
        shutil.rmtree(theirs)
    else:
        theirs.unlink()
    assert ground.run("run", *OPTIONS)[0] == 0
    assert ground.status_of("good") == ["done"]
    assert len(ground.logs()) == 2
    assert ground.seen() == ground.before


def test_what_is_planted_while_a_job_runs_harms_that_job_at_most(ground: Ground, thing: str, where: str) -> None:
    place, name = ground.place, where
    place.manifest("a-long.yaml", parameters={**QUICK, "steps_per_epoch": 40})
    place.manifest("z-good.yaml", parameters=QUICK)
    place.outbox.mkdir()
    place.jobs.mkdir()
    ground.give()
    process = ground.start("run", "--checkpoint-seconds", "0")
    log = wait_for(lambda: next(iter((place.jobs / "running").glob("a-long-*/attempt-1/loss.jsonl")), None))
    wait_for(lambda: log.read_text().count("\n") > 3)
    job_id = log.parent.parent.name
    paths = {"outbox draft": place.outbox / f".{job_id}", "page draft": place.outbox / f".index.html.{ground.runner}"}
    spot = paths.get(name, log.parent / name)
    beside = spot.with_name("planted")
    plant(ground, thing, beside)
    if user := ground.user:
        os.lchown(beside, user, user)
    for _ in range(100):
        with contextlib.suppress(OSError):
            if spot.is_dir() and not spot.is_symlink() and not (thing == "folder" and beside.is_dir()):
                spot.rename(spot.with_name("moved"))
            beside.rename(spot)
            break
    code, said = ended(process)
    assert code in (0, 1, 3), said
    if not ground.status_of("z-good"):
        ground.run("run", *OPTIONS)
    assert ground.status_of("z-good") == ["done"], said
    assert ground.seen() == ground.before


def test_what_an_entry_answers_to_being_looked_at_is_its_own_fault(ground: Ground, answer: str) -> None:
    place = ground.place
    for name in ("odd-queued", "odd-running"):
        place.manifest(f"{name}.yaml", parameters=QUICK)
    fill_queue(ground)
    ground.job("odd-running", "running")
    for where in (place.jobs / "failed", place.jobs / "done", place.jobs / "inputs", place.outbox):
        (where / f"odd-{ID}").mkdir(parents=True)
    place.manifest("odd.yaml", parameters=QUICK)
    job_folder(ground, "odd-folder")
    shutil.copy(style_folder(ground, "odd-wave") / "style.png", style_folder(ground, "wave") / "odd.png")
    of_image(ground, "odd-image")
    for name in ("a-good", "z-good"):
        place.manifest(f"{name}.yaml", parameters=QUICK)
    ground.give()
    place.environment["FAULT_LOOK"] = answer
    code, said = ground.run("run", *OPTIONS)
    assert code in (0, 1, 3), said
    for name in ("a-good", "z-good"):
        assert ground.status_of(name) == ["done"], said
    assert "cancelled" not in said
    assert [log["status"] for log in ground.logs() if log["job"]["name"].startswith("wave")] == ["done"], said
    for command in (["status"], ["clean", "--older-than", "0h", "--remove"]):
        assert ground.run(*command)[0] in (0, 1, 3)


def test_a_watcher_that_is_told_to_end_ends_whatever_lies_there(ground: Ground) -> None:
    place = ground.place
    place.outbox.mkdir()
    for name in (f".index.html.{ground.runner}", "pipe.json"):
        os.mkfifo(place.outbox / name)
    os.mkfifo(place.inbox / "pipe.yaml")
    place.manifest("good.yaml", parameters=QUICK)
    place.jobs.mkdir()
    ground.give()
    process = ground.start("watch")
    wait_for(lambda: ground.status_of("good"))
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0


def test_what_is_rejected_is_kept_on_another_file_system_too_or_stays_out_of_sight(ground: Ground) -> None:
    place = ground.place
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == place.inbox.stat().st_dev:
        pytest.skip("no other file system here")
    jobs = Path(tempfile.mkdtemp(prefix="stylistic-places-", dir=elsewhere))
    try:
        for name, thing in THINGS.items():
            plant(ground, name, place.inbox / f"{name.replace(' ', '-')}.yaml")
            folder = job_folder(ground, f"in-{name.replace(' ', '-')}")
            (folder / "job.yaml").write_text("content: photo.png")
            thing(ground, folder / "odd")
        deep = job_folder(ground, "in-deep")
        (deep / "job.yaml").write_text("content: photo.png")
        for _ in range(300):
            deep /= "deep"
            deep.mkdir()
        place.manifest("good.yaml", parameters=QUICK)
        place.outbox.mkdir()
        place.jobs.mkdir()
        ground.give()
        if ground.user:
            os.chown(jobs, ground.user, ground.user)
        code, said = ground.run("run", "--jobs", str(jobs), *OPTIONS)
        assert code == 1, said
        assert ground.status_of("good") == ["done"]
        kept = {
            path.parent.name.rpartition("-")[0].rpartition("-")[0][:-9]: path for path in jobs.glob("failed/*/drop")
        }
        assert (kept["in-pipe"] / "job.yaml").read_text() == "content: photo.png"
        assert not os.path.lexists(kept["in-pipe"] / "odd"), "a copy has files alone"
        aside = {path.name.rpartition("-")[0][:-16] for path in (place.inbox / ".rejected").iterdir()}
        assert {"in-deep", "in-huge-file", "link-to-itself", "pipe"} <= aside
        assert ground.seen() == ground.before
    finally:
        storage.remove_tree(jobs)


def test_somebody_who_exchanges_whatever_he_can_while_jobs_run_reaches_nothing_private(ground: Ground) -> None:
    """As fast as a thread can, in the inbox, among claims and drafts, and in the outbox."""
    place, is_over, numbers = ground.place, threading.Event(), itertools.count()
    for name in ("photo.png", "painting.png"):  # what would be read, if a link were followed
        picture(seed=99).save(ground.private / name)
    ground.before = ground.seen()
    place.outbox.mkdir()
    place.jobs.mkdir()
    style_folder(ground, "wave")
    for number in range(6):
        job_folder(ground, f"folder-{number}")
        place.manifest(f"flat-{number}.yaml", parameters=QUICK)
        picture(seed=number).save(place.inbox / "wave" / f"{number}.png")
    ground.give()
    away = place.root / "away"  # on the same share
    away.mkdir()

    def exchange() -> None:
        while not is_over.is_set():
            found = [entry.path for root in (place.inbox, place.outbox) for entry in storage.walk(root)]
            for path in found[:: random.randrange(3, 12)]:
                if path.name in ("photo.png", "painting.png") or path.parent == place.root:
                    continue
                with contextlib.suppress(OSError):
                    os.rename(path, away / str(next(numbers)))
                    path.symlink_to(random.choice([ground.private, ground.file, ground.private / path.name]))

    other = threading.Thread(target=exchange)
    other.start()
    try:
        for _ in range(3):
            code, said = ground.run("run", *OPTIONS, "--checkpoint-seconds", "0")
            assert code in (0, 1, 3), said
    finally:
        is_over.set()
        other.join()
    assert ground.seen() == ground.before
    secret = hashlib.sha256((ground.private / "photo.png").read_bytes()).hexdigest()
    records = [*place.jobs.rglob("*.json"), *place.outbox.rglob("*.json"), *away.rglob("*.json")]
    assert not [path for path in records if path.is_file() and secret in path.read_text()], "it was taken for a photo"
    assert next(numbers) > 100, "there was no race"
