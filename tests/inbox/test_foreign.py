"""Documents of others, and conflict copies: neither run nor taken away, and named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.inbox.backlog import count
from pipeline.inbox.readiness import Ready
from tests.inbox.conftest import Inbox, drop, make, only, pair
from tests.inbox.test_style_folder import jobs, photo, scan, take_away
from tests.manifest.test_recognition import OTHERS

CONFLICTS = {  # of harbour.yaml, by who makes them
    "Syncthing": "harbour.sync-conflict-20260101-120000-ABCDEFG.yaml",
    "Dropbox": "harbour (Anna's conflicted copy 2026-01-01).yaml",
    "Dropbox, German": "harbour (In Konflikt stehende Kopie von Anna 2026-01-01).yaml",
    "Dropbox, French": "harbour (Copie en conflit de Anna 2026-01-01).yaml",
    "Dropbox, Spanish": "harbour (Copia en conflicto de Anna 2026-01-01).yaml",
    "Dropbox, Italian": "harbour (Copia in conflitto di Anna 2026-01-01).yaml",
    "Dropbox, Portuguese": "harbour (Cópia em conflito de Anna 2026-01-01).yaml",
    "Dropbox, Dutch": "harbour (Conflicterende kopie van Anna 2026-01-01).yaml",
    "Dropbox, Polish": "harbour (kopia powodująca konflikt użytkownika Anna 2026-01-01).yaml",
    "Dropbox, Swedish": "harbour (Annas motstridiga kopia 2026-01-01).yaml",
    "Dropbox, Russian": "harbour (конфликтующая копия с Anna 2026-01-01).yaml",
    "Dropbox, Japanese": "harbour (Anna の競合コピー 2026-01-01).yaml",
    "Dropbox, Chinese": "harbour (Anna 的冲突副本 2026-01-01).yaml",
    "Dropbox, Korean": "harbour (Anna의 충돌된 사본 2026-01-01).yaml",
    "Dropbox, of case": "harbour (Case Conflict).yaml",
    "Nextcloud": "harbour (conflicted copy 2026-01-01 120000).yaml",
    "ownCloud": "harbour_conflict-20260101-120000.yaml",
    "Seafile": "harbour (SFConflict anna@example.org 2026-01-01-12-00-00).yaml",
    "Synology Drive": "harbour_DiskStation_Jan-01-120000-2026_Conflict.yaml",
    "OneDrive": "harbour-DESKTOP-1A2B3C4.yaml",
    "OneDrive, a named PC": "harbour-ANNAS-PC.yaml",
    "OneDrive, beside it": "harbour-ATELIER.yaml",
    "Google Drive": "harbour (1).yaml",
    "Resilio": "harbour.Conflict.yaml",
    "rclone": "harbour.yaml.conflict1",
}


def told(inbox: Inbox, *names: str) -> list[str]:
    """The hints that name all of these."""
    return [hint for hint in inbox.drops.hints if all(name in hint for name in names)]


@pytest.fixture
def inbox(folder: Path) -> Inbox:
    return make(folder, settle_seconds=0)


@pytest.mark.parametrize("name, text", OTHERS.values(), ids=OTHERS)
class TestDocumentsOfOthers:
    def test_in_the_inbox_one_is_left_and_told(self, folder: Path, inbox: Inbox, name: str, text: str) -> None:
        (folder / name).write_text(text)
        drop(folder, "own.yaml")
        scan(inbox)
        assert told(inbox, f"{name} is not understood: ")
        assert (folder / name).read_text() == text
        assert list(inbox.waiting) == ["own.yaml"]
        assert count(folder, inbox.drops.claimed, folder.parent / ".retry") == 1

    def test_in_a_style_folder_it_harms_nothing(self, folder: Path, inbox: Inbox, name: str, text: str) -> None:
        photo(folder / "wave" / "style.jpg", seed=1)
        photo(folder / "wave" / "a.png")
        (folder / "wave" / name).write_text(text)
        scan(inbox)
        assert list(jobs(folder)) == ["wave/a.png"]
        assert told(inbox, f"wave/{name} is not understood: ")
        assert not told(inbox, "job.")

    def test_in_a_folder_of_photos_it_makes_no_job(self, folder: Path, inbox: Inbox, name: str, text: str) -> None:
        photo(folder / "trip" / "a.png")
        (folder / "trip" / name).write_text(text)
        (folder / "trip" / f"job{Path(name).suffix}").write_text(text)
        scan(inbox)
        assert told(inbox, f"trip/job{Path(name).suffix} is not understood: ")
        assert not told(inbox, "rename")
        assert (folder / "trip" / "a.png").exists()


WRITTEN = [(name, text) for name, text in OTHERS.values() if text.strip() and "style" not in text]


@pytest.mark.parametrize("name, text", WRITTEN, ids=[name for name, _ in WRITTEN])
def test_a_foreign_document_named_style_is_no_style(folder: Path, inbox: Inbox, name: str, text: str) -> None:
    photo(folder / "wave" / "style.jpg", seed=1)
    photo(folder / "wave" / "a.png")
    style = folder / "wave" / f"style{Path(name).suffix}"
    style.write_text(text)
    os.utime(style, (0, 0))
    scan(inbox)
    assert jobs(folder)["wave/a.png"]["style"] == [{"image": "wave/style.jpg"}]


@pytest.mark.parametrize("name", CONFLICTS.values(), ids=CONFLICTS)
class TestConflictCopies:
    def test_one_is_not_run_and_named_even_when_the_original_is_gone(
        self, folder: Path, inbox: Inbox, name: str
    ) -> None:
        pair(folder)
        (folder / name).write_bytes(drop(folder, "harbour.yaml").read_bytes())
        ready = only(inbox)
        assert isinstance(ready, Ready)
        assert ready.drop.label == "harbour.yaml"
        (folder / "harbour.yaml").unlink()
        assert list(inbox.scan()) == []
        assert told(inbox, f"{name} is not run: a copy of harbour.yaml as ")

    def test_in_a_style_folder_it_is_named_and_nobody_told_to_make_a_job_of_it(
        self, folder: Path, inbox: Inbox, name: str
    ) -> None:
        name = name.replace("harbour", "style")
        photo(folder / "wave" / "painting.jpg", seed=1)
        (folder / "wave" / "sub").mkdir()
        photo(folder / "wave" / "sub" / "a.png")
        (folder / "wave" / "style.yaml").write_text("style: painting.jpg\n")
        (folder / "wave" / name).write_text("style: other.jpg\n")
        scan(inbox)
        take_away(folder)
        (hint,) = told(inbox, f"wave/{name}")
        assert "job." not in hint
        assert "painting" not in hint


def test_many_documents_of_others_are_told_in_few_lines(folder: Path, inbox: Inbox) -> None:
    for number in range(500):
        (folder / f"IMG_{number:03}.jpg.json").write_text('{"title": "x"}')
    scan(inbox)
    (hint,) = inbox.drops.hints
    assert hint.startswith("IMG_000.jpg.json and 499 more are not understood: notes of another program beside photos")
    for number in range(100):
        (folder / f"{number:03}.json").write_text("{}")
    scan(inbox)
    assert len(inbox.drops.hints) == 22
    assert told(inbox, "80 more such as this: ")


def test_a_manifest_that_was_mended_in_place_runs(folder: Path, inbox: Inbox) -> None:
    pair(folder)
    drop(folder).write_text("")
    scan(inbox)
    assert told(inbox, "a.yaml is not understood: it is empty")
    drop(folder)
    assert isinstance(only(inbox), Ready)
    assert not told(inbox, "a.yaml")


@pytest.mark.parametrize("text", ["style: a.jpg\n", "content: gone.png\nstyle: a.png\n", "content: a.png\nstyel: a\n"])
def test_nobody_is_told_to_make_a_job_of_what_would_fail(folder: Path, inbox: Inbox, text: str) -> None:
    photo(folder / "trip" / "a.png")
    (folder / "trip" / "harbour.yaml").write_text(text)
    scan(inbox)
    (hint,) = told(inbox, "trip/harbour.yaml")
    assert hint.endswith("and this one cannot be used yet; `stylistic check` says what it lacks")
