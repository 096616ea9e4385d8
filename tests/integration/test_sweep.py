"""A sweep: every combination as one job, through the installed command."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import attempt
from tests.conftest import Place, opened, wait_for

SWEEP: dict[str, list[Any]] = {"style_weight": [1.0, 100.0], "content_layers": [["block4_conv2"], ["block5_conv2"]]}


def result_of(place: Place, name: str) -> Path:
    (folder,) = place.outbox.glob(f"{name}-[0-9]*")
    return folder


def log_of(folder: Path, name: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sweep_of_four_gives_the_bytes_of_four_single_jobs(place: Place, workers: str) -> None:
    place.pair()
    place.manifest("s.yaml", sweep=SWEEP)
    number = 0
    for weight in SWEEP["style_weight"]:
        for layers in SWEEP["content_layers"]:
            number += 1
            parameters = {"style_weight": weight, "content_layers": layers}
            place.manifest(f"single{number}.yaml", parameters=parameters)
    done = place.run("run", "--workers", workers)
    assert done.returncode == 0, done.stderr
    folder = result_of(place, "s")
    for n in range(1, 5):
        single = result_of(place, f"single{n}")
        assert (folder / f"s-00{n}.png").read_bytes() == (single / f"single{n}.png").read_bytes()
        mine, theirs = log_of(folder, f"s-00{n}"), log_of(single, f"single{n}")
        assert mine["loss"] == theirs["loss"]
        assert mine["manifest"]["parameters"] == theirs["manifest"]["parameters"]
        assert mine["inputs"] == theirs["inputs"]
    log = log_of(folder, "s")
    assert log["status"] == "done"
    assert log["output"]["file"] == "s.sheet.png"
    assert opened(folder / "s.sheet.png").size == (log["output"]["width"], log["output"]["height"])
    with (folder / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["style_weight"], row["content_layers"]) for row in rows] == [
        ("1", "block4_conv2"), ("1", "block5_conv2"), ("100", "block4_conv2"), ("100", "block5_conv2")
    ]  # fmt: skip
    for n, row in enumerate(rows, 1):
        assert row["file"] == f"s-00{n}.png"
        assert float(row["final_total"]) == log_of(folder, f"s-00{n}")["loss"]["total"][-1]
    assert place.leftovers() == []
    assert "s.sheet.png" in (place.outbox / "index.html").read_text()


def test_an_interrupted_sweep_goes_on_where_it_was(place: Place) -> None:
    place.pair()
    sweep = {"seed": [1, 2]}
    parameters = {"steps_per_epoch": 200, "init": "noise", "pyramid": "off"}
    place.manifest("a.yaml", sweep=sweep, parameters=parameters)
    process = place.start("run", quiet=True)
    wait_for(lambda: list(place.jobs.glob("running/*/attempt-1/variants/002/loss.jsonl")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    (first,) = place.jobs.glob("queued/*/attempt-1/variants/001/result/result.json")
    untouched = first.stat().st_mtime_ns
    (interrupted_at,) = (path.read_text().count("\n") for path in place.jobs.glob("queued/*/*/variants/002/loss.jsonl"))
    again = place.start("run", quiet=True)
    second = "running/*/attempt-2/variants/002/loss.jsonl"
    wait_for(lambda: [p for p in place.jobs.glob(second) if p.read_text().count("\n") > interrupted_at])
    (first,) = place.jobs.glob("*/*/attempt-2/variants/001/result/result.json")
    assert first.stat().st_mtime_ns == untouched
    assert again.wait(timeout=120) == 0
    place.manifest("b.yaml", sweep=sweep, parameters=parameters)
    assert place.run("run").returncode == 0
    for n in (1, 2):
        interrupted, whole = result_of(place, "a"), result_of(place, "b")
        assert (interrupted / f"a-00{n}.png").read_bytes() == (whole / f"b-00{n}.png").read_bytes()
        assert log_of(interrupted, f"a-00{n}")["loss"] == log_of(whole, f"b-00{n}")["loss"]


@pytest.mark.stand_in
def test_a_sweep_on_two_workers_that_is_stopped_goes_on_where_each_of_them_was(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", sweep={"seed": [1, 2, 3, 4]}, parameters={"steps_per_epoch": 100})
    process = place.start("run", "--workers", "2", quiet=True)
    wait_for(lambda: len(list(place.jobs.glob("running/*/attempt-1/variants/*/loss.jsonl"))) >= 3)
    (running,) = place.jobs.glob("running/*/attempt-1")
    wait_for(lambda: len({worker.pid for worker in attempt.workers(running)}) == 2)  # who is between two has none
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    (job,) = place.jobs.glob("queued/*")
    made = {path.parent.name: path.read_text().count("\n") for path in job.glob("attempt-1/variants/*/loss.jsonl")}
    finished = [name for name, steps in made.items() if steps == 100]
    assert 0 < len(finished) < len(made)
    assert all(steps > 0 for steps in made.values())
    again = place.start("run", "--workers", "2", quiet=True)
    wait_for(lambda: list(place.jobs.glob("running/*/attempt-2/variants/004/loss.jsonl")) or again.poll() is not None)
    carried = place.jobs / "running" / job.name / "attempt-2" / "variants"
    assert all((carried / name / "result" / "result.json").exists() for name in finished)
    assert again.wait(timeout=60) == 0
    log = log_of(result_of(place, "a"), "a")
    assert (log["status"], log["job"]["attempts"]) == ("done", 2)
    assert [(row["steps"], row["error"]) for row in log["variants"]] == [(100, None)] * 4
    assert place.leftovers() == []


@pytest.mark.stand_in
def test_every_photo_of_a_folder(place: Place) -> None:
    place.photo("painting.png", seed=2)
    for n in (1, 2):
        place.photo(f"photos/p{n}.{'PNG' if n == 1 else 'png'}", seed=n)
    (place.inbox / "photos" / "notes.txt").write_text("not a photo")
    data = "style: painting.png\nsweep: {content: photos/*.png}\nparameters: {image_size: 64, steps_per_epoch: 2}\n"
    (place.inbox / "all.yaml").write_text(data)
    (place.inbox / "bad.yaml").write_text(data.replace("*.png", "**x.png"))
    (place.inbox / "none.yaml").write_text(data.replace("photos", "elsewhere"))
    (place.inbox / "out.yaml").write_text(data.replace("photos/", "../"))
    assert place.run("run", "--input-timeout", "1").returncode == 1
    log = log_of(result_of(place, "all"), "all")
    assert [row["content"] for row in log["variants"]] == ["photos/p1.PNG", "photos/p2.png"]
    assert [row["file"] for row in log["variants"]] == ["p1.png", "p2.png"]
    assert log_of(result_of(place, "all"), "p2")["inputs"]["content"]["file"] == "photos/p2.png"
    assert "nothing matches elsewhere/*.png" in log_of(result_of(place, "none"), "none")["error"]
    assert "not a pattern" in log_of(result_of(place, "bad"), "bad")["error"]
    assert "must stay inside the inbox" in log_of(result_of(place, "out"), "out")["error"]


def test_a_variant_that_cannot_be_painted_leaves_its_place_empty(place: Place) -> None:
    place.pair()
    place.manifest("a.yaml", sweep={"image_size": [64, 17]})
    place.manifest("b.yaml", sweep={"image_size": [16, 17]})
    assert place.run("run").returncode == 1
    log = log_of(result_of(place, "a"), "a")
    assert log["status"] == "done"
    assert [row["error"] is None for row in log["variants"]] == [True, False]
    assert "too narrow" in log["variants"][1]["error"]
    assert log_of(result_of(place, "a"), "a-002")["status"] == "failed"
    assert "too narrow: at image_size 16" in log_of(result_of(place, "b"), "b")["error"]


def test_a_variants_painting_is_matched_to_its_own_photo(place: Place) -> None:
    place.pair()
    parameters = {"color": "match", "style_weight": 1e3}
    place.manifest("s.yaml", sweep={"denoise": [0, 1]}, parameters=parameters)
    place.manifest("single.yaml", parameters={**parameters, "denoise": 1})
    assert place.run("run", "--max-jobs", "1").returncode == 0
    assert place.run("run").returncode == 0  # another process, which remembers nothing
    mine, single = result_of(place, "s") / "s-002.png", result_of(place, "single") / "single.png"
    assert mine.read_bytes() == single.read_bytes()
