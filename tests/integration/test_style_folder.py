"""Photos dropped into a style folder, through the installed command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Place, picture, wait_for

pytestmark = pytest.mark.stand_in

Watching = Callable[..., "subprocess.Popen[str]"]
STYLE = "style: style.png\nparameters: {image_size: 64, epochs: 1, steps_per_epoch: 2, pyramid: 'off'}\n"


def style_folder(place: Place) -> Path:
    place.photo("wave/style.png", seed=1)
    (place.inbox / "wave" / "style.yaml").write_text(STYLE)
    return place.inbox / "wave"


def painted(place: Place) -> list[str]:
    assert all(log["status"] == "done" for log in place.logs())
    return sorted(log["inputs"]["content"]["file"] for log in place.logs())


def test_photos_are_painted_once_and_a_result_runs_again_beside_them(place: Place) -> None:
    wave = style_folder(place)
    place.photo("wave/harbour.JPG", seed=2)
    place.photo("wave/day 1/Büro.png", seed=3)
    for _ in range(2):
        done = place.run("run")
        assert done.returncode == 0, done.stderr
    assert painted(place) == ["wave/day 1/Büro.png", "wave/harbour.JPG"]
    assert [log["job"]["name"] for log in place.logs()] == ["day 1-Büro", "harbour"]
    assert place.leftovers() == []
    assert sorted(path.name for path in place.inbox.iterdir()) == [".painted", "wave"]
    place.photo("wave/harbour.JPG", seed=4)
    (first, *_) = [place.result(log) for log in place.logs() if log["job"]["name"] == "harbour"]
    shutil.copy(next(place.outbox.glob("day 1-*/manifest.yaml")), place.inbox / "again.yaml")
    assert place.run("run").returncode == 0
    assert painted(place) == ["wave/day 1/Büro.png"] * 2 + ["wave/harbour.JPG"] * 2
    pictures = [place.result(log).read_bytes() for log in place.logs() if "Büro" in log["inputs"]["content"]["file"]]
    assert pictures[0] == pictures[1]
    assert first.exists()
    assert (wave / "style.yaml").read_text() == STYLE


def test_photos_that_are_copied_while_others_are_painted(place: Place, watching: Watching) -> None:
    wave = style_folder(place)
    whole = place.root / "whole.png"
    picture(seed=9).save(whole)
    data = whole.read_bytes()
    process = watching()
    with (wave / "slow.png").open("wb") as slow:
        slow.write(data[: len(data) // 2])
        slow.flush()
        for number in range(3):
            place.photo(f"wave/{number}.png", seed=number + 2)
        wait_for(lambda: painted(place) == ["wave/0.png", "wave/1.png", "wave/2.png"])
        process.send_signal(signal.SIGTERM)  # and a restart in between
        assert process.wait(timeout=60) == 0
        watching()
        slow.write(data[len(data) // 2 :])
    wait_for(lambda: len(painted(place)) == 4)
    assert painted(place)[3] == "wave/slow.png"


def test_a_spoiled_photo_fails_by_itself_and_once(place: Place) -> None:
    style_folder(place)
    place.photo("wave/good.png", seed=2)
    (place.inbox / "wave" / "bad.jpg").write_bytes(b"this is no picture at all")
    assert place.run("run").returncode == 1
    assert place.run("run").returncode == 0
    told = {log["job"]["name"]: log["error"] for log in place.logs()}
    assert told["good"] is None
    assert "wave/bad.jpg: not an image of a known format" in told["bad"]
    assert len(place.logs()) == 2


def test_a_style_that_cannot_be_used_keeps_nobody_from_work(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", parameters={"steps_per_epoch": 2})
    wave = style_folder(place)
    place.photo("wave/good.png", seed=2)
    (wave / "style.yaml").write_text(STYLE.replace("epochs:", "epoch:", 1))
    done = place.run("run")
    assert done.returncode == 0
    assert done.stderr.count("wave/style.yaml, line 2: `parameters.epoch`: unknown; did you mean `epochs`?") == 1
    assert [log["job"]["name"] for log in place.logs()] == ["a"]


def test_two_runners_paint_a_photo_once(place: Place) -> None:
    style_folder(place)
    for number in range(4):
        place.photo(f"wave/{number}.png", seed=number + 2)
    for name in ("one", "two"):
        (place.root / name).mkdir()
    runners = [place.start("run", "--jobs", name, quiet=True) for name in ("one", "two")]
    assert [runner.wait(timeout=240) for runner in runners] == [0, 0]
    assert painted(place) == [f"wave/{number}.png" for number in range(4)]


def test_a_thousand_painted_photos_cost_an_idle_watcher_next_to_nothing(place: Place, watching: Watching) -> None:
    wave = style_folder(place)
    photo = place.photo("wave/0.png", seed=2)
    assert place.run("run").returncode == 0
    for number in range(1, 1000):  # of one content: painted, all of them, but each has to be looked at
        os.link(photo, wave / f"{number}.png")
    process = watching()
    time.sleep(6)

    def cpu_seconds() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu_seconds()
    time.sleep(10)
    assert cpu_seconds() - before < 0.2
    assert len(place.logs()) == 1
