"""What patterns of photos stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import storage
from pipeline.inbox.patterns import photos
from pipeline.storage import Entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "B.JPG", "c.png", "notes.txt", ".hidden.jpg", "Trip/d.Jpg", "Trip/day 1/e.jpg", ".git/f.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "round").symlink_to(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jpg", ["B.JPG", "a.jpg"]),
        ("*.JPG", ["B.JPG", "a.jpg"]),
        ("*", ["B.JPG", "a.jpg", "c.png"]),
        ("[ab].*", ["B.JPG", "a.jpg"]),
        ("trip/*.jpg", ["Trip/d.Jpg"]),
        ("*/*.jpg", ["Trip/d.Jpg"]),
        ("**/*.jpg", ["B.JPG", "Trip/d.Jpg", "Trip/day 1/e.jpg", "a.jpg"]),
        ("**/**/E.*", ["Trip/day 1/e.jpg"]),
        ("trip/**/*.jpg", ["Trip/d.Jpg", "Trip/day 1/e.jpg"]),
        ("*.txt", []),
        ("nowhere/*.jpg", []),
        ("**/*/**/*/e.jpg", ["Trip/day 1/e.jpg"]),
        ("**/day 1/**", []),
    ],
)
def test_what_a_pattern_stands_for_whatever_the_case(folder: Path, pattern: str, found: list[str]) -> None:
    assert photos(folder, pattern) == found


def test_two_stars_within_a_name_are_no_pattern(folder: Path) -> None:
    with pytest.raises(ValueError, match="must stand alone"):
        photos(folder, "**x.jpg")


def test_a_folder_is_looked_into_once_however_many_ways_lead_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve times any folders, thirty deep, there are millions of ways."""
    deep = folder.joinpath(*["a"] * 14)
    deep.mkdir(parents=True)
    (deep / "x.jpg").touch()
    entries, looked_into = storage.entries, []

    def counted(place: Path) -> list[Entry]:
        looked_into.append(place)
        return entries(place)

    monkeypatch.setattr(storage, "entries", counted)
    assert photos(folder, "**/*/" * 12 + "x.jpg") == [str((deep / "x.jpg").relative_to(folder))]
    assert len(looked_into) == len(set(looked_into)) == 17


def test_a_pattern_of_very_many_folders_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="more than 64 folders"):
        photos(folder, "*/" * 500 + "a.jpg")
