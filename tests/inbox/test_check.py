"""What would be wrong with a manifest, told as the inbox would find it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.inbox.check import check
from pipeline.inbox.readiness import Ready, Rejected
from pipeline.manifest.model import Limits
from tests.inbox.conftest import drop, make, only, pair


@pytest.mark.parametrize("where", ["a.yaml", "job.yaml", "trip/job.yaml"])
@pytest.mark.parametrize("content", ["photo.png", "../photo.png", "../../photo.png", "..photo.png"])
def test_check_and_the_inbox_say_the_same(folder: Path, where: str, content: str) -> None:
    (folder / "trip").mkdir()
    for place in (folder.parent.parent, folder.parent, folder, folder / "trip"):
        pair(place)
        (place / "..photo.png").write_bytes((place / "photo.png").read_bytes())
    manifest = drop(folder / Path(where).parent, Path(where).name, content)
    problems = check(manifest, folder, [], Limits()).problems
    verdict = only(make(folder, settle_seconds=0))
    assert isinstance(verdict, Ready if not problems else Rejected)
    if isinstance(verdict, Rejected):
        assert problems == [f"{manifest}: {verdict.reason}"]
