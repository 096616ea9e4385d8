"""The rule: a fault that belongs to one entry sets that entry aside with a sentence, and the others go on.

Every kind of entry that the runner meets, in every way that it can be wrong, lies in one place with good jobs: the
table of docs/reliability.md. It is walked under `run` and under `watch`, as root and without the rights of root, and
once more after a restart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.jobs import result
from pipeline.jobs.record import is_job_id
from pipeline.jobs.result import Done, Engine, Output, Timing, WeightsUsed
from tests.conftest import COMMAND, STAND_IN, Place, picture, wait_for
from tests.faults.conftest import INJECTED

QUICK = {"steps_per_epoch": 2, "pyramid": "off", "content_layers": ["block1_conv2"], "style_layers": ["block1_conv1"]}
OPTIONS = ("--input-timeout", "0.5", "--max-files", "200", "--max-depth", "8")
NOBODY = 65534
pytestmark = pytest.mark.timeout(1200)  # the first test of a place waits for all of it
RIGHTS = "-dac_override,-dac_read_search,-fowner"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A spoiled entry: how it is planted, and what becomes of it.

    ``fate``: ``failed`` (with ``says`` in its reason), ``done``, ``waits`` (with ``says`` in what the runner prints),
    ``aside`` (in ``jobs/.aside``) or ``left`` where it is.
    """

    name: str
    plant: Callable[[Yard, str], None]
    fate: str
    says: str = ""
    needs_rights_gone: bool = False


class Yard:
    """A place full of spoiled entries."""

    def __init__(self, place: Place, rights_are_gone: bool) -> None:
        self.place = place
        self.said = ""
        self._rights_are_gone = rights_are_gone

    def has(self, entry: Entry) -> bool:
        """Whether an entry can be planted: root reads and changes all."""
        return self._rights_are_gone or not entry.needs_rights_gone

    def drop(self, name: str, **fields: Any) -> Path:
        fields["parameters"] = {**QUICK, **fields.get("parameters", {})}
        return self.place.manifest(f"{name}.yaml", **fields)

    def folder(self, name: str) -> Path:
        """A job folder, whole."""
        folder = self.place.inbox / name
        folder.mkdir()
        for seed, image in enumerate(("photo.png", "painting.png")):
            picture(seed=seed).save(folder / image)
        self.place.manifest("job.yaml", folder=folder, parameters=QUICK)
        return folder

    def job(self, name: str, state: str = "queued") -> Path:
        """A job of a queue that was filled beforehand."""
        (job,) = (self.place.jobs / "queued").glob(f"{name}-*")
        target = self.place.jobs / state / job.name
        return job if target == job else job.rename(target)


def write(name: str, data: bytes) -> Callable[[Yard, str], None]:
    def plant(yard: Yard, _: str) -> None:
        (yard.place.inbox / name).write_bytes(data)

    return plant


def spoil(path: str, data: bytes | None, state: str = "queued") -> Callable[[Yard, str], None]:
    """A file in a job's folder replaced, or removed."""

    def plant(yard: Yard, name: str) -> None:
        target = yard.job(name, state) / path
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        if data is not None:
            target.write_bytes(data)

    return plant


def truncate(path: str) -> Callable[[Yard, str], None]:
    def plant(yard: Yard, name: str) -> None:
        target = yard.job(name) / path
        target.write_bytes(target.read_bytes()[:60])

    return plant


