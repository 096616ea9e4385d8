"""Paths of other machines: answered at once with what to do, or understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.inbox import submit
from pipeline.inbox.check import check
from pipeline.inbox.readiness import Ready, Rejected, Waiting
from pipeline.inbox.settings import read_settings
from pipeline.manifest.model import Limits
from tests.inbox.conftest import make, only, pair
from tests.inbox.test_style_folder import photo, scan

ELSEWHERE = {  # what somebody writes, and what is said at once
    r"C:\Users\anna\Pictures\photo.jpg": "a path of a Windows machine.",
    "C:/Users/anna/photo.jpg": "a path of a Windows machine.",
    r"d:\photo.jpg": "a path of a Windows machine.",
    r"\\nas\photos\photo.jpg": "a path of a share in the network.",
    "smb://nas/photos/photo.jpg": "an address of a share.",
    "afp://nas/photo.jpg": "an address of a share.",
    "nfs://nas/photo.jpg": "an address of a share.",
    "file:///home/anna/photo.jpg": "an address in place of a path. Write the path from the manifest alone",
    "file:photo.jpg": "an address in place of a path.",
    "https://example.org/photo.jpg": "an address, and nothing is fetched. Save the picture",
    "http://example.org/photo.jpg?size=3": "an address, and nothing is fetched.",
    "www.example.org/photo.jpg": "an address, and nothing is fetched.",
    "s3://bucket/photo.jpg": "an address, and nothing is fetched.",
    "content://media/external/1": "an address, and nothing is fetched.",
    "~/Pictures/photo.jpg": "`~` is not filled in.",
    "~anna/photo.jpg": "`~` is not filled in.",
    "$HOME/photo.jpg": "a path with a variable",
    "${HOME}/photo.jpg": "a path with a variable",
    r"%USERPROFILE%\photo.jpg": "a path with a variable",
    "/Volumes/Photos/photo.jpg": "a path of a Mac.",
    "/Users/anna/photo.jpg": "a path of a Mac.",
    "/mnt/photos/photo.jpg": "leads outside the inbox. Put the image into the inbox",
    "//nas/photos/photo.jpg": "a path of a share in the network.",
    "data:image/png;base64,iVBORw0KGgo=": "a picture within the text",
    "data:image/png;base64," + "A" * 5000: "a picture within the text",
    "“photo.jpg”": "a name within quotes of its own.",
    "„photo.jpg“": "a name within quotes of its own.",
    "sf\new.jpg": "a path with a control character",
}


@pytest.mark.parametrize("path, says", ELSEWHERE.items(), ids=[str(n) for n in range(len(ELSEWHERE))])
class TestPathsOfOtherMachines:
    def test_a_manifest_is_answered_at_once(self, folder: Path, path: str, says: str) -> None:
        pair(folder)
        (folder / "a.json").write_text(json.dumps({"content": path, "style": "painting.png"}))
        verdict = only(make(folder, settle_seconds=0))
        assert isinstance(verdict, Rejected)
        assert says in verdict.reason
        assert len(verdict.reason) < 300
        (problem,) = check(folder / "a.json", folder, [], Limits()).problems
        assert says in problem

    def test_a_style_is_told_at_once(self, folder: Path, path: str, says: str) -> None:
        photo(folder / "wave" / "a.png")
        (folder / "wave" / "style.json").write_text(json.dumps({"style": path}))
        inbox = make(folder, settle_seconds=0)
        scan(inbox)
        assert inbox.waiting == {}
        (hint,) = inbox.drops.hints
        assert says in hint

    def test_a_sweeps_photos_are_answered_at_once(self, folder: Path, path: str, says: str) -> None:
        pair(folder)
        (folder / "a.json").write_text(json.dumps({"style": "painting.png", "sweep": {"content": [path]}}))
        verdict = only(make(folder, settle_seconds=0))
        assert isinstance(verdict, Rejected)


@pytest.mark.parametrize(
    "written, there",
    [
        (r"sf\photo.png", "sf/photo.png"),
        (r".\sf\photo.png", "sf/photo.png"),
        (r"SF\Photo.PNG", "sf/photo.png"),
        ("sf\\photo\u202f1.png", "sf/photo 1.png"),
        (r"sf\photo.png", r"sf\photo.png"),
        ("C:\\photo.png", "C:\\photo.png"),
        ("~/photo.png", "~/photo.png"),
        ("photo\u00a01.png", "photo 1.png"),
        ("photo 1.png", "photo\u202f1.png"),
        ("photo\u30001.png", "photo\u20091.png"),
    ],
)
def test_a_path_that_is_meant_is_found(folder: Path, written: str, there: str) -> None:
    pair(folder)
    (folder / there).parent.mkdir(exist_ok=True)
    (folder / "photo.png").rename(folder / there)
    (folder / "a.json").write_text(json.dumps({"content": written, "style": "painting.png"}))
    assert isinstance(only(make(folder, settle_seconds=0)), Ready)


def test_a_pattern_may_have_backslashes(folder: Path) -> None:
    pair(folder)
    photo(folder / "trip" / "a.png")
    (folder / "a.yaml").write_text("style: painting.png\nsweep: {content: 'trip\\*.png'}\n")
    verdict = only(make(folder, settle_seconds=0))
    assert isinstance(verdict, Ready)
    assert verdict.manifest.images["content"] == "trip/a.png"


def test_a_backslash_leads_nowhere_that_a_slash_does_not(folder: Path) -> None:
    pair(folder)
    (folder / "photo.png").rename(folder.parent / "secret.png")
    (folder / "a.yaml").write_text("content: ..\\secret.png\nstyle: painting.png\n")
    verdict = only(make(folder, settle_seconds=0))
    assert isinstance(verdict, Rejected)
    assert "leads outside the inbox" in verdict.reason


@pytest.mark.parametrize("path", ["photo.jpg", "trip/photo.jpg", "a: b.jpg", "1:1.jpg", "#1.jpg", "it's.jpg", "$5.jpg"])
def test_what_may_still_come_is_waited_for(folder: Path, path: str) -> None:
    pair(folder)
    (folder / "a.json").write_text(json.dumps({"content": path, "style": "painting.png"}))
    assert isinstance(only(make(folder, settle_seconds=0)), Waiting)


@pytest.mark.parametrize(
    "file, text",
    [
        ("a.yaml", 'content: "sf\\photo.jpg"\nstyle: a.jpg\n'),
        ("a.yaml", 'content: "C:\\Users\\photo.jpg"\nstyle: a.jpg\n'),
        ("a.yaml", 'content: "sf\\xylophone.jpg"\nstyle: a.jpg\n'),
        ("a.json", '{"content": "sf\\photo.jpg", "style": "a.jpg"}'),
        ("a.json", '{"content": "C:\\Users\\photo.jpg", "style": "a.jpg"}'),
    ],
)
def test_backslashes_in_double_quotes_are_answered_with_what_to_write(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(text)
    verdict = only(make(folder, settle_seconds=0))
    assert isinstance(verdict, Rejected)
    assert f"{file}, line 1: in double quotes a backslash begins another character; write slashes" in verdict.reason


@pytest.mark.parametrize("path", ["https://example.org/a.jpg", "~/a.jpg", "C:\\a.jpg", "smb://nas/a.jpg"])
def test_submit_says_so_too(folder: Path, path: str) -> None:
    pair(folder)
    with pytest.raises(UsageError, match="Name a file on this machine"):
        submit.plan(submit.find_photos([path])[0], [folder / "painting.png"], None, read_settings([]), Limits())
