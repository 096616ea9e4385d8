"""Nobody else's files: whatever stands in a place of the runner's, only that place is touched, and nothing waits.

Places × what may stand there, planted by somebody who may write in inbox and outbox, or who shares in the jobs folder.
A private folder and a private file beside it stay as they are to the byte, good jobs are done, no command hangs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.jobs import result
from pipeline.jobs.lock import runner_name
from tests.conftest import COMMAND, STAND_IN, Place, picture, wait_for

QUICK = {"steps_per_epoch": 2, "pyramid": "off", "content_layers": ["block1_conv2"], "style_layers": ["block1_conv1"]}
OPTIONS = ("--input-timeout", "0.5")
OWNER, OTHER = 4301, 4302  # of the runner, and who plants
ID = "20260101-000000-abcd"
SECONDS = 60  # after which a command hangs


class Ground:
    """A place with what is private beside it, and a runner of its own user."""

    def __init__(self, root: Path, weights: Path, user: int | None) -> None:
        self.place = Place(root / "place", weights)
        self.place.environment |= STAND_IN
        self.user = user
        self.private, self.file = root / "private", root / "private.txt"
        (self.private / "in").mkdir(parents=True)
        (self.private / "in" / "kept.yaml").write_text("kept")
        (self.private / f"x-{ID}.yaml").write_text("kept")
        self.file.write_text("kept")
        self.place.pair()
        self.before = self.seen()

    @property
    def runner(self) -> str:
        return runner_name(self.place.jobs)

    def seen(self) -> dict[str, Any]:
        """All that is private."""
        paths = [self.private, self.file, *sorted(self.private.rglob("*"))]
        statuses = [path.stat() for path in paths]
        return {
            str(path): (
                path.read_bytes() if path.is_file() else sorted(os.listdir(path)),
                status.st_mode,
                status.st_nlink,
            )
            for path, status in zip(paths, statuses, strict=True)
        }

    def give(self) -> None:
        """All to the runner's user, but that anybody may write into the inbox and the outbox, and has written there."""
        if self.user is None:
            return
        for path in (self.place.root.parent, *self.place.root.parent.rglob("*")):
            os.lchown(path, self.user, self.user)
        cache = Path(self.place.environment["XDG_CACHE_HOME"])
        cache.mkdir(exist_ok=True)
        os.chown(cache, self.user, self.user)
        for shared in (self.place.inbox, self.place.outbox):
            shared.chmod(0o777)
            for path in shared.rglob("*"):
                if path.name not in ("photo.png", "painting.png"):
                    os.lchown(path, OTHER, OTHER)
                    if stat.S_ISDIR(path.lstat().st_mode):
                        path.chmod(0o777)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        user: list[str] = []
        if self.user:  # who may read all, as the interpreter may be root's, and write what is his
            user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
            user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        return subprocess.Popen(
            [*user, COMMAND, *arguments],
            cwd=self.place.root,
            env=self.place.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """How a command ends, and what it says; none hangs, none ends with a traceback."""
        return ended(self.start(*arguments))

    def job(self, name: str, state: str = "queued") -> Path:
        """A job of the queue that was filled beforehand, in a state."""
        (found,) = (self.place.jobs / "queued").glob(f"{name}-*")
        target = self.place.jobs / state / found.name
        target.parent.mkdir(exist_ok=True)
        return found if target == found else found.rename(target)

    def status_of(self, name: str) -> list[str]:
        return [log["status"] for log in self.logs() if log["job"]["name"] == name]

    def logs(self) -> list[dict[str, Any]]:
        """Those of results that are folders and files themselves."""
        import json

        names = [entry for entry in storage.entries(self.place.outbox) if entry.is_folder and entry.name[0] != "."]
        files = [one.path for entry in names for one in storage.entries(entry.path) if one.is_file]
        found = [json.loads(path.read_text()) for path in files if path.suffix == ".json" and path.stat().st_size < 1e6]
        return [log for log in found if isinstance(log, dict) and "job" in log]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"hangs: {process.communicate()[0]}") from None
    assert "Traceback" not in said, said
    return process.returncode, said


def a_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # an address has no more than a hundred characters
    try:
        with socket.socket(socket.AF_UNIX) as ours:
            ours.bind("s")
    finally:
        os.chdir(before)
    path.with_name("s").rename(path)


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "theirs").write_text("theirs")