def deep(levels: int, within: str) -> Callable[[Yard, str], None]:
    """A job folder with folders in folders, beyond what a path can say."""

    def plant(yard: Yard, name: str) -> None:
        top = yard.folder(name)
        inner = within
        folder = top / inner
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir("d" * 20, dir_fd=descriptor)
            below = os.open("d" * 20, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(descriptor)

    return plant


def crowded(yard: Yard, name: str) -> None:
    folder = yard.folder(name)
    for number in range(300):
        (folder / f"{number}.txt").touch()


def sparse(yard: Yard, name: str) -> None:
    with (yard.place.inbox / f"{name}.yaml").open("wb") as file:
        file.truncate(10 << 30)


def sparse_image(yard: Yard, name: str) -> None:
    """A few pixels, and more bytes after them than fit on the disk."""
    image = yard.place.photo(f"{name}.bmp")
    os.truncate(image, 1 << 40)
    yard.drop(name, content=image.name)


def link(target: str) -> Callable[[Yard, str], None]:
    return lambda yard, name: (yard.place.inbox / f"{name}.yaml").symlink_to(target)


def someone_elses(path: Path) -> None:
    """As a colleague's folder: to be read, not to be changed."""
    if os.geteuid() == 0:
        for inner in (path, *path.rglob("*")):
            os.chown(inner, NOBODY, NOBODY)
    path.chmod(0o755 if os.geteuid() == 0 else 0o555)


def foreign_folder(yard: Yard, name: str) -> None:
    someone_elses(yard.folder(name))


def with_foreign_subfolder(yard: Yard, name: str) -> None:
    folder = yard.folder(name)
    (folder / "theirs").mkdir()
    (folder / "theirs" / "file").write_text("theirs")
    someone_elses(folder / "theirs")


def unreadable_manifest(yard: Yard, name: str) -> None:
    yard.drop(name).chmod(0)


def without_image(yard: Yard, name: str) -> None:
    yard.drop(name, content="nowhere.png")


def unreadable_image(yard: Yard, name: str) -> None:
    shutil.copy(yard.place.inbox / "photo.png", yard.place.inbox / "locked.png")
    (yard.place.inbox / "locked.png").chmod(0)
    yard.drop(name, content="locked.png")


def unreadable_record(yard: Yard, name: str) -> None:
    (yard.job(name) / "job.json").chmod(0)


def foreign_job(state: str) -> Callable[[Yard, str], None]:
    return lambda yard, name: someone_elses(yard.job(name, state))


def stray(where: str, is_folder: bool = False) -> Callable[[Yard, str], None]:
    def plant(yard: Yard, name: str) -> None:
        target = yard.place.jobs / where / name
        if is_folder:
            target.mkdir()
            (target / "photo.jpg").write_text("theirs")
        else:
            target.write_text("theirs")

    return plant


def half_result(yard: Yard, name: str) -> None:
    result = yard.job(name, "running") / "attempt-0" / "result"
    result.mkdir(parents=True)
    (result / "result.json").write_text('{"status": "done", "engine": {"tensor')


def result_with(picture: bytes | None) -> Callable[[Yard, str], None]:
    """A whole report of a picture that is not there, or another one."""

    def plant(yard: Yard, name: str) -> None:
        done = Done(
            engine=Engine(
                tensorflow="2", device="CPU", precision="float32", weights=WeightsUsed(source="a", sha256="0" * 64)
            ),
            timing=Timing(setup_seconds=1, optimize_seconds=1, seconds_per_step=1),
            peak_memory_bytes=1,
            output=Output.of(f"{name}.png", 64, 48, b"as it was painted"),
        )
        files = {} if picture is None else {f"{name}.png": picture}
        own = yard.job(name, "running") / "attempt-0"
        own.mkdir()
        result.leave(own, done, files)

    return plant


def theirs_in_outbox(data: bytes) -> Callable[[Yard, str], None]:
    def plant(yard: Yard, name: str) -> None:
        folder = yard.place.outbox / name
        folder.mkdir(parents=True)
        (folder / f"{name}.json").write_bytes(data)

    return plant


def huge_record(yard: Yard, name: str) -> None:
    os.truncate(yard.job(name) / "job.json", 1 << 40)


def odd_log(make: Callable[[Path], None]) -> Callable[[Yard, str], None]:
    def plant(yard: Yard, name: str) -> None:
        (yard.place.outbox / name).mkdir(parents=True)
        make(yard.place.outbox / name / f"{name}.json")

    return plant


def endless(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def claim(data: bytes) -> Callable[[Yard, str], None]:
    """A claim of a version before, or of a runner that is gone."""

    def plant(yard: Yard, name: str) -> None:
        claimed = yard.place.inbox / ".claimed"
        claimed.mkdir(exist_ok=True)
        (claimed / f"{name}-20260101-000000-abcd.yaml").write_bytes(data)

    return plant


def claimed_folder_without_manifest(yard: Yard, name: str) -> None:
    folder = yard.place.inbox / ".claimed" / f"{name}-20260101-000000-abcd"
    folder.mkdir(parents=True)
    picture().save(folder / "photo.png")


def style_folder(text: str, photo: bytes | None = None) -> Callable[[Yard, str], None]:
    """A style folder of the entry's name with one photo of that name."""

    def plant(yard: Yard, name: str) -> None:
        folder = yard.place.inbox / f"{name}-folder"
        folder.mkdir()
        picture(seed=7).save(folder / "style.png")
        picture(seed=sum(map(ord, name))).save(folder / f"{name}.png")
        if photo is not None:
            (folder / f"{name}.png").write_bytes(photo)
        (folder / "style.yaml").write_text(f"style: style.png\n{text}")

    return plant


def locked_photo(yard: Yard, name: str) -> None:
    style_folder(EASY)(yard, name)
    (yard.place.inbox / f"{name}-folder" / f"{name}.png").chmod(0)


def huge_photo(yard: Yard, name: str) -> None:
    style_folder(EASY)(yard, name)
    os.truncate(yard.place.inbox / f"{name}-folder" / f"{name}.png", 1 << 40)


def photo_that_is_a_link(yard: Yard, name: str) -> None:
    style_folder(EASY)(yard, name)
    (yard.place.inbox / f"{name}-folder" / f"{name}.png").unlink()
    (yard.place.inbox / f"{name}-folder" / f"{name}.png").symlink_to("/etc/passwd")


def deep_photos(yard: Yard, name: str) -> None:
    style_folder(EASY)(yard, name)
    descriptor = os.open(yard.place.inbox / f"{name}-folder", os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d" * 20, dir_fd=descriptor)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


def file_for_marks(yard: Yard, name: str) -> None:
    style_folder(EASY)(yard, name)
    (yard.place.inbox / ".painted").mkdir(exist_ok=True)
    (yard.place.inbox / ".painted" / f"{name}-folder").write_text("theirs")


def locked_marks(yard: Yard, name: str) -> None:
    style_folder(EASY)(yard, name)
    (yard.place.inbox / ".painted" / f"{name}-folder").mkdir(parents=True)
    (yard.place.inbox / ".painted" / f"{name}-folder").chmod(0)


def marks_in_the_way(yard: Yard, name: str) -> None:
    """A style folder whose marks are not what they should be."""
    style_folder(EASY)(yard, name)
    marks = yard.place.inbox / ".painted" / f"{name}-folder"
    marks.mkdir(parents=True)
    (marks / "0").write_bytes(b"\0" * 100)
    (marks / "folder").mkdir()


EASY = f"parameters: {json.dumps({**QUICK, 'image_size': 64, 'epochs': 1})}\n"
GOOD = b"content: photo.png\nstyle: painting.png\nparameters: {image_size: 64, steps_per_epoch: 1, epochs: 1}\n"
JOBS = ["q-gone", "q-cut", "q-zeros", "q-field", "q-type", "q-image", "q-log", "q-point", "r-half", "r-gone"]
JOBS += ["r-lost", "r-torn", "r-zeros"]
JOBS += ["q-locked", "q-theirs", "r-theirs", "q-huge"]
ENTRIES = [
    # A manifest in the inbox.
    Entry("m-empty", write("m-empty.yaml", b""), "waits", "m-empty.yaml is not understood: it is empty"),
    Entry("m-cut", write("m-cut.yaml", GOOD[:18]), "failed", "`style`: missing"),
    Entry("m-type", write("m-type.json", b"[1, 2]"), "waits", "m-type.json is not understood: it has none"),
    Entry("m-zeros", write("m-zeros.yaml", b"\0" * 5000), "waits", "m-zeros.yaml is not understood"),
    Entry("m-huge", sparse, "waits", "m-huge.yaml is not understood"),
    Entry("m-loop", link("."), "failed", "a link, not a file"),
    Entry("m-dangling", link("nowhere.yaml"), "failed", "a link, not a file"),
    Entry("m-outside", link("/etc/passwd"), "failed", "a link, not a file"),
    Entry("m-folder", lambda yard, name: (yard.place.inbox / f"{name}.yaml").mkdir(), "left"),
    Entry("m-pipe", lambda yard, name: os.mkfifo(yard.place.inbox / f"{name}.yaml"), "failed", "not an image file"),
    Entry("m-locked", unreadable_manifest, "waits", "cannot be read: Permission denied", True),
    # An image.
    Entry("i-absent", without_image, "failed", "is missing"),
    Entry("i-huge", sparse_image, "failed", "1,099,511,627,776 bytes; the limit is 3,200,000,000"),
    Entry("i-locked", unreadable_image, "waits", "cannot be read: Permission denied", True),
    # A job folder.
    Entry("f-deep", deep(1100, "a"), "failed", "nested more than 8 folders deep (--max-depth)"),
    Entry("f-full", crowded, "failed", "more than 200 files (--max-files)"),
    Entry("f-theirs", foreign_folder, "waits", "cannot be taken: ", True),
    Entry("f-part-theirs", with_foreign_subfolder, "done", "", True),
    # A style folder.
    Entry("s-good", style_folder(EASY), "done"),
    Entry("s-style", style_folder("parameters: {epoch: 1}\n"), "waits", "`parameters.epoch`: unknown"),
    Entry("s-absent", style_folder("init_image: nowhere.png\nparameters: {init: file}\n"), "waits", "is missing"),
    Entry("s-photo", style_folder(EASY, b"this is no picture"), "failed", "not an image of a known format"),
    Entry("s-half", style_folder(EASY, b"\x89PNG\r\n\x1a\n" + b"\0" * 500), "failed", "does not decode"),
    Entry("s-huge", huge_photo, "waits", "1,099,511,627,776 bytes; the limit is 3,200,000,000"),
    Entry("s-link", photo_that_is_a_link, "waits", "leads outside the inbox"),
    Entry("s-locked", locked_photo, "waits", "cannot be read: Permission denied", True),
    Entry("s-deep", deep_photos, "done"),
    Entry("s-marks", marks_in_the_way, "done"),
    Entry("s-file", file_for_marks, "waits", "cannot be painted: Not a directory"),
    Entry("s-barred", locked_marks, "waits", "cannot be painted: Permission denied", True),
    # A claim.
    Entry("c-good", claim(GOOD), "done"),
    Entry("c-empty", claim(b""), "failed", "empty"),
    Entry("c-bare", claimed_folder_without_manifest, "failed", "job.yaml is gone"),
    # A queued job.
    Entry("q-gone", spoil("job.json", None), "failed", "its record job.json is gone"),
    Entry("q-cut", truncate("job.json"), "failed", "its record is not one of this version"),
    Entry("q-zeros", spoil("job.json", b"\0" * 300), "failed", "its record is not one of this version"),
    Entry("q-type", spoil("job.json", b"[]"), "failed", "its record is not one of this version"),
    Entry("q-field", spoil("job.json", b'{"id": "x", "colour": "red"}'), "failed", "`colour`"),
    Entry("q-huge", huge_record, "failed", "its record is not one of this version"),
    Entry("q-image", spoil("content.png", None), "failed", "its copy is gone"),
    Entry("q-log", spoil("attempt-0/loss.jsonl", b"\0" * 200 + b"\n"), "done"),
    Entry("q-point", spoil("attempt-0/checkpoint.npz", b"PK\3\4" + b"\0" * 200), "done"),
    Entry("q-locked", unreadable_record, "failed", "its record job.json cannot be read", True),
    Entry("q-theirs", foreign_job("queued"), "waits", "cannot be run", True),
    Entry("q-file", stray("queued"), "aside"),
    Entry("q-folder", stray("queued", is_folder=True), "aside"),
    # A running job, after a crash.
    Entry("r-half", half_result, "done"),
    Entry("r-lost", result_with(None), "done"),
    Entry("r-torn", result_with(b"as it was"), "done"),
    Entry("r-zeros", result_with(bytes(17)), "done"),
    Entry("r-gone", spoil("job.json", None, "running"), "failed", "its record job.json is gone"),
    Entry("r-theirs", foreign_job("running"), "waits", "cannot be run", True),
    Entry("r-file", stray("running"), "aside"),
    Entry("r-folder", stray("running", is_folder=True), "aside"),
    # What others keep in the outbox.
    Entry("o-schema", theirs_in_outbox(b'{"schema": "stylistic.log/1"}'), "left"),
    Entry("o-zeros", theirs_in_outbox(b"\0" * 100), "left"),
    Entry("o-huge", odd_log(endless), "left"),
    Entry("o-pipe", odd_log(os.mkfifo), "left"),
    Entry("o-folder", odd_log(Path.mkdir), "left"),
    Entry("o-link", lambda yard, name: (yard.place.outbox / name).symlink_to("/nowhere"), "left"),
]


def fill_queue(place: Place) -> None:
    """The jobs that are to be spoiled, staged by a runner that has no weights to run them with."""
    for name in JOBS:
        place.manifest(f"{name}.yaml", parameters=QUICK)
    while any(place.inbox.glob("*.yaml")):  # the worker may find it out while they are taken in
        assert place.run("run", "--weights", "nowhere.h5").returncode == 3
    assert len(list((place.jobs / "queued").iterdir())) == len(JOBS)


@pytest.fixture(scope="module")
def yard(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path
) -> Iterator[Yard]:
    """All of it in one place, worked through and once more after a restart."""
    command, rights = request.param.split("-")
    prefix: list[str] = []
    if rights == "root" and os.geteuid() != 0:
        pytest.skip("not root")
    if rights == "plain" and os.geteuid() == 0:
        prefix = ["setpriv", "--bounding-set", RIGHTS]
        tried = subprocess.run([*prefix, "cat", _secret(tmp_path_factory)], capture_output=True, check=False)
        if tried.returncode == 0 or b"Permission denied" not in tried.stderr:
            pytest.skip("root's rights cannot be given up here (setpriv)")
    place = Place(tmp_path_factory.mktemp("yard"), tiny_weights)
    engine = "real" if request.param == "watch-root" else "stand-in"
    place.environment |= {"PYTHONPATH": str(INJECTED), "ENGINE": engine}
    place.pair()
    fill_queue(place)
    place.outbox.mkdir(exist_ok=True)
    yard = Yard(place, rights == "plain")
    for entry in filter(yard.has, ENTRIES):
        entry.plant(yard, entry.name)
    for name in ("a-good", "q-zz-good"):  # sorted before and among the others
        place.manifest(f"{name}.yaml", parameters=QUICK)
    for name in ("first", "second"):
        place.manifest(f"z-good-{name}.yaml", parameters=QUICK)
        work_through(yard, command, prefix)
    yield yard
    for path in [path for stars in ("*/*", "*/*/*") for path in place.root.glob(stars)]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    storage.remove_tree(place.root)  # too deep for whoever tidies up after tests


def _secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    secret = tmp_path_factory.mktemp("secret") / "file"
    secret.write_text("secret")
    secret.chmod(0)
    return secret


def work_through(yard: Yard, command: str, prefix: list[str]) -> None:
    place = yard.place
    process = subprocess.Popen(
        [*prefix, COMMAND, command, *OPTIONS],
        cwd=place.root,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if command == "watch":
        wanted = {entry.name for entry in ENTRIES if entry.fate in ("failed", "done") and yard.has(entry)}
        wanted |= {path.stem for path in place.inbox.glob("*good*.yaml")}
        try:
            wait_for(lambda: wanted <= ended(place), 200)
        except AssertionError:
            process.kill()
            raise AssertionError(f"never ended: {wanted - ended(place)}\n{process.communicate()[0]}") from None
        process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=240)
    yard.said += output
    assert "Traceback" not in output, output


def logs(place: Place) -> list[dict[str, Any]]:
    """Those of our results, among what others keep in the outbox."""
    return [json.loads(p.read_text()) for p in place.outbox.glob("[!.]*/*.json") if is_job_id(p.parent.name)]


def ended(place: Place) -> set[str]:
    return {log["job"]["name"] for log in logs(place)}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry.name))
def test_a_spoiled_entry_is_its_own_fault(yard: Yard, entry: Entry) -> None:
    if not yard.has(entry):
        pytest.skip("root may read and change all")
    place = yard.place
    found = [log for log in logs(place) if log["job"]["name"] == entry.name]
    match entry.fate:
        case "failed" | "done":
            (log,) = found
            assert log["status"] == entry.fate, log["error"]
            assert entry.says in (log["error"] or "")
            if log["output"]:
                assert hashlib.sha256(place.result(log).read_bytes()).hexdigest() == log["output"]["sha256"]
        case "waits":
            assert found == []
            assert entry.says in "".join(line for line in yard.said.splitlines() if entry.name in line)
        case "aside":
            assert found == []
            kept = place.jobs / ".aside" / entry.name
            assert (kept / "photo.jpg" if kept.is_dir() else kept).read_text() == "theirs"
        case "left":
            assert found == []
            left = [root / f"{entry.name}{end}" for root in (place.inbox, place.outbox) for end in ("", ".yaml")]
            assert any(map(os.path.lexists, left))


def test_the_good_jobs_are_done_and_status_answers(yard: Yard) -> None:
    good = {log["job"]["name"]: log["status"] for log in logs(yard.place) if "good" in log["job"]["name"]}
    names = ("a-good", "q-zz-good", "z-good-first", "z-good-second", "c-good", "s-good")
    assert good == dict.fromkeys(names, "done")
    answered = yard.place.run("status")
    assert answered.returncode == 3, "some drops wait, and no runner is alive"
    assert "set aside, as they are no jobs: 4" in answered.stdout


@pytest.mark.parametrize("name", ["inbox/.claimed", "jobs/.staging", "jobs/.retry", "jobs/done", "jobs/.lock"])
def test_what_stands_in_the_place_of_the_runners_own_is_told_by_name_and_left(place: Place, name: str) -> None:
    place.environment |= STAND_IN
    place.pair()
    place.manifest(parameters=QUICK)
    theirs = place.root / name
    theirs.parent.mkdir(exist_ok=True)
    is_folder = name.endswith(".lock")
    if is_folder:
        theirs.mkdir()
    else:
        theirs.write_text("theirs")
    first = place.run("run")
    assert first.returncode == 3
    assert str(theirs) in first.stderr
    assert place.run("status").returncode == 3
    assert not list(theirs.iterdir()) if is_folder else theirs.read_text() == "theirs"
    theirs.rename(place.root / "moved")
    assert place.run("run").returncode == 0
    assert [log["status"] for log in logs(place)] == ["done"]
