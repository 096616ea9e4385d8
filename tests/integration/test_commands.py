"""The smaller commands, installed, on real folders."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal

import pytest
import yaml
from PIL import Image

from pipeline.outbox.overview import Overview
from tests.conftest import Place, picture, wait_for


class TestSubmit:
    @pytest.mark.stand_in
    def test_a_submitted_pair_runs(self, place: Place) -> None:
        picture(seed=1).save(place.root / "my photo.png")
        picture(seed=2).save(place.root / "wave.png")
        picture(seed=3).save(place.root / "scream.png")
        settings = ["image_size=64", "epochs=1", "steps_per_epoch=2", "style_weight=1e-1", "priority=4", "preset=draft"]
        flags = [part for setting in settings for part in ("--set", setting)]
        done = place.run("submit", "my photo.png", "wave.png", "scream.png", *flags)
        assert done.returncode == 0, done.stderr
        (folder,) = place.inbox.iterdir()
        assert done.stdout.strip() == f"inbox/{folder.name}"
        assert place.run("run").returncode == 0
        (log,) = place.logs()
        assert log["job"]["name"] == "my photo-wave"
        assert log["manifest"]["parameters"]["style_weight"] == 0.1
        assert (log["manifest"]["priority"], log["manifest"]["preset"]) == (4, "draft")
        assert len(log["inputs"]["style"]) == 2

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["a.png", "b.png", "--set", "epochs=none"], "`parameters.epochs`: must be a whole number"),
            (["a.png", "b.png", "--set", "style_wieght=1"], "did you mean `style_weight`?"),
            (["a.png", "b.png", "--set", "epochs"], "write it as key=value"),
            (["a.png", "no.png"], "no.png: cannot be read"),
            (["a.png", "b.png", "--name", "../x"], "may hold letters"),
        ],
    )
    def test_mistakes_are_told_and_leave_nothing_behind(
        self, place: Place, arguments: list[str], sentence: str
    ) -> None:
        picture().save(place.root / "a.png")
        picture().save(place.root / "b.png")
        done = place.run("submit", *arguments)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert list(place.inbox.iterdir()) == []


@pytest.mark.stand_in
class TestSubmitMany:
    QUICK = ("--set", "image_size=64", "--set", "epochs=1", "--set", "steps_per_epoch=2")

    def place_photos(self, place: Place) -> None:
        for seed, name in enumerate(("holiday/A.JPG", "holiday/day 1/b.png", "c.webp", "old/c.png", "wave.png")):
            (place.root / name).parent.mkdir(exist_ok=True)
            picture(seed=seed).save(place.root / name)

    def test_photos_folders_and_patterns_become_a_job_each_and_results_run_again(self, place: Place) -> None:
        self.place_photos(place)
        done = place.run("submit", "holiday", "*.WEBP", "old/c.png", *self.QUICK, "--style", "wave.png")
        assert done.returncode == 0, done.stderr
        manifests = [yaml.safe_load((place.root / line / "job.yaml").read_text()) for line in done.stdout.splitlines()]
        assert [(m["name"], m["content"], m["style"]) for m in manifests] == [
            ("A", "A.JPG", "wave.png"),
            ("day 1-b", "b.png", "wave.png"),
            ("c", "c.webp", "wave.png"),
            ("c", "c.png", "wave.png"),
        ]
        assert place.run("run", "--max-jobs", "1").returncode == 0
        (log,) = place.logs()
        result = place.result(log).with_name("manifest.yaml")
        again = place.inbox / "again"
        again.mkdir()
        for source, name in ((result, "job.yaml"), (place.root / "holiday" / "A.JPG", "A.JPG")):
            shutil.copy(source, again / name)
        shutil.copy(place.root / "wave.png", again)
        told = place.run("check", "inbox/again/job.yaml").stdout
        assert re.fullmatch(r"inbox/again/job\.yaml: fine, about \d+ s\n1 picture, about \d+ s on this CPU\n", told), (
            told
        )

    def test_a_dry_run_tells_and_writes_nothing(self, place: Place) -> None:
        self.place_photos(place)
        done = place.run(
            "submit", "holiday", "--name", "trip", "--dry-run", *self.QUICK, "--style", "wave.png", "c.webp"
        )
        assert done.stdout.splitlines() == [
            "trip-A: A.JPG, 2 steps",
            "trip-day 1-b: b.png, 2 steps",
            "2 pictures; how long that takes is not measured yet on this machine; nothing is written",
        ]
        assert list(place.inbox.iterdir()) == []

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["holiday", "bad.jpg", "--style", "wave.png"], "bad.jpg: not an image"),
            (["holiday", "--style", "bad.jpg"], "bad.jpg: not an image"),
            (["nothing", "--style", "wave.png"], "nothing: cannot be read"),
            (["nothing*", "--style", "wave.png"], "nothing*: no photo there"),
            (["--style", "wave.png", "c.webp"], "Name photos before --style"),
            (["c.webp"], "c.webp: like which painting?"),
            (["holiday", "--style", "wave.png", "--set", "epochs=[1"], "--set epochs, line "),
        ],
    )
    def test_mistakes_leave_nothing_behind(self, place: Place, arguments: list[str], sentence: str) -> None:
        self.place_photos(place)
        (place.root / "bad.jpg").write_bytes(b"this is no picture at all")
        done = place.run("submit", *arguments)
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
        assert list(place.inbox.iterdir()) == []

    def test_photo_and_painting_may_have_one_name(self, place: Place) -> None:
        self.place_photos(place)
        picture(seed=7).save(place.root / "c.png")
        (line,) = place.run("submit", "c.png", "--style", "old/c.png").stdout.splitlines()
        job = yaml.safe_load((place.root / line / "job.yaml").read_text())
        assert (job["content"], job["style"]) == ("c.png", "c-2.png")
        assert (place.root / line / "c-2.png").read_bytes() == (place.root / "old/c.png").read_bytes()


class TestFolders:
    @pytest.mark.parametrize("command", ["run", "watch"])
    @pytest.mark.parametrize("option", ["--inbox", "--jobs", "--outbox"])
    def test_a_named_folder_that_is_missing_is_not_made(self, place: Place, command: str, option: str) -> None:
        done = place.run(command, option, "share/pictures")
        assert done.returncode == 3
        assert f"share/pictures: not there ({option})" in done.stderr
        assert not (place.root / "share").exists()

    def test_the_start_says_which_folders_it_looks_at(self, place: Place) -> None:
        (place.root / "out").mkdir()
        said = place.run("run", "--outbox", "out").stderr.splitlines()[0]
        assert said.endswith(f"inbox {place.inbox}, jobs {place.jobs}, outbox {place.root / 'out'}")


class TestCheck:
    def test_good_and_bad_manifests_are_told_apart(self, place: Place) -> None:
        place.pair()
        good = place.manifest("good.yaml")
        bad = place.manifest("bad.yaml", style="nowhere.png", colour="red")
        assert place.run("check", str(good)).returncode == 0
        done = place.run("check", str(good), str(bad))
        assert done.returncode == 1
        assert "good.yaml: fine\n" in done.stdout
        assert "1 picture; how long that takes is not measured yet on this machine\n" in done.stdout
        assert "`colour`: unknown" in done.stdout
        bad = place.manifest("bad.yaml", style="nowhere.png")
        assert "nowhere.png: cannot be read" in place.run("check", str(bad)).stdout

    def test_it_runs_nothing(self, place: Place) -> None:
        place.pair()
        place.run("check", str(place.manifest("good.yaml")))
        assert not place.jobs.exists()
        assert not place.outbox.exists()


def test_schema_prints_json_schema(place: Place) -> None:
    schema = json.loads(place.run("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["properties"]["content"]


def test_weights_tells_fetches_and_verifies(place: Place) -> None:
    fresh = {"XDG_CACHE_HOME": str(place.root / "cache")}
    place.environment.pop("STYLISTIC_WEIGHTS")
    assert place.run("weights", "verify", environment=fresh).returncode == 3
    fetched = place.run("weights", "fetch", environment=fresh)
    assert fetched.returncode == 0, fetched.stderr
    assert "SHA-256" in fetched.stdout
    assert place.run("weights", "verify", environment=fresh).returncode == 0
    assert "16 convolutions" in place.run("weights", environment=fresh).stdout
    (cached,) = [p for p in (place.root / "cache").rglob("vgg19*") if p.suffix in (".h5", ".bin")]
    cached.write_bytes(cached.read_bytes()[:-1])
    tampered = place.run("weights", "verify", environment=fresh)
    assert tampered.returncode == 3
    assert "damaged or tampered" in tampered.stderr


class TestStatusAndRetry:
    @pytest.mark.stand_in
    def test_what_waits_or_is_not_understood_is_told_with_its_remedy(self, place: Place) -> None:
        place.photo("tubingen.jpg")
        place.photo("painting.png")
        place.manifest("typo.yaml", content="tubigen.jpg")
        place.manifest("case.yaml", content="TUBINGEN.jpg", parameters={"steps_per_epoch": 2})
        place.manifest("notepad.yaml.txt")
        for name, folder in (("Job.yaml", "trip"), ("manifest.yaml", "pair")):
            place.manifest(name, folder=place.inbox / folder)
            for image in ("photo.png", "painting.png"):
                place.photo(f"{folder}/{image}")
        (place.inbox / "wedding.docx").touch()
        place.photo("holiday/1.jpg")
        os.utime(place.inbox / "holiday", (1e9, 1e9))
        process = place.start("watch", quiet=True)
        told = wait_for(lambda: text if "typo.yaml" in (text := place.run("status").stdout) else None)
        for sentence in (
            "typo.yaml: tubigen.jpg is missing; did you mean tubingen.jpg?",
            "rename it to notepad.yaml",
            "trip/Job.yaml is not looked at; rename it to job.yaml",
            "pair/manifest.yaml is not looked at: the manifest of a folder is named job.yaml; rename it to that",
            "under the name wedding.yaml",
            "put a painting into it as holiday/style.jpg",
        ):
            assert sentence in told
        assert "\n  case.yaml" not in told, "a name that differs in case only is found"
        page = wait_for(lambda: (place.outbox / "index.html").read_text())
        wait_for(lambda: "did you mean tubingen.jpg?" in (place.outbox / "index.html").read_text())
        assert "case.yaml" not in page
        process.terminate()
        assert process.wait(timeout=60) == 0
        (place.jobs / "failed").mkdir(exist_ok=True)
        again = place.run("status")
        assert (again.returncode, "no runner to see to it" in again.stdout) == (3, True)

    def test_the_manifest_of_a_failure_lies_beside_its_reason(self, place: Place) -> None:
        place.pair()
        dropped = place.manifest("a.yaml", parameters={"image_size": 16, "style_size": 16}).read_text()
        refused = place.manifest("b.yaml", parameters={"epochs": -1}).read_text()
        assert place.run("run").returncode == 1
        found = {path.name: path.read_text() for path in place.outbox.glob("*/dropped/*")}
        assert found == {"a.yaml": dropped, "b.yaml": refused}

    @pytest.mark.stand_in
    def test_status_shows_queue_progress_results_and_failures(self, place: Place) -> None:
        place.pair()
        place.manifest("1-bad.yaml", parameters={"epochs": -1})
        place.manifest("2-quick.yaml", parameters={"steps_per_epoch": 2})
        place.manifest("3-long.yaml", parameters={"steps_per_epoch": 5000})
        place.manifest("4-later.yaml")
        process = place.start("run")
        losses = wait_for(lambda: next(iter((place.jobs / "running").glob("3-long*/attempt-1/loss.jsonl")), None))
        wait_for(lambda: losses.read_text().count("\n") > 3)
        wait_for(lambda: list((place.jobs / "done").glob("2-quick*")))  # filed while the next job runs already
        told = place.run("status")
        text = told.stdout
        assert told.returncode == 1, "something has failed since yesterday"
        assert f"a runner is alive: process {process.pid}" in text
        assert "running: 3-long-" in text
        assert "of 5000, 64 px, loss" in text
        assert "queued: 1" in text
        assert "done: 1\n  2-quick-" in text
        assert "failed: 1\n  1-bad-" in text
        assert "must be from 1 to 1000, not -1" in text
        found = Overview.model_validate_json(place.run("status", "--json").stdout)
        (running,) = found.running
        assert (running.name, running.stage, running.steps, running.device) == ("3-long", "painting", 5000, "CPU")
        assert [job.name for job in found.queue.jobs] == ["4-later"]
        assert (found.done, found.failed, found.failed_since_yesterday) == (1, 1, 1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        left = place.run("status")
        assert "the last one ended in order" in left.stdout
        assert "1 done, 1 failed" in left.stdout
        assert left.returncode == 3, "two jobs wait, and no runner is alive"

    def test_a_job_that_failed_in_the_engine_runs_again(self, place: Place) -> None:
        place.pair()
        Image.new("L", (64, 48)).save(place.inbox / "mask.png")
        place.manifest("a.yaml", style=[{"image": "painting.png", "content_mask": "mask.png"}])
        assert place.run("run").returncode == 1
        (failed,) = place.logs()
        assert "black all over" in failed["error"]
        job_id = failed["job"]["id"]
        assert job_id in (place.outbox / "index.html").read_text()
        assert place.run("retry", job_id).returncode == 0
        assert place.logs() == []
        assert '"results":[]' in (place.outbox / "index.html").read_text(), "no runner is there to tell it"
        assert place.run("run").returncode == 1
        (again,) = place.logs()
        assert (again["job"]["id"], again["job"]["attempts"]) == (job_id, 2)

    @pytest.mark.stand_in
    def test_a_drop_that_failed_for_a_missing_image_is_taken_in_again(self, place: Place) -> None:
        place.photo("painting.png", seed=2)
        place.manifest("a.yaml")
        assert place.run("run", "--input-timeout", "0.5").returncode == 1
        (failed,) = place.logs()
        kept = place.jobs / "failed" / failed["job"]["id"] / "drop" / "a.yaml"
        assert yaml.safe_load(kept.read_text())["content"] == "photo.png"
        place.photo("photo.png", seed=1)
        assert place.run("retry", failed["job"]["id"]).returncode == 0
        done = place.run("run")
        assert done.returncode == 0, done.stderr
        (log,) = place.logs()
        assert (log["status"], log["job"]["id"]) == ("done", failed["job"]["id"])
        assert place.leftovers() == []

    def test_an_unknown_job_is_told(self, place: Place) -> None:
        (place.jobs / "failed").mkdir(parents=True)
        done = place.run("retry", "nothing-20260101-000000-0000")
        assert done.returncode == 2
        assert "no failed job of this id" in done.stderr
