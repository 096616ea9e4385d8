"""What others write into records of the jobs folder, or logs of the outbox, harms that job or that result alone."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import STAND_IN, Place, wait_for

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("strangers")]
ELSEWHERE = "elsewhere-20260101-000000-0000"

Edit = Callable[[dict[str, Any]], Any]


def field(name: str, value: Any) -> Edit:
    """A record in which a field, or one of an image, says something else."""

    def edit(record: dict[str, Any]) -> Any:
        *way, last = name.split(".")
        inner = record
        for key in way:
            inner = inner[key]
        inner[last] = value
        return record

    return edit


EDITS: dict[str, Edit | bytes] = {
    "name-up": field("name", "../../private/x"),
    "name-other": field("name", "another"),
    "name-hidden": field("name", ".stylistic-trash"),
    "id-up": field("id", f"../../private/{ELSEWHERE}"),
    "id-other": field("id", ELSEWHERE),
    "sha-up": field("images.content.sha256", "../../private/taken"),
    "stored-up": field("images.content.stored", "../../../private/file"),
    "stored-else": field("images.content.stored", "job.json"),
    "width-huge": field("images.content.width", 10**400),
    "width-none": field("images.content.width", 0),
    "height-bool": field("images.content.height", True),
    "part-up": lambda record: record | {"images": {"../x": record["images"]["content"] | {"stored": "../x"}}},
    "attempts": field("attempts", -1),
    "deaths": field("deaths", math.inf),
    "priority": field("priority", 10**9),
    "claimed": field("claimed_at", "yesterday"),
    "started": field("started_at", "2026-01-01"),
    "steps": field("steps", 10**400),
    "pyramid": field("manifest.parameters.pyramid", {"64": 10**400}),
    "sweep": field("manifest.sweep", {"seed": [1] * 1000, "epochs": [1] * 1000, "strength": [1] * 1000}),
    "name-within": field("manifest.name", "../../private/x"),
    "aimless": field("manifest", None),
    "imageless": field("images", {}),
    "deep": b'{"id": ' + b"[" * 100_000,
    "digits": b'{"width": ' + b"9" * 10_000 + b"}",
    "twice": b'{"id": "a", "id": "b"}',
    "bom": b"\xef\xbb\xbf{}",
    "latin": b'{"id": "\xff"}',
    "list": b"[1]",
    "nothing": b"null",
}
SCRIPT = "</script><script>alert(1)</script>"
# What a log of a result says, by the field; and whether its row is shown all the same.
LOGS: dict[str, tuple[str, Any, bool]] = {
    "yesterday": ("job.finished_at", "yesterday", False),
    "no-zone": ("job.finished_at", "2026-01-01T00:00:00", False),
    "other-zone": ("job.finished_at", "2026-01-01T00:00:00+05:30", True),
    "far": ("job.finished_at", "9999-12-31T23:59:59-12:00", False),
    "begun": ("job.started_at", "a while ago", False),
    "named": ("job.name", "<img src=x onerror=alert(1)>", False),
    "file-up": ("output.file", "../../private/file", False),
    "script": ("output.file", "javascript:alert(1)", True),
    "wide": ("output.width", 10**400, False),
    "seconds": ("timing.optimize_seconds", 1e308, False),
    "memory": ("peak_memory_bytes", -1, False),
    "losses": ("loss.total", [math.nan], False),
    "preset": ("manifest.preset", {"a": math.nan}, True),
    "parameters": (
        "manifest.parameters",
        {"epochs": "x" * 10**6, "seed": [[["</script><script>alert(1)</script>"]]]},
        True,
    ),
    "variants": (
        "variants",
        [{"variant": 1, "file": "../../private/file", "error": {"a": 1}, "final_total": math.inf}],
        True,
    ),
    "error": ("error", "</script><script>alert(1)</script>" * 10_000, True),
    "styles": (
        "inputs.style",
        [{"file": "javascript:alert(1)", "sha256": "0" * 64, "width": 1, "height": 1}] * 5000,
        True,
    ),
}


class Share:
    """A place in which others have written."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.private = place.root / "private"
        self.said = ""

    def run(self, *arguments: str) -> str:
        answered = self.place.run(*arguments)
        assert "Traceback" not in answered.stderr + answered.stdout, answered.stderr
        self.said += answered.stderr
        return answered.stdout


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Iterator[Share]:
    place = Place(tmp_path_factory.mktemp("strangers"), tiny_weights)
    place.environment |= STAND_IN
    share = Share(place)
    share.private.mkdir()
    (share.private / "file").write_text("private")
    place.pair()
    for name in (*EDITS, "good"):
        place.manifest(f"{name}.yaml")
    while list(place.inbox.glob("*.yaml")):  # nothing can be painted with these weights
        share.run("run", "--weights", "nowhere.h5")
    for name, edit in EDITS.items():
        (path,) = (place.jobs / "queued").glob(f"{name}-2*/job.json")
        if not isinstance(edit, bytes):
            edit = json.dumps(edit(json.loads(path.read_text()))).encode()
        path.write_bytes(edit)
    share.run("status")
    share.run("run", "--keep-inputs", "7")
    (good,) = place.outbox.glob("good-*")
    for name, (way, value, _) in LOGS.items():
        theirs = good.with_name(f"{name}-20260101-000000-0000")
        shutil.copytree(good, theirs)
        log = json.loads((theirs / "good.json").read_text())
        log["job"] |= {"id": theirs.name, "name": name}
        (theirs / f"{name}.json").write_text(json.dumps(field(way, value)(log)))
    failed = next(place.outbox.glob("name-up-*/*.json"))
    failed.write_text(json.dumps(field("job.finished_at", "yesterday")(json.loads(failed.read_text()))))
    place.manifest("again.yaml")
    share.run("run", "--keep-inputs", "7")
    yield share


