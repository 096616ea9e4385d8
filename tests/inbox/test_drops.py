"""What counts as a drop, and where its images may lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.inbox.readiness import Ready, Rejected, Verdict, Waiting
from tests.inbox.conftest import drop, make, only, pair


class TestPlaces:
    def ready(self, folder: Path, **settings: Any) -> Verdict:
        return only(make(folder, settle_seconds=0, **settings))

    def test_a_job_folder_is_a_drop(self, folder: Path) -> None:
        (folder / "trip").mkdir()
        pair(folder / "trip")
        drop(folder / "trip", "job.yaml")
        ready = self.ready(folder)
        assert isinstance(ready, Ready)
        assert ready.drop.places.is_job_folder
        assert ready.manifest.name == "trip"

    def test_a_folder_without_job_yaml_is_left_alone_and_a_hint_given(self, folder: Path) -> None:
        (folder / "trip").mkdir()
        pair(folder / "trip")
        drop(folder / "trip", "harbour.yml")
        inbox = make(folder)
        assert list(inbox.scan()) == []
        (hint,) = inbox.drops.hints
        assert hint.startswith(
            "trip/harbour.yml is not looked at: the manifest of a folder is named job.yml; rename it"
        )

    def test_a_folder_of_images_is_no_drop(self, folder: Path) -> None:
        (folder / "photos").mkdir()
        pair(folder / "photos")
        assert list(make(folder).scan()) == []

    @pytest.mark.parametrize(
        ("names", "hint"),
        [
            (["trip/Job.yaml"], "trip/Job.yaml is not looked at; rename it to job.yaml"),
            (["trip/manifest.yaml"], "trip/manifest.yaml is not looked at: the manifest of a folder is named job.yaml"),
            (["notepad.yaml.txt"], "notepad.yaml.txt is not looked at, as it ends in .txt; rename it to notepad.yaml"),
            (["harbour.docx"], "harbour.docx is not looked at: a manifest is plain text; save it as that"),
            (["trip/style.jpg", "trip/style.png"], "trip: style.jpg is its style, and style.png is not looked at"),
            (["trip/1.HEIC"], "trip has photos and no style: only what a manifest names is painted;"),
            (["trip/day 1/1.jpg"], "trip has photos and no style: only what a manifest names is painted;"),
            (
                ["shot/a1.jpg", "shot/a2.jpg"],
                "shot has photos and no style: only what a manifest names is painted; put a painting into it as"
                " shot/style.jpg, and each is painted like that; or are they frames of a clip? A manifest with",
            ),
            (["family/wave/style.jpg"], "family/wave is not looked at: a style folder lies in the inbox itself; move"),
            (["trip.zip"], "trip.zip is not looked at: an archive; unpack it, and drop the folder"),
        ],
    )
    def test_what_comes_near_to_a_drop_gets_a_hint(self, folder: Path, names: list[str], hint: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("content: photo.png\nstyle: painting.png\n")
            if name.endswith(".yaml"):
                pair((folder / name).parent)
            for parent in (folder / name).parents:
                os.utime(parent, (0, 0))
                if parent == folder:
                    break
        inbox = make(folder)
        list(inbox.scan())
        assert [told for told in inbox.drops.hints if told.startswith(hint)], inbox.drops.hints

    def test_a_folder_that_is_still_being_copied_gets_no_hint_of_what_it_lacks(self, folder: Path) -> None:
        (folder / "trip").mkdir()
        pair(folder / "trip")
        inbox = make(folder)
        list(inbox.scan())
        assert inbox.drops.hints == set()

    def test_images_may_lie_in_folders_of_the_inbox(self, folder: Path) -> None:
        (folder / "photos").mkdir()
        pair(folder / "photos")
        drop(folder, content="photos/photo.png", style="photos/painting.png")
        assert isinstance(self.ready(folder), Ready)

    def test_a_job_folder_may_name_images_beside_it_even_after_its_claim(self, folder: Path) -> None:
        pair(folder)
        (folder / "trip").mkdir()
        drop(folder / "trip", "job.yaml", "../photo.png", "../painting.png")
        inbox = make(folder, settle_seconds=0)
        ready = only(inbox)
        assert isinstance(ready, Ready)
        claimed = inbox.claims.take(ready.drop, "trip", lambda _: False)
        with claimed.places.open("../photo.png") as file:
            assert file.read(4) == b"\x89PNG"

    def test_libraries_serve_images_by_name(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "styles").mkdir()
        pair(tmp_path / "styles")
        drop(folder)
        assert isinstance(self.ready(folder), Waiting)
        assert isinstance(self.ready(folder, libraries=[tmp_path / "styles"]), Ready)

    @pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "/proc/self/mem", "link.png"])
    def test_a_manifest_cannot_read_outside(self, folder: Path, path: str) -> None:
        pair(folder)
        (folder.parent / "secret.png").write_bytes((folder / "photo.png").read_bytes())
        (folder / "link.png").symlink_to("../secret.png")
        drop(folder, content=path)
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert "leads outside the inbox" in rejected.reason

    def test_a_manifest_that_is_a_link_to_outside_is_not_read(self, folder: Path) -> None:
        (folder / "a.yaml").symlink_to("/etc/passwd")
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert "root" not in rejected.reason

    def test_pipes_and_folders_named_like_manifests_harm_nobody(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe.yaml")
        (folder / "folder.yaml").mkdir()
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert rejected.drop.label == "pipe.yaml"

    def test_a_name_that_begins_with_two_dots_is_a_name(self, folder: Path) -> None:
        (folder / "trip").mkdir()
        for place in (folder, folder / "trip"):
            pair(place)
            (place / "photo.png").rename(place / "..photo.png")
        drop(folder / "trip", "job.yaml", "..photo.png")
        assert isinstance(self.ready(folder), Ready)

    def test_a_retried_job_folder_is_read_by_its_job_yaml(self, folder: Path) -> None:
        kept = folder.parent / ".retry" / "trip-20260101-000000-0000" / "drop"
        kept.mkdir(parents=True)
        (kept.parent / "drop.folder").touch()
        pair(kept)
        drop(kept, "job.yaml")
        (kept / "album.json").write_text('{"photos": 12}')
        ready = self.ready(folder)
        assert isinstance(ready, Ready)
        assert ready.drop.manifest.name == "job.yaml"

    def test_a_name_of_several_lines_is_told_in_one(self, folder: Path) -> None:
        drop(folder, "a\ndone    outbox\t\x1b.yaml", content="").write_text("styel: 1\ncontent: a\nstyle: b\n")
        rejected = self.ready(folder)
        assert isinstance(rejected, Rejected)
        assert rejected.drop.label == "a\\ndone    outbox\\t\\x1b.yaml"
        assert rejected.reason.startswith("a\\ndone    outbox\\t\\x1b.yaml, line 1: `styel`: unknown")
