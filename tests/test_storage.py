from __future__ import annotations

import json
import os
import shutil
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