@pytest.mark.parametrize("name", EDITS)
def test_a_job_whose_record_cannot_be_fails_with_a_sentence(share: Share, name: str) -> None:
    (path,) = share.place.outbox.glob(f"{name}-2*/{name}.json")
    log = json.loads(path.read_text())
    assert log["status"] == "failed"
    said = "its record job.json says nothing to paint" if name.endswith("less") else "its record is not one of this"
    assert said in log["error"]
    assert len(log["error"]) < 1200
    assert list((share.place.jobs / "failed").glob(f"{name}-2*"))


def test_the_good_jobs_are_done_and_nothing_outside_is_touched(share: Share) -> None:
    for name in ("good", "again"):
        (path,) = share.place.outbox.glob(f"{name}-2*/{name}.json")
        assert json.loads(path.read_text())["status"] == "done"
    assert sorted(path.name for path in share.place.root.iterdir()) == ["inbox", "jobs", "outbox", "private"]
    assert [path.name for path in share.private.iterdir()] == ["file"]
    assert (share.private / "file").read_text() == "private"
    assert all(len(path.name) == 64 for path in (share.place.jobs / "inputs").iterdir())
    assert share.place.leftovers() == []


def test_status_answers_in_words_and_in_json_that_is_json(share: Share) -> None:
    def refuse(word: str) -> None:
        raise ValueError(word)

    assert f"failed: {len(EDITS)}" in share.run("status")
    told = json.loads(share.run("status", "--json"), parse_constant=refuse)
    assert (told["done"], told["failed"]) == (2, len(EDITS))


def rows(share: Share) -> dict[str, dict[str, Any]]:
    text = (share.place.outbox / "index.html").read_text()
    found = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert found
    return {row["name"]: row for row in json.loads(found[1])["results"]}


