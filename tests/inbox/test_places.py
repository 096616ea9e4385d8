"""Where images lie, and that no path leads elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import JobError
from pipeline.inbox.places import Places, open_inside


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

    def test_a_folder_of_a_drop_that_is_exchanged_for_a_link_is_no_root(self, inbox: Path) -> None:
        private = inbox.parent / "private"
        private.mkdir()
        for name in ("a.png", "job.yaml"):
            (private / name).write_bytes(b"secret")
        (inbox / "job").symlink_to(private)
        places = Places(inbox, inbox / "job", (), is_job_folder=True)
        with pytest.raises(JobError, match="leads outside"), places.open("a.png"):
            pass
        with (
            pytest.raises(JobError, match="leads outside"),
            open_inside(inbox / "job" / "job.yaml", [inbox / "job"], "job"),
        ):
            pass
        (private / "photo.png").touch()
        assert places.missing("phato.png") == "phato.png is missing"

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


class TestNamesThatComeNear:
    def places(self, tmp_path: Path, *names: str) -> Places:
        for name in names:
            (tmp_path / "inbox" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "inbox" / name).write_bytes(name.encode())
        (tmp_path / "library").mkdir(exist_ok=True)
        return Places(tmp_path / "inbox", tmp_path / "inbox", (tmp_path / "library",))

    @pytest.mark.parametrize("asked", ["photos/harbour.jpg", "Photos/HARBOUR.JPG", "PHOTOS/Harbour.jpg"])
    def test_an_image_whose_name_differs_in_case_only_is_found(self, tmp_path: Path, asked: str) -> None:
        with self.places(tmp_path, "Photos/Harbour.JPG").open(asked) as file:
            assert file.read() == b"Photos/Harbour.JPG"

    def test_composed_and_decomposed_letters_are_the_same(self, tmp_path: Path) -> None:
        with self.places(tmp_path, "Mu\u0308hle.jpg").open("m\u00fchle.jpg") as file:
            assert file.read() == "Mu\u0308hle.jpg".encode()

    def test_of_two_that_differ_in_case_only_neither_is_taken_for_a_third(self, tmp_path: Path) -> None:
        places = self.places(tmp_path, "a.jpg", "A.jpg")
        with places.open("A.jpg") as file:
            assert file.read() == b"A.jpg"
        with pytest.raises(FileNotFoundError), places.open("a.JPG"):
            pass

    @pytest.mark.parametrize(
        ("asked", "meant"),
        [
            ("tubigen.jpg", "; did you mean tubingen.jpg?"),
            ("tubingen.jpeg", "; did you mean tubingen.jpg?"),
            ("tubingen.jpg ", "; did you mean tubingen.jpg?"),
            ("inbox/tubingen.jpg", "; did you mean tubingen.jpg?"),
            ("tubingen.jpg, old/tubingen.png", "; did you mean several, as in [tubingen.jpg, old/tubingen.png]?"),
            ("tubingen.jpg, /etc/passwd", ""),  # whatever lies there
            ("tubingen.jpg & tubingen.jpg", "; did you mean several, as in [tubingen.jpg, tubingen.jpg]?"),
            ("old/tubigen.jpg", "; did you mean old/tubingen.png?"),
            ("wawe.jpg", "; did you mean wave.jpg?"),
            ("unlike.jpg", ""),
            ("../secrt.jpg", ""),
        ],
    )
    def test_a_missing_image_names_what_may_be_meant(self, tmp_path: Path, asked: str, meant: str) -> None:
        places = self.places(tmp_path, "tubingen.jpg", "tubingen.txt", "old/tubingen.png")
        (tmp_path / "library" / "wave.jpg").touch()
        (tmp_path / "secret.jpg").touch()
        assert places.missing(asked) == f"{asked} is missing{meant}"
