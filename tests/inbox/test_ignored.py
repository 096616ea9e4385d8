"""What systems make and what people name in patterns: neither photo nor drop, wherever it lies."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.inbox import ignored, patterns, submit
from pipeline.inbox.backlog import count
from pipeline.inbox.ignored import FILES, FOLDERS, Ignored, is_of_system
from pipeline.inbox.readiness import Ready
from tests.conftest import ROOT
from tests.inbox.conftest import Inbox, drop, make, only, pair
from tests.inbox.test_style_folder import jobs, photo, scan

SYSTEMS_FOLDERS = [  # as they are called on somebody's disk
    *("@eaDir", "#recycle", "#snapshot", "@tmp", "@Recycle", "@Recently-Snapshot", ".@__thumb", "$RECYCLE.BIN"),
    *("System Volume Information", "RECYCLER", "FOUND.000", ".Trashes", ".Trash-1000", ".Spotlight-V100", ".fseventsd"),
    *(
        ".TemporaryItems",
        "Temporary Items",
        "Network Trash Folder",
        "__MACOSX",
        "lost+found",
        ".stversions",
        ".stfolder",
    ),
    *(
        ".dropbox.cache",
        ".dtrash",
        ".thumbnails",
        ".sync",
        "~snapshot",
        ".snapshot",
        ".recycle",
        "Photos.photoslibrary",
    ),
    *("Lightroom Previews.lrdata", "a.jpg.download", "@EADIR", "#Recycle", "$Recycle.Bin", "LOST+FOUND", "found.017"),
    *("RECYCLED", "$WINDOWS.~BT", "Network Recycle Bin 1", "_NAS_Recycle_Data", "@SynologyCloudSync", "[Originals]"),
    *("iPhoto Library.photolibrary", "Catalog.lrcat-data"),
]
SYSTEMS_FILES = [
    *("Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", "~$a.yaml", "a.jpg.part", "a.jpg.crdownload", "a.yaml.tmp"),
    *("SYNOFILE_THUMB_M.jpg", "SYNOPHOTO_THUMB_XL.jpg", "a.jpg~", "a.jpg.filepart", "~a.tmp", "THUMBS.DB"),
]


@pytest.mark.parametrize("name", SYSTEMS_FOLDERS)
class TestFoldersOfSystems:
    def test_a_style_folder_paints_nothing_of_it(self, folder: Path, name: str) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        photo(folder / "wave" / "day 1" / "a.png", seed=2)
        photo(folder / "wave" / "day 1" / name / "a.png" / "SYNOPHOTO_THUMB_M.png", seed=3)
        photo(folder / "wave" / name / "b.png", seed=4)
        inbox = make(folder, settle_seconds=0)
        scan(inbox)
        assert list(jobs(folder)) == ["wave/day 1/a.png"]
        assert inbox.drops.hints == set()

    def test_in_the_inbox_it_is_no_drop_no_style_and_no_hint(self, folder: Path, name: str) -> None:
        (folder / name).mkdir()
        pair(folder / name)
        drop(folder / name, "job.yaml")
        photo(folder / name / "style.jpg", seed=1)
        inbox = make(folder, settle_seconds=0)
        assert list(inbox.scan()) == []
        assert inbox.drops.style_folders == []
        assert inbox.drops.hints == set()
        assert count(folder, inbox.drops.claimed, folder.parent / ".retry") == 0

    def test_submit_and_patterns_find_nothing_there(self, folder: Path, name: str) -> None:
        photo(folder / "a.png")
        photo(folder / name / "b.png")
        assert list(submit.find_photos([str(folder)])[0]) == [folder / "a.png"]
        assert patterns.photos(folder, "**/*.png") == ["a.png"]
        assert patterns.photos(folder, "*/*.png") == []

    def test_a_folder_with_nothing_else_gets_no_hint(self, folder: Path, name: str) -> None:
        photo(folder / "trip" / name / "b.png")
        os.utime(folder / "trip", (0, 0))
        inbox = make(folder, settle_seconds=0)
        list(inbox.scan())
        assert inbox.drops.hints == set()


@pytest.mark.parametrize("name", SYSTEMS_FILES)
def test_files_of_systems_are_no_photos_drops_or_hints(folder: Path, name: str) -> None:
    photo(folder / "wave" / "style.jpg", seed=1)
    for place in (folder, folder / "wave"):
        (place / name).write_bytes((folder / "wave" / "style.jpg").read_bytes())
    inbox = make(folder, settle_seconds=0)
    scan(inbox)
    assert jobs(folder) == {}
    assert inbox.drops.hints == set()
    assert inbox.waiting == {}


@pytest.mark.parametrize("name", ["eaDir", "recycle", "snapshots", "part", "trash", "a.jpg", "IMG_1.JPG", "Originals"])
def test_names_of_people_are_not_ignored(name: str) -> None:
    assert not is_of_system(name)
    assert not is_of_system(name, is_folder=True)


@pytest.mark.parametrize(
    "name, is_painted",
    [
        ("a.sync-conflict-20260101-120000-ABCDEFG.png", False),
        ("a (Anna's conflicted copy 2026-01-01).png", False),
        ("b.sync-conflict-20260101-120000-ABCDEFG.png", True),  # its original is gone
        ("a (1).png", True),  # as phones number photos
        ("a-DESKTOP-1A2B3C4.png", True),
    ],
)
def test_a_conflict_copy_of_a_photo_beside_it_is_told(folder: Path, name: str, is_painted: bool) -> None:
    photo(folder / "wave" / "style.jpg", seed=1)
    photo(folder / "wave" / "a.png")
    photo(folder / "wave" / name, seed=9)
    inbox = make(folder, settle_seconds=0)
    scan(inbox)
    assert (f"wave/{name}" in jobs(folder)) is is_painted
    assert any(f"wave/{name} is not painted: a copy of a.png" in hint for hint in inbox.drops.hints) is not is_painted
    assert (folder / "wave" / name in submit.find_photos([str(folder / "wave")])[0]) is is_painted


def test_every_name_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in itertools.chain(*FOLDERS.values(), *FILES.values()):
        assert f"`{name.strip()}`" in text, name


class TestPatterns:
    def photos(self, folder: Path, *names: str) -> None:
        for seed, name in enumerate(names, 10):
            photo(folder / name, seed=seed)

    def painted(self, folder: Path, inbox: Inbox) -> list[str]:
        scan(inbox)
        return sorted(jobs(folder))

    @pytest.mark.parametrize(
        "pattern, left",
        [
            ("private/", ["wave/a.png", "wave/sub/a-edited.png", "wave/sub/b.png"]),
            ("*-edited.*", ["wave/a.png", "wave/private/c.png", "wave/sub/b.png"]),
            ("sub", ["wave/a.png", "wave/private/c.png"]),
            ("wave/sub/", ["wave/a.png", "wave/private/c.png"]),
            ("/sub/", ["wave/a.png", "wave/private/c.png", "wave/sub/a-edited.png", "wave/sub/b.png"]),
            ("**/sub/*.png\n!b.png", ["wave/a.png", "wave/private/c.png", "wave/sub/b.png"]),
            ("# nothing", ["wave/a.png", "wave/private/c.png", "wave/sub/a-edited.png", "wave/sub/b.png"]),
        ],
    )
    def test_ignore_is_as_in_a_gitignore(self, folder: Path, pattern: str, left: list[str]) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        self.photos(folder / "wave", "a.png", "sub/b.png", "sub/a-edited.png", "private/c.png")
        inbox = make(folder, settle_seconds=0, ignore=pattern.split("\n"))
        assert count(folder, inbox.drops.claimed, folder.parent / ".retry", inbox.drops.ignored) == len(left)
        assert self.painted(folder, inbox) == left

    def test_a_folders_own_file_counts_there_and_below_and_has_the_last_word(self, folder: Path) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        photo(folder / "glass" / "style.jpg", seed=1)
        self.photos(folder / "wave", "a.png", "sub/a.png", "sub/b.png")
        self.photos(folder / "glass", "x/c.png")
        (folder / ".stylisticignore").write_text("b.png\n")
        (folder / "wave" / ".stylisticignore").write_text("/a.png\n")
        (folder / "wave" / "sub" / ".stylisticignore").write_text("!b.png\n")
        inbox = make(folder, settle_seconds=0, ignore=["glass/x"])
        assert self.painted(folder, inbox) == ["wave/sub/a.png", "wave/sub/b.png"]

    def test_drops_and_folders_are_left_out_by_the_inboxs_own(self, folder: Path) -> None:
        pair(folder)
        drop(folder, "a.yaml")
        drop(folder, "b.yaml")
        (folder / ".stylisticignore").write_text("b.*\n")
        verdict = only(make(folder, settle_seconds=0))
        assert isinstance(verdict, Ready)
        assert verdict.drop.label == "a.yaml"

    def test_submit_and_sweeps_keep_to_it(self, folder: Path) -> None:
        self.photos(folder / "trip", "a.png", "old/b.png", "c.tif.png")
        (folder / "trip" / ".stylisticignore").write_text("old/\n")
        found, _ = submit.find_photos([str(folder / "trip")], ["*.tif.*"])
        assert list(found) == [folder / "trip" / "a.png"]
        assert list(submit.find_photos([str(folder / "trip" / "**" / "*.png")], ["c.*"])[0]) == [
            folder / "trip" / "a.png"
        ]
        pair(folder)
        (folder / "s.yaml").write_text('style: painting.png\nsweep: {content: "trip/**/*.png"}\n')
        verdict = only(make(folder, settle_seconds=0, ignore=["c.*"]))
        assert isinstance(verdict, Ready)
        assert verdict.manifest.images["content"] == "trip/a.png"
        assert len(verdict.manifest.images) == 2

    def test_of_patterns_that_take_long_there_may_be_twenty(self, folder: Path) -> None:
        slow = ["*a*a*b"] * 20
        assert Ignored.by([*["# *** mine ***"] * 30, *slow, *["*a*b"] * 900], folder)
        with pytest.raises(UsageError, match="more than 20 patterns of 3 stars; write some with less"):
            Ignored.by([*slow, "*[!x]*c*"], folder)

    @pytest.mark.parametrize("pattern", ["!", "[z-a]", "a\\", "*a*a*a*a*b", "x" * 2000])
    def test_what_is_no_pattern_is_said_and_the_others_count(self, folder: Path, pattern: str) -> None:
        with pytest.raises(UsageError, match="--ignore"):
            Ignored.by([pattern], folder)
        photo(folder / "wave" / "style.jpg", seed=1)
        self.photos(folder / "wave", "a.png", "b.png")
        (folder / "wave" / ".stylisticignore").write_text(f"b.png\n{pattern}\n")
        inbox = make(folder, settle_seconds=0)
        assert self.painted(folder, inbox) == ["wave/a.png"]
        (hint,) = inbox.drops.hints
        assert hint.startswith("wave/.stylisticignore, line 2, ")

    @pytest.mark.parametrize(
        "make_it",
        [
            lambda path: path.write_bytes(b"\xff\xfe\xff"),
            lambda path: path.write_bytes(b"a\n" * ignored.MAX_BYTES),
            lambda path: path.write_text("a\n" * 2000),
            os.mkfifo,
            Path.mkdir,
            lambda path: path.symlink_to("/etc/passwd"),
        ],
        ids=["no text", "huge", "long", "a pipe", "a folder", "a link"],
    )
    def test_a_file_of_patterns_that_is_none_is_said_and_harms_nothing(
        self, folder: Path, make_it: Callable[[Path], object]
    ) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        self.photos(folder / "wave", "b.png")
        make_it(folder / "wave" / ".stylisticignore")
        inbox = make(folder, settle_seconds=0)
        assert self.painted(folder, inbox) == ["wave/b.png"]
        (hint,) = inbox.drops.hints
        assert hint.startswith("wave/.stylisticignore")
