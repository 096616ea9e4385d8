"""Which frames of a clip are a part of it, and what its file may say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.jobs import parts
from pipeline.jobs.parts import MOST_PARTS, Part


def ranges(cuts: list[int], frames: int) -> list[tuple[int, int | None, int]]:
    return [(part.first, part.last, part.scene) for part in parts.between(cuts, frames).parts]


def test_each_scene_is_a_part() -> None:
    assert ranges([1], 96) == [(1, None, 1)]
    assert ranges([1, 4, 50, 90], 60) == [(1, 3, 1), (4, 49, 2), (50, 89, 3), (90, None, 4)]


def test_of_flashes_many_are_one_part() -> None:
    found = ranges(list(range(1, 3001)), 3000)
    assert len(found) <= MOST_PARTS
    assert [first for first, _, _ in found] == [scene for _, _, scene in found]
    assert found[0][1] == 47 and found[-1][1] is None


@pytest.mark.parametrize(
    "said",
    [
        [],
        [{"first": 2}],
        [{"first": 1, "last": 5}],
        [{"first": 1, "last": 5}, {"first": 7}],
        [{"first": 1, "last": 5}, {"first": 5}],
        [{"first": 1}, {"first": 2}],
        [{"first": 1, "last": "5"}, {"first": 6}],
        [{"first": 1, "last": n} for n in range(MOST_PARTS + 1)],
        {"first": 1},
    ],
)
def test_what_is_no_clips_parts_is_as_if_it_were_not_there(tmp_path: Path, said: object) -> None:
    (tmp_path / parts.FILE).write_text(json.dumps({"parts": said}))
    assert parts.read(tmp_path) == []
    parts.leave(tmp_path, parts.between([1, 50], 96))
    assert parts.read(tmp_path) == [Part(first=1, last=49), Part(first=50, scene=2)]


def test_a_link_or_a_folder_in_its_place_is_none(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(parts.between([1], 5).model_dump_json())
    (tmp_path / parts.FILE).symlink_to("other.json")
    assert parts.read(tmp_path) == []
    (tmp_path / parts.FILE).unlink()
    (tmp_path / parts.FILE).mkdir()
    assert parts.read(tmp_path) == []
