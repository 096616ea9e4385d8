from __future__ import annotations

import json
import os
from pathlib import Path

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

    def test_a_copied_tree_leaves_links_behind(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "b" / "c").write_text("c")
        (tmp_path / "a" / "link").symlink_to("/etc/passwd")
        storage.copy_tree(tmp_path / "a", tmp_path / "copy")
        assert [str(p.relative_to(tmp_path / "copy")) for p in sorted((tmp_path / "copy").rglob("*"))] == ["b", "b/c"]
