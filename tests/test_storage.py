from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage


class TestWriting:
    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.json"
        storage.write_json(path, {"state": "old"})

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            storage.write_json(path, {"state": "new"})
        assert json.loads(path.read_text()) == {"state": "old"}

    def test_numbers_stand_in_one_line_and_text_is_left_alone(self, tmp_path: Path) -> None:
        value = {"loss": [1.5, 2e-7, 3], "text": "a [1,  2] b\n[3,   4]", "names": ["x", "y"]}
        storage.write_json(tmp_path / "a.json", value)
        written = (tmp_path / "a.json").read_text()
        assert json.loads(written) == value
        assert '"loss": [ 1.5, 2e-07, 3 ]' in written

    def test_file_names_that_are_not_text_can_be_told(self, tmp_path: Path) -> None:
        storage.write_json(tmp_path / "a.json", {"file": "a\udcff"})
        assert json.loads((tmp_path / "a.json").read_text()) == {"file": "a\udcff"}

    def test_a_tree_deeper_than_any_path_is_removed(self, tmp_path: Path) -> None:
        top = tmp_path / "top"
        top.mkdir()
        (top / "file").write_text("file")
        descriptor = os.open(top, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d" * 10, dir_fd=descriptor)
            below = os.open("d" * 10, os.O_RDONLY, dir_fd=descriptor)
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
            os.close(descriptor)
            descriptor = below
        os.close(descriptor)
        storage.remove_tree(top)
        assert list(tmp_path.iterdir()) == []

    def test_links_are_removed_and_not_what_they_lead_to(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / "file").write_text("theirs")
        (tmp_path / "top" / "in").mkdir(parents=True)
        for place in (tmp_path / "top", tmp_path / "top" / "in"):
            (place / "link").symlink_to(tmp_path / "theirs")
        storage.remove_tree(tmp_path / "top")
        assert (tmp_path / "theirs" / "file").read_text() == "theirs"
        assert not (tmp_path / "top").exists()

    def test_what_cannot_be_removed_is_told_and_the_rest_is_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "top" / "theirs").mkdir(parents=True)
        (tmp_path / "top" / "theirs" / "a").touch()
        (tmp_path / "top" / "b").touch()
        real = os.unlink

        def refuse(name: str, **settings: int) -> None:
            if name == "a":
                raise PermissionError(13, "Permission denied", name)
            real(name, **settings)

        monkeypatch.setattr(os, "unlink", refuse)
        storage.clear_away(tmp_path / "top")
        assert "theirs/a cannot be removed (Permission denied)" in caplog.text
        assert [path.name for path in (tmp_path / "top").rglob("*")] == ["theirs", "a"]
        monkeypatch.undo()
        storage.discard(tmp_path / "top", tmp_path / ".trash")
        assert list(tmp_path.iterdir()) == []

    def test_another_may_tidy_the_same_trash_at_any_moment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As a runner and `clean` do, or two runners that share an outbox."""
        trash, real = tmp_path / ".trash", os.rename
        (tmp_path / "a" / "b" / "c").mkdir(parents=True)
        meanwhile: Iterator[Callable[[], None]] = iter([trash.rmdir, lambda: None, lambda: shutil.rmtree(trash)])

        def rename(source: str, target: str, **folders: int) -> None:
            next(meanwhile)()
            real(source, target, **folders)

        monkeypatch.setattr(os, "rename", rename)
        storage.discard(tmp_path / "a", trash)
        assert list(tmp_path.iterdir()) == []
        assert caplog.text == ""
        monkeypatch.undo()
        with pytest.raises(FileNotFoundError):
            storage.discard(tmp_path / "a", trash)

    def test_a_copied_tree_leaves_links_behind(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "b" / "c").write_text("c")
        (tmp_path / "a" / "link").symlink_to("/etc/passwd")
        storage.at_once(storage.copy_tree(tmp_path / "a", tmp_path / "copy"))
        assert [str(p.relative_to(tmp_path / "copy")) for p in sorted((tmp_path / "copy").rglob("*"))] == ["b", "b/c"]


@pytest.mark.parametrize("has_links", [True, False])
def test_what_can_be_made_only_once_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    path, real = tmp_path / "mark", os.link

    def link(source: str, target: str, **settings: Any) -> None:
        if not has_links:
            raise PermissionError(1, "Operation not permitted")
        assert (tmp_path / source).read_bytes() == b"whole"
        assert not path.exists(), "another runner would take a mark that is being written for one that was cut off"
        real(source, target, **settings)

    monkeypatch.setattr(os, "link", link)
    storage.make_once(path, b"whole", tmp_path / "first")
    assert path.read_bytes() == b"whole"
    monkeypatch.undo()
    with pytest.raises(FileExistsError):
        storage.make_once(path, b"another", tmp_path / "second")
    assert path.read_bytes() == b"whole"


def remove_in(folder: Path) -> None:
    storage.remove(folder / "in")


class TestWhatOthersPutThere:
    """A name of ours is a link, a pipe or a folder by the time that it is used."""

    @pytest.fixture
    def private(self, tmp_path: Path) -> Path:
        folder = tmp_path / "private"
        (folder / "in").mkdir(parents=True)
        for path in (folder / "a", folder / "in" / "b"):
            path.write_text("kept")
        return folder

    @pytest.fixture(autouse=True)
    def untouched(self, private: Path) -> Iterator[None]:
        yield
        found = {str(path.relative_to(private)): path.is_file() and path.read_text() for path in private.rglob("*")}
        assert found == {"a": "kept", "in": False, "in/b": "kept"}

    @pytest.fixture
    def link(self, tmp_path: Path, private: Path) -> Path:
        link = tmp_path / "link"
        link.symlink_to(private)
        return link

    @pytest.mark.parametrize(
        "act",
        [
            storage.remove_tree,
            storage.names,
            storage.entries,
            storage.sync_folder,
            storage.ensure_folder,
            lambda link: storage.write_atomic(link / "a", b"new"),
            lambda link: storage.create(link / "new"),
            lambda link: storage.make_folder(link / "new"),
            lambda link: storage.ensure_folder(link / "new"),
            lambda link: storage.read(link / "a", 100),
            lambda link: storage.open_file(link / "a"),
            lambda link: storage.touch(link / "a"),
            remove_in,
            lambda link: storage.remove_file(link / "a"),
            lambda link: storage.remove_tree(link / "in"),
            lambda link: storage.move(link / "a", link.with_name("taken")),
            lambda link: storage.move(link.with_name("own"), link / "new"),
            lambda link: storage.discard(link / "in", link.with_name("trash")),
            lambda link: storage.discard(link.with_name("own"), link),
            lambda link: storage.link_or_copy(link / "a", link.with_name("taken")),
            lambda link: storage.link_or_copy(link.with_name("own") / "c", link / "new"),
            lambda link: storage.make_once(link / "new", b"", link.with_name("first")),
            lambda link: storage.make_once(link.with_name("mark"), b"", link / "new"),
            lambda link: storage.at_once(storage.copy_tree(link, link.with_name("taken"))),
            lambda link: storage.at_once(storage.copy_tree(link.with_name("own"), link / "new")),
        ],
    )
    def test_no_link_is_followed_and_it_is_told_by_name(self, link: Path, act: Callable[[Path], object]) -> None:
        link.with_name("own").mkdir()
        (link.with_name("own") / "c").touch()
        try:
            act(link)
        except NotADirectoryError as error:
            assert (error.strerror, error.filename) == ("Not a directory, but a link", str(link))
        else:
            assert act is remove_in, "to be removed, nothing has to be there"
        assert link.is_symlink()
        assert (link.with_name("own") / "c").exists()

    def test_a_link_itself_is_removed_thrown_away_and_not_seen_as_a_folder(self, tmp_path: Path, link: Path) -> None:
        assert not storage.is_folder(link)
        assert storage.is_there(link)
        assert [(entry.is_folder, entry.is_link) for entry in storage.entries(tmp_path) if entry.path == link] == [
            (False, True)
        ]
        storage.discard(link, tmp_path / "trash")
        assert not link.is_symlink()
        link.symlink_to(tmp_path / "private" / "a")
        storage.remove(link)
        assert not link.is_symlink()

    @pytest.mark.parametrize("kind", ["link", "nowhere", "loop", "long", "pipe", "file", "folder"])
    def test_a_file_is_written_whatever_stands_at_its_temporary_name(
        self, tmp_path: Path, private: Path, kind: str
    ) -> None:
        beside = tmp_path / ".page.me"
        targets: dict[str, Path | str] = {
            "link": private / "a",
            "nowhere": private / "new",
            "loop": beside,
            "long": "x" * 300,
        }
        if kind in targets:
            beside.symlink_to(targets[kind])
        elif kind == "pipe":
            os.mkfifo(beside)
        elif kind == "file":
            os.link(private / "a", beside)
        else:
            (beside / "theirs").mkdir(parents=True)
        storage.write_atomic(tmp_path / "page", b"new", "me")
        assert (tmp_path / "page").read_bytes() == b"new"
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".page")] == (
            [".page.me"] if kind == "folder" else []
        )

    @pytest.mark.parametrize("kind", ["link", "pipe", "socket", "device", "folder", "huge"])
    def test_only_files_are_read_and_up_to_a_limit_and_nothing_waits(
        self, tmp_path: Path, private: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        odd = tmp_path / "odd"
        monkeypatch.chdir(tmp_path)  # an address has no more than a hundred characters
        if kind == "link":
            odd.symlink_to(private / "a")
        elif kind == "pipe":
            os.mkfifo(odd)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as ours:
                ours.bind("odd")
        elif kind == "device":
            odd = Path("/dev/zero")
        elif kind == "folder":
            odd.mkdir()
        else:
            odd.touch()
            os.truncate(odd, 1 << 40)
        with pytest.raises(storage.OddError) as raised:
            storage.read(odd, 1000)
        assert raised.value.strerror == ("more than 1,000 bytes" if kind == "huge" else f"a {kind}")

    @pytest.mark.parametrize("target", ["loop", "x" * 300, "a/b"])
    def test_what_cannot_be_looked_at_is_not_there(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "loop").symlink_to(target)
        (tmp_path / "a").touch()
        for path in (tmp_path / "loop" / "in", tmp_path / ("y" * 300), tmp_path / "a" / "b"):
            assert storage.look(path) is None
        assert storage.follow(tmp_path / "loop") is None

    @pytest.mark.parametrize("which", ["top", "inner"])
    def test_a_folder_that_is_exchanged_for_a_link_in_mid_removal_a_thousand_times_leads_nowhere(
        self, tmp_path: Path, private: Path, which: str
    ) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # so that the two meet within a removal
        top, link = tmp_path / "shared" / "top", tmp_path / "shared" / "link"
        victim = top if which == "top" else top / "in"
        is_over, numbers = threading.Event(), itertools.count()
        exchanges = 0

        def exchange() -> None:
            nonlocal exchanges
            while not is_over.is_set():
                with contextlib.suppress(OSError):
                    link.symlink_to(private)
                with contextlib.suppress(OSError):
                    os.rename(victim, top.with_name(f"away-{next(numbers)}"))
                    os.rename(link, victim)
                    exchanges += 1

        top.parent.mkdir()
        other = threading.Thread(target=exchange)
        other.start()
        try:
            while exchanges < 1000:
                with contextlib.suppress(OSError):  # another is in the way: what matters is what is left
                    storage.ensure_folder(top / "in", within=top.parent)
                    for name in ("1", "2", "in/3", "in/4"):
                        storage.mark(top / name)
                with contextlib.suppress(OSError):
                    storage.remove(top)
        finally:
            is_over.set()
            other.join()
            sys.setswitchinterval(before)
