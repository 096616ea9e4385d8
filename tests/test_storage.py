from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.errors import JobError, RunnerBusyError


class TestOpenInside:
    @pytest.fixture
    def inbox(self, tmp_path: Path) -> Path:
        (tmp_path / "inbox" / "sub").mkdir(parents=True)
        (tmp_path / "inbox" / "sub" / "a.png").write_bytes(b"inside")
        (tmp_path / "library").mkdir()
        (tmp_path / "library" / "b.png").write_bytes(b"library")
        (tmp_path / "secret.png").write_bytes(b"secret")
        return tmp_path / "inbox"

    def read(self, inbox: Path, name: str, *libraries: Path) -> bytes:
        with storage.open_inside(inbox / name, [inbox, *libraries], name) as file:
            return file.read()

    def test_files_inside_are_read(self, inbox: Path) -> None:
        assert self.read(inbox, "sub/a.png") == b"inside"
        assert self.read(inbox, "sub/../sub/a.png") == b"inside"

    @pytest.mark.parametrize(
        "name", ["../secret.png", "/etc/passwd", "/proc/self/environ", "sub/../../secret.png", "."]
    )
    def test_paths_that_lead_out_are_refused(self, inbox: Path, name: str) -> None:
        with pytest.raises(JobError, match="leads outside the inbox"):
            self.read(inbox, name)

    def test_links_are_followed_within_the_roots_only(self, inbox: Path) -> None:
        (inbox / "in.png").symlink_to("sub/a.png")
        (inbox / "out.png").symlink_to(inbox.parent / "secret.png")
        (inbox / "lib.png").symlink_to(inbox.parent / "library" / "b.png")
        assert self.read(inbox, "in.png") == b"inside"
        assert self.read(inbox, "lib.png", inbox.parent / "library") == b"library"
        for name in ("out.png", "lib.png"):
            with pytest.raises(JobError, match="leads outside"):
                self.read(inbox, name)

    def test_a_link_swapped_in_after_the_check_leads_nowhere(
        self, inbox: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.path.realpath

        def check_then_swap(path: str, *rest: object) -> str:
            found = real(path)
            if str(found).endswith("a.png"):
                (inbox / "sub" / "a.png").unlink()
                (inbox / "sub" / "a.png").symlink_to(inbox.parent / "secret.png")
            return found

        monkeypatch.setattr(os.path, "realpath", check_then_swap)
        with pytest.raises(FileNotFoundError):
            self.read(inbox, "sub/a.png")

    def test_a_folder_swapped_in_after_the_check_leads_nowhere(
        self, inbox: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (inbox.parent / "elsewhere").mkdir()
        (inbox.parent / "elsewhere" / "a.png").write_bytes(b"secret")
        real = os.path.realpath

        def check_then_swap(path: str, *rest: object) -> str:
            found = real(path)
            if str(found).endswith("a.png"):
                (inbox / "sub").rename(inbox / "moved")
                (inbox / "sub").symlink_to(inbox.parent / "elsewhere")
            return found

        monkeypatch.setattr(os.path, "realpath", check_then_swap)
        with pytest.raises(FileNotFoundError):
            self.read(inbox, "sub/a.png")

    def test_devices_folders_and_pipes_are_refused_without_waiting(self, inbox: Path) -> None:
        os.mkfifo(inbox / "pipe.png")
        for name in ("pipe.png", "sub"):
            with pytest.raises(JobError, match="not an image file"):
                self.read(inbox, name)

    @pytest.mark.parametrize("name", ["x" * 300, "no.png", "sub/a.png/b", "loop"])
    def test_what_cannot_be_there_is_the_jobs_fault_or_missing(self, inbox: Path, name: str) -> None:
        (inbox / "loop").symlink_to("loop")
        with pytest.raises((JobError, FileNotFoundError)):
            self.read(inbox, name)


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


class TestLock:
    def test_a_second_runner_is_told_who_holds_the_lock(self, tmp_path: Path) -> None:
        with storage.runner_lock(tmp_path):
            holder = storage.lock_holder(tmp_path)
            assert holder is not None
            assert storage.is_alive(holder)
            code = (
                "import sys; from pathlib import Path; from pipeline import storage\n"
                "with storage.runner_lock(Path(sys.argv[1])): pass"
            )
            second = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
            assert f"process {os.getpid()}" in second.stderr
            assert RunnerBusyError.__name__ in second.stderr
        assert storage.lock_holder(tmp_path) is None

    def test_the_lock_of_a_dead_runner_is_taken_over(self, tmp_path: Path) -> None:
        code = (
            "import os, sys; from pathlib import Path; from pipeline import storage\n"
            "with storage.runner_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
        holder = storage.lock_holder(tmp_path)
        assert holder is not None
        assert not storage.is_alive(holder)
        with storage.runner_lock(tmp_path):
            pass
