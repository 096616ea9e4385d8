"""Where images lie, and that no path leads elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import JobError
from pipeline.inbox.places import open_inside


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
        with open_inside(inbox / name, [inbox, *libraries], name) as file:
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
