"""The folder of the pictures alone, through the installed command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Place, picture

pytestmark = pytest.mark.stand_in
QUICK = {"steps_per_epoch": 2}


def shown(place: Place) -> dict[str, bytes]:
    folder = place.outbox / "pictures"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(place: Place) -> dict[str, Path]:
    """The pictures of the results by the job's id, the oldest first."""
    return {log["job"]["id"]: place.result(log) for log in place.logs() if log["output"]}


def test_pictures_lie_where_their_photos_came_from_and_go_with_their_results(place: Place) -> None:
    folder = place.inbox / "sea" / "2019"
    folder.mkdir(parents=True)
    picture(seed=1).save(folder / "Straße (1).jpg")
    picture(seed=2).save(folder.parent / "style.png")
    (folder.parent / "style.yaml").write_text("style: style.png\nparameters: {image_size: 64, steps_per_epoch: 2}\n")
    place.pair()
    place.manifest("harbour.yaml", parameters=QUICK)
    place.manifest("tides.yaml", parameters=QUICK, sweep={"seed": [1, 2]})
    place.manifest("bad.yaml", parameters=QUICK, content="harbour.yaml")
    assert place.run("run").returncode == 1
    variants = {f"tides/tides-{number:03}.png" for number in (1, 2)}
    assert shown(place).keys() == {"sea/2019/Straße (1).png", "harbour.png", *variants}
    (first,) = (job_id for job_id in results(place) if "Stra" in job_id)
    assert shown(place)["sea/2019/Straße (1).png"] == results(place)[first].read_bytes()

    (place.outbox / "pictures" / "harbour.png").unlink()
    assert place.run("again", first, "--set", "strength=2").returncode == 0
    assert place.run("run").returncode == 0
    second = list(results(place))[-1]
    assert shown(place).keys() == {"sea/2019/Straße (1).png", *variants}
    assert shown(place)["sea/2019/Straße (1).png"] == results(place)[second].read_bytes()

    place.environment["STYLISTIC_NO_PICTURES"] = "1"
    place.manifest("left-out.yaml", parameters=QUICK)
    assert place.run("run").returncode == 0
    assert "left-out.png" not in shown(place)

    assert place.run("submit", "outbox", "--style", "inbox/painting.png").returncode == 2
    assert place.run("submit", "outbox/pictures", "--style", "inbox/painting.png").returncode == 2

    (place.outbox / "pictures" / "theirs.png").write_bytes(b"theirs")
    assert place.run("clean", "--older-than", "0h", "--results", "--remove").returncode == 0
    assert shown(place) == {"theirs.png": b"theirs"}
    assert not results(place)
    assert place.leftovers() == []