def endless(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


THINGS: dict[str, Callable[[Ground, Path], None]] = {
    "link to a folder": lambda ground, path: path.symlink_to(ground.private),
    "link to a file": lambda ground, path: path.symlink_to(ground.file),
    "link to nowhere": lambda ground, path: path.symlink_to(ground.private / "new"),
    "link to itself": lambda ground, path: path.symlink_to(path.name),
    "link to 300 characters": lambda ground, path: path.symlink_to("x" * 300),
    "pipe": lambda ground, path: os.mkfifo(path, 0o666),
    "socket": lambda ground, path: a_socket(path),
    "device": lambda ground, path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),  # /dev/zero
    "folder": lambda ground, path: a_folder(path),
    "huge file": lambda ground, path: endless(path),
}


def made(path: Path) -> Path:
    """A path whose folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def style_folder(ground: Ground, name: str) -> Path:
    folder = ground.place.inbox / name
    folder.mkdir()
    picture(seed=7).save(folder / "style.png")
    picture(seed=len(name)).save(folder / f"{name}-photo.png")
    (folder / "style.yaml").write_text(f"style: style.png\nparameters: {SHORT}\n")
    return folder


SHORT = "{image_size: 64, style_size: 64, epochs: 1, steps_per_epoch: 2, pyramid: 'off'}"


def job_folder(ground: Ground, name: str) -> Path:
    folder = ground.place.inbox / name
    folder.mkdir()
    for seed, image in enumerate(("photo.png", "painting.png")):
        picture(seed=seed).save(folder / image)
    ground.place.manifest("job.yaml", folder=folder, parameters=QUICK)
    return folder


def gone(path: Path) -> Path:
    """A path at which something else is to stand than does."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path


def of_image(ground: Ground, name: str) -> Path:
    ground.place.manifest(f"{name}.yaml", parameters=QUICK, content=f"{name}.png")
    return ground.place.inbox / f"{name}.png"


def of_pattern(ground: Ground, name: str) -> Path:
    """One of the photos that a sweep's pattern stands for."""
    ground.place.photo(f"{name}-photos/good.png")
    text = f"style: painting.png\nsweep: {{content: ['{name}-photos/*.png']}}\nparameters: {SHORT}\n"
    (ground.place.inbox / f"{name}.yaml").write_text(text)
    return ground.place.inbox / f"{name}-photos" / "odd.png"


def attempted(file: str, state: str = "queued") -> Callable[[Ground, str], Path]:
    """A file in the folder of a job's first attempt."""
    return lambda ground, name: made(ground.job(name, state) / "attempt-0" / file)


def through(file: str) -> Callable[[Ground, str], Path]:
    """A file of the result of a job that is through, and not published yet."""

    def where(ground: Ground, name: str) -> Path:
        own = ground.job(name, "running") / "attempt-0"
        own.mkdir(exist_ok=True)
        engine = result.Engine(
            tensorflow="2", device="CPU", precision="float32", weights=result.WeightsUsed(source="x", sha256="0" * 64)
        )
        output = result.Output.of(f"{name}.png", 8, 8, b"a picture")
        timing = result.Timing(setup_seconds=1, optimize_seconds=1, seconds_per_step=1)
        done = result.Done(engine=engine, timing=timing, peak_memory_bytes=1, output=output)
        result.leave(own, done, {output.file: b"a picture"})
        (own / "previews").mkdir()
        (own / "previews" / "picture.webp").write_bytes(b"small")
        return gone(own / file)

    return where


@dataclasses.dataclass(frozen=True)
class Spot:
    """A place that is one entry's: whatever stands there, all others go on."""

    name: str
    where: Callable[[Ground, str], Path]
    queued: bool = False  # whether a job of this name is queued beforehand


def in_inbox(path: str) -> Callable[[Ground, str], Path]:
    return lambda ground, name: made(ground.place.inbox / path.format(name=name, runner=ground.runner, id=ID))


def in_jobs(path: str) -> Callable[[Ground, str], Path]:
    return lambda ground, name: made(ground.place.jobs / path.format(name=name, id=ID))