@pytest.mark.parametrize("name", LOGS)
def test_a_row_that_cannot_be_told_is_left_out_or_shown_with_what_can_be(share: Share, name: str) -> None:
    shown = rows(share)
    assert shown["good"]["status"] == shown["again"]["status"] == "done"
    assert (name in shown) is LOGS[name][2]
    if row := shown.get(name):
        assert len(json.dumps(row, allow_nan=False)) < 100_000
        assert row["at"].endswith("+00:00")
        assert row["id"] == f"{name}-20260101-000000-0000"
        assert all("/" not in (variant["file"] or "") for variant in row["variants"] or [])


def test_a_spoilt_file_of_what_pictures_took_is_as_none_and_written_anew(share: Share, is_long: bool) -> None:
    place = share.place
    file = Path(place.environment["XDG_CACHE_HOME"], "stylistic", "pace.json")
    good = json.loads(file.read_text())
    (kind,) = good["paces"]
    assert good["paces"][kind]["rates"], "two jobs were painted"
    wrongs = (1e308, None, math.inf, -1, 10**400, "1")
    for number, wrong in enumerate(wrongs if is_long else wrongs[:2]):
        good["paces"][kind]["rates"] = {"12": wrong}
        file.write_text(json.dumps(good))
        share.run("status")
        place.manifest(f"after-{number}.yaml")
        share.run("check", str(place.inbox / f"after-{number}.yaml"))
        share.run("run")
        assert len(list(place.outbox.glob(f"after-{number}-2*/after-{number}.png"))) == 1
        steps = json.loads(file.read_text())["paces"][kind]["rates"]
        assert steps and all(0 < seconds < 1 for seconds in steps.values())


def packed(said: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array(json.dumps(said)), **arrays)
    return buffer.getvalue()


CHECKPOINTS: dict[str, Callable[[dict[str, Any], dict[str, Any]], bytes]] = {
    "seconds": lambda said, arrays: packed(said | {"optimize_seconds": 1e308}, arrays),
    "step": lambda said, arrays: packed(said | {"step": 10**30}, arrays),
    "scale": lambda said, arrays: packed(said | {"scale_index": -1}, arrays),
    "nan": lambda said, arrays: packed(said, {"array_0": np.full_like(arrays["array_0"], np.nan)}),
    "small": lambda said, arrays: packed(said, {"array_0": arrays["array_0"][:1, :1]}),
    "objects": lambda said, arrays: packed(said, {"array_0": np.array([print])}),
    "more": lambda said, arrays: packed(said | {"arrays": 2}, arrays | {"array_1": arrays["array_0"]}),
    "cut": lambda said, arrays: packed(said, arrays)[:-400],
}


@pytest.mark.stand_in
def test_a_checkpoint_that_somebody_has_edited_starts_over(place: Place) -> None:
    place.pair()
    for name in CHECKPOINTS:
        place.manifest(f"{name}.yaml", parameters={"steps_per_epoch": 9000})
    place.environment["STYLISTIC_WORKERS"] = str(len(CHECKPOINTS))

    def painted(attempt: int) -> str:
        """What is said until each job has made a step at an attempt, and is stopped."""
        process = place.start("run")
        logs = [f"{name}-2*/attempt-{attempt}/loss.jsonl" for name in CHECKPOINTS]
        running = place.jobs / "running"
        wait_for(lambda: all(any(path.stat().st_size for path in running.glob(log)) for log in logs))
        process.send_signal(signal.SIGTERM)
        return process.communicate(timeout=90)[1]

    painted(1)
    for name, edit in CHECKPOINTS.items():
        (path,) = (place.jobs / "queued").glob(f"{name}-2*/attempt-1/checkpoint.npz")
        with np.load(path) as saved:
            arrays = {key: saved[key] for key in saved.files if key != "meta"}
            path.write_bytes(edit(json.loads(str(saved["meta"])), arrays))
    said = painted(2)
    assert said.count("; starting over") == len(CHECKPOINTS), said
    for name in CHECKPOINTS:
        (path,) = (place.jobs / "queued").glob(f"{name}-2*/attempt-2/loss.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
        assert all(line["seconds"] < 1000 for line in lines)
        assert json.loads((path.parents[1] / "job.json").read_text())["deaths"] == 0
