"""An inbox of a test's own, its drops, and a clock that the test moves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.inbox.claims import Claims
from pipeline.inbox.drops import Drops
from pipeline.inbox.ignored import Ignored
from pipeline.inbox.readiness import Judge, Verdict
from pipeline.inbox.scan import Scanner
from pipeline.manifest.model import Limits
from tests.conftest import picture


class Clock:
    """Time that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


class Inbox(Scanner):
    """A scanner that knows its claims too."""

    def __init__(self, folder: Path, libraries: list[Path], judge: Judge, ignored: Ignored) -> None:
        retries = folder.parent / ".retry"
        self.claims = Claims(folder, folder.parent / "jobs", retries)
        super().__init__(Drops(folder, self.claims.folder, retries, libraries, ignored), judge)


def make(folder: Path, libraries: list[Path] | None = None, ignore: Sequence[str] = (), **settings: Any) -> Inbox:
    defaults: dict[str, Any] = {
        "settle_seconds": 2.0,
        "input_timeout_seconds": 600.0,
        "limits": Limits(max_pixels=1_000_000),
        "trust_times": False,
    }
    ignored = Ignored.by(ignore, folder)
    return Inbox(folder, libraries or [], Judge(**{**defaults, **settings}, ignored=ignored), ignored)


def drop(folder: Path, name: str = "a.yaml", content: str = "photo.png", style: str = "painting.png") -> Path:
    (folder / name).write_text(f"content: {content}\nstyle: {style}\n")
    return folder / name


def pair(folder: Path) -> None:
    picture(seed=1).save(folder / "photo.png")
    picture(seed=2).save(folder / "painting.png")


def only(inbox: Inbox) -> Verdict:
    (verdict,) = inbox.scan()
    assert verdict is not None
    return verdict