def in_outbox(path: str) -> Callable[[Ground, str], Path]:
    return lambda ground, name: made(ground.place.outbox / path.format(name=name, runner=ground.runner, id=ID))


SPOTS = [
    # The inbox.
    Spot("drop", in_inbox("{name}.yaml")),
    Spot("foldername", in_inbox("{name}")),
    Spot("image", of_image),
    Spot("jobfolder", lambda ground, name: gone(job_folder(ground, name) / "photo.png")),
    Spot("jobmanifest", lambda ground, name: gone(job_folder(ground, name) / "job.yaml")),
    Spot("sketch", lambda ground, name: job_folder(ground, name) / ".hidden"),
    Spot("sweep", of_pattern),
    # Claims.
    Spot("claim", in_inbox(".claimed/{runner}/{name}-{id}.yaml")),
    Spot("claimfolder", in_inbox(".claimed/{runner}/{name}-{id}")),
    Spot("oldclaim", in_inbox(".claimed/{name}-{id}.yaml")),
    Spot("strange", in_inbox(".claimed/{runner}/" + "y" * 240 + ".yaml")),
    Spot("otherrunner", in_inbox(".claimed/runner-{name}")),
    # Style folders, their marks and drafts.
    Spot("stylephoto", lambda ground, name: style_folder(ground, name) / "odd.png"),
    Spot("stylestyle", lambda ground, name: gone(style_folder(ground, name) / "style.yaml")),
    Spot("stylepainting", lambda ground, name: gone(style_folder(ground, name) / "style.png")),
    Spot("stylemarks", lambda ground, name: made(ground.place.inbox / ".painted" / style_folder(ground, name).name)),
    Spot(
        "stylemark",
        lambda ground, name: made(ground.place.inbox / ".painted" / style_folder(ground, name).name / ("0" * 64)),
    ),
    Spot(
        "styledrafts",
        lambda ground, name: made(
            ground.place.inbox / ".claimed" / ground.runner / ".drafts" / style_folder(ground, name).name
        ),
    ),
    Spot(
        "styledraft",
        lambda ground, name: made(
            ground.place.inbox / ".claimed" / ground.runner / ".drafts" / style_folder(ground, name).name / ("0" * 64)
        ),
    ),
    # Staging, retries, what is kept.
    Spot("staged", in_jobs(".staging/{name}-{id}")),
    Spot("retried", in_jobs(".retry/{name}-{id}")),
    Spot("retrydrop", in_jobs(".retry/{name}-{id}/drop")),
    Spot("thrown", in_jobs(".trash/{name}")),
    Spot("input", in_jobs("inputs/{name}")),
    Spot("filed", in_jobs("done/{name}-{id}.json")),
    Spot("failure", in_jobs("failed/{name}-{id}")),
    Spot("failurerecord", in_jobs("failed/{name}-{id}/job.json")),
    Spot("failurecancel", in_jobs("failed/{name}-{id}/cancel")),
    # The queue.
    Spot("entry", in_jobs("queued/{name}-{id}")),
    Spot("nojob", in_jobs("queued/{name}")),
    Spot("record", lambda ground, name: gone(ground.job(name) / "job.json"), True),
    Spot("recorddraft", lambda ground, name: ground.job(name) / ".job.json.tmp", True),
    Spot("copy", lambda ground, name: gone(ground.job(name) / "content.png"), True),
    Spot("dropped", lambda ground, name: gone(ground.job(name) / "dropped.yaml"), True),
    Spot("stop", lambda ground, name: ground.job(name) / "stop", True),
    Spot("stoprunning", lambda ground, name: ground.job(name, "running") / "stop", True),
    Spot("cancel", lambda ground, name: ground.job(name, "running") / "cancel", True),
    Spot("attempt", lambda ground, name: ground.job(name) / "attempt-0", True),
    Spot("attemptnext", lambda ground, name: ground.job(name) / "attempt-1", True),
    Spot("losses", attempted("loss.jsonl"), True),
    Spot("checkpoint", attempted("checkpoint.npz"), True),
    Spot("snapshot", attempted("snapshot-000002.png"), True),
    Spot("variants", attempted("variants"), True),
    Spot("variant", attempted("variants/001"), True),
    # What runs, after a crash.
    Spot("runningentry", in_jobs("running/{name}-{id}")),
    Spot("result", attempted("result", "running"), True),
    Spot("report", attempted("result/result.json", "running"), True),
    Spot("picture", lambda ground, name: through(f"result/{name}.png")(ground, name), True),
    Spot("extra", through("result/extra"), True),
    Spot("preview", through("previews/picture.webp"), True),
    Spot("previews", through("previews"), True),
    Spot("losslog", through("loss.jsonl"), True),
    Spot("worker", attempted("worker.json", "running"), True),
    # The outbox.
    Spot("theirs", in_outbox("{name}")),
    Spot("theirresult", in_outbox("{name}-{id}")),
    Spot("theirlog", in_outbox("{name}-{id}/{name}.json")),
    Spot("theirpictures", in_outbox("{name}-{id}/previews")),
    Spot("draft", lambda ground, name: made(ground.place.outbox / f".{ground.job(name).name}"), True),
    Spot(
        "inthedraft",
        lambda ground, name: made(ground.place.outbox / f".{ground.job(name).name}" / "manifest.yaml"),
        True,
    ),
    Spot("resultname", lambda ground, name: made(ground.place.outbox / ground.job(name).name), True),
    Spot("shown", in_outbox("pictures/{name}.png"), True),
    Spot("shownas", lambda ground, name: made(ground.place.outbox / "pictures" / f".{ground.job(name).name}"), True),
    Spot("trash", in_outbox(".stylistic-trash")),
    Spot("page", lambda ground, name: gone(made(ground.place.outbox / "index.html"))),
    Spot("pagedraft", in_outbox(".index.html.{runner}")),
    # Records of the runner's own.
    Spot("reportfile", lambda ground, name: gone(ground.place.jobs / ".report.json")),
    Spot("reportdraft", in_jobs("..report.json.tmp")),
    Spot("holder", lambda ground, name: gone(ground.place.jobs / ".runner.json")),
    Spot("holderdraft", in_jobs("..runner.json.tmp")),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--long")
    if "thing" in metafunc.fixturenames:
        metafunc.parametrize("thing", list(THINGS) if is_long else ["link to a folder"])
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


def plant(ground: Ground, thing: str, path: Path) -> None:
    try:
        THINGS[thing](ground, path)
    except PermissionError:
        pytest.skip(f"{thing}: not to be made here")


def test_whatever_stands_in_an_entrys_place_the_others_go_on_and_nobody_elses_files_are_touched(
    ground: Ground, thing: str
) -> None:
    place = ground.place
    for spot in SPOTS:
        if spot.queued:
            place.manifest(f"{spot.name}.yaml", parameters=QUICK)
    place.manifest("good-queued.yaml", parameters=QUICK)
    while any(place.inbox.glob("*.yaml")):
        assert place.run("run", "--weights", "nowhere.h5").returncode == 3
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


PLACES = [
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


@pytest.mark.parametrize("name", PLACES)
def test_what_stands_in_the_place_of_a_folder_of_the_runners_own_is_left_and_when_it_is_gone_all_goes_on(
    ground: Ground, thing: str, name: str
) -> None:
    place = ground.place
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


IN_ATTEMPT = (
    "loss.jsonl",
    "checkpoint.npz",
    "preview.webp",
    "painter.json",
    "result",
    ".checkpoint.npz.tmp",
    "previews",
)


@pytest.mark.parametrize("name", [*IN_ATTEMPT, "outbox draft", "page draft"])
def test_what_is_planted_while_a_job_runs_harms_that_job_at_most(ground: Ground, thing: str, name: str) -> None:
    place = ground.place
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
            (folder / "job.yaml").write_text("spoiled")
            thing(ground, folder / "odd")
        deep = job_folder(ground, "in-deep")
        (deep / "job.yaml").write_text("spoiled")
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
        assert (kept["in-pipe"] / "job.yaml").read_text() == "spoiled"
        assert not os.path.lexists(kept["in-pipe"] / "odd"), "a copy has files alone"
        aside = {path.name.rpartition("-")[0][:-16] for path in (place.inbox / ".rejected").iterdir()}
        assert {"in-deep", "in-huge-file", "link-to-itself", "pipe", "huge-file"} <= aside
        assert ground.seen() == ground.before
    finally:
        storage.remove_tree(jobs)
