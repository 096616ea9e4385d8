"""A place with what is private beside it, and what somebody else may plant there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.jobs.lock import runner_name
from tests.conftest import COMMAND, STAND_IN, Place, picture

QUICK = {"steps_per_epoch": 2, "pyramid": "off", "content_layers": ["block1_conv2"], "style_layers": ["block1_conv1"]}
OPTIONS = ("--input-timeout", "0.5")
OWNER, OTHER = 4301, 4302  # of the runner, and who plants
ID = "20260101-000000-abcd"
SECONDS = 180  # after which a command hangs


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


def fill_queue(ground: Ground) -> None:
    """Have all that lies in the inbox staged, by a runner that has no weights to paint with."""
    while any(ground.place.inbox.glob("*.yaml")):
        assert ground.place.run("run", "--weights", "nowhere.h5").returncode == 3


def plant(ground: Ground, thing: str, path: Path) -> None:
    try:
        THINGS[thing](ground, path)
    except PermissionError:
        pytest.skip(f"{thing}: not to be made here")
