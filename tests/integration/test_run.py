"""The installed command, `stylistic run`, on real folders; a tiny VGG-19 where the promise is not about pictures."""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import Place, opened, picture, wait_for, wait_until_said


def only_log(place: Place) -> dict[str, Any]:
    (log,) = place.logs()
    return log


class TestOneJob:
    def test_a_flat_manifest_becomes_a_picture_a_log_and_an_effective_manifest(self, place: Place) -> None:
        place.pair()
        place.manifest("harbour.yaml", priority=3)
        done = place.run("run")
        assert done.returncode == 0, done.stderr
        log = only_log(place)
        assert log["status"] == "done"
        assert f"done    outbox/{log['job']['id']}/harbour.png" in done.stdout
        folder = place.outbox / log["job"]["id"]
        assert sorted(path.name for path in folder.iterdir()) == [
            "harbour.json",
            "harbour.loss.png",
            "harbour.png",
            "manifest.yaml",
            "previews",
        ]
        previews = {path.name: opened(path).size for path in folder.glob("previews/*")}
        assert previews == {"picture.webp": (64, 51), "photo.webp": (64, 51), "painting-1.webp": (64, 51)}
        assert opened(folder / "harbour.png").size == (64, 51)
        assert opened(folder / "harbour.loss.png").format == "PNG"
        assert "harbour.png" in (place.outbox / "index.html").read_text()
        assert sorted(path.name for path in place.inbox.iterdir() if path.suffix) == ["painting.png", "photo.png"]
        assert [path.name for path in (place.jobs / "done").iterdir()] == [f"{log['job']['id']}.json"]
        assert place.leftovers() == []

    def test_every_field_of_the_log_is_true(self, place: Place, tiny_weights: Path) -> None:
        place.pair()
        place.manifest("a.yaml", parameters={"pyramid": [32, 64], "precision": "float32"})
        place.run("run")
        log = only_log(place)
        assert log["schema"] == "stylistic.log/1"
        job = log["job"]
        assert job["claimed_at"] < job["started_at"] < job["finished_at"]
        assert (job["name"], job["attempts"]) == ("a", 1)
        assert log["manifest"] == yaml.safe_load((place.outbox / job["id"] / "manifest.yaml").read_text())
        photo = place.inbox / "photo.png"
        assert log["inputs"]["content"] == {
            "file": "photo.png",
            "sha256": hashlib.sha256(photo.read_bytes()).hexdigest(),
            "width": 80,
            "height": 64,
        }
        assert [style["file"] for style in log["inputs"]["style"]] == ["painting.png"]
        weights = {"source": str(tiny_weights), "sha256": hashlib.sha256(tiny_weights.read_bytes()).hexdigest()}
        assert log["engine"]["weights"] == weights
        assert log["engine"]["precision"] == "float32"
        loss = log["loss"]
        assert loss["step"] == [1, 2, 3, 4, 5, 6]
        assert loss["scale"] == [32, 32, 32, 64, 64, 64]
        parts = np.array(loss["content"]) + np.array(loss["style"]) + np.array(loss["total_variation"])
        np.testing.assert_allclose(loss["total"], parts, rtol=1e-5)
        assert loss["content"][0] == 0.0  # before the first update the picture is the photo
        timing = log["timing"]
        assert timing["seconds_per_step"] == pytest.approx(timing["optimize_seconds"] / 6, rel=1e-3)
        assert 5e7 < log["peak_memory_bytes"] < 8e9
        output = place.result(log)
        assert log["output"]["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
        assert (log["output"]["width"], log["output"]["height"]) == opened(output).size
        assert log["error"] is None

    @pytest.mark.stand_in
    def test_a_job_folder_is_consumed_whole(self, place: Place) -> None:
        building = place.root / "trip"
        building.mkdir()
        picture(seed=1).save(building / "photo.png")
        picture(seed=2).save(building / "painting.png")
        place.manifest("job.yaml", folder=building)
        building.rename(place.inbox / "trip")
        assert place.run("run").returncode == 0
        assert only_log(place)["job"]["name"] == "trip"
        assert not (place.inbox / "trip").exists()
        assert place.leftovers() == []

    @pytest.mark.stand_in
    def test_json_manifests_work(self, place: Place) -> None:
        place.pair()
        manifest = {
            "content": "photo.png",
            "style": ["painting.png"],
            "parameters": {"image_size": 64, "epochs": 1, "steps_per_epoch": 2},
        }
        (place.inbox / "a.json").write_text(json.dumps(manifest, indent="\t"))
        assert place.run("run").returncode == 0
        assert only_log(place)["loss"]["step"] == [1, 2]

    def test_the_effective_manifest_gives_the_same_bytes(self, place: Place) -> None:
        place.pair()
        place.photo("second.png", seed=3)
        style = [{"image": "painting.png", "weight": 2}, "second.png"]
        place.manifest("a.yaml", style=style, parameters={"init": "noise", "seed": 3, "optimizer": "lbfgs"})
        place.run("run")
        first = only_log(place)
        effective = (place.outbox / first["job"]["id"] / "manifest.yaml").read_bytes()
        (place.inbox / "again.yaml").write_bytes(effective)
        place.run("run")
        logs = place.logs()
        assert len(logs) == 2
        assert logs[0]["output"]["sha256"] == logs[1]["output"]["sha256"]
        assert logs[0]["loss"] == logs[1]["loss"]
        assert logs[0]["manifest"] == logs[1]["manifest"]

    @pytest.mark.stand_in
    def test_alpha_returns_in_the_result(self, place: Place) -> None:
        place.pair()
        cutout = picture(64, 64, seed=1).convert("RGBA")
        cutout.paste((0, 0, 0, 0), (32, 0, 64, 64))
        cutout.save(place.inbox / "photo.png")
        place.manifest("a.yaml")
        place.run("run")
        result = opened(place.result(only_log(place)))
        assert result.mode == "RGBA"
        alpha = np.asarray(result.getchannel("A"))
        assert (alpha[:, :31] == 255).all()
        assert (alpha[:, 33:] == 0).all()

    @pytest.mark.stand_in
    @pytest.mark.parametrize(("form", "suffix"), [("jpeg", ".jpg"), ("webp", ".webp")])
    def test_other_output_formats(self, place: Place, form: str, suffix: str) -> None:
        place.pair()
        place.manifest("a.yaml", parameters={"output_format": form})
        place.run("run")
        result = place.result(only_log(place))
        assert result.name == f"a{suffix}"
        assert opened(result).format == form.upper()


class TestBatches:
    @pytest.mark.stand_in
    def test_priority_first_then_the_order_of_claims(self, place: Place) -> None:
        place.pair()
        for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -1)):
            place.manifest(f"{name}.yaml", priority=priority)
        assert place.run("run").returncode == 0
        assert [log["job"]["name"] for log in place.logs()] == ["b", "a", "c", "d"]

    def test_bad_jobs_fail_with_a_sentence_and_the_others_run(self, place: Place) -> None:
        place.pair()
        (place.inbox / "broken.png").write_bytes((place.inbox / "photo.png").read_bytes()[:500])
        (place.inbox / "text.png").write_text("not a picture at all")
        Image.new("RGB", (4, 400), "red").save(place.inbox / "narrow.png")
        place.manifest("1-typo.yaml", parameters={"epochs": 0, "style_wieght": 1})
        place.manifest("2-missing.yaml", content="nowhere.png")
        place.manifest("3-broken.yaml", content="broken.png")
        place.manifest("4-text.yaml", content="text.png")
        place.manifest("5-narrow.yaml", content="narrow.png")
        place.manifest("6-outside.yaml", content="../../../etc/passwd")
        place.manifest("7-good.yaml")
        done = place.run("run", "--input-timeout", "1")
        assert done.returncode == 1, done.stderr
        logs = {log["job"]["name"]: log for log in place.logs()}
        assert len(logs) == 7
        assert logs.pop("7-good")["status"] == "done"
        errors = {name: log["error"] for name, log in logs.items()}
        assert "line 6: `parameters.epochs`: must be from 1 to 1000, not 0" in errors["1-typo"]
        assert "did you mean `style_weight`?" in errors["1-typo"]
        assert "nowhere.png is missing" in errors["2-missing"]
        assert "broken.png: does not decode to its end" in errors["3-broken"]
        assert "text.png: not an image of a known format" in errors["4-text"]
        assert "too narrow" in errors["5-narrow"]
        assert "leads outside the inbox" in errors["6-outside"]
        assert all(log["status"] == "failed" and log["output"] is None for log in logs.values())
        assert len(list((place.jobs / "failed").iterdir())) == 6
        assert place.leftovers() == []
        page = (place.outbox / "index.html").read_text()
        assert all(name in page for name in errors)

    @pytest.mark.stand_in
    def test_max_jobs_leaves_the_rest_for_the_next_run(self, place: Place) -> None:
        place.pair()
        for name in "abc":
            place.manifest(f"{name}.yaml")
        place.run("run", "--max-jobs", "2")
        assert [log["job"]["name"] for log in place.logs()] == ["a", "b"]
        place.run("run")
        assert [log["job"]["name"] for log in place.logs()] == ["a", "b", "c"]

    def test_the_worker_and_its_weights_serve_all_jobs(self, place: Place) -> None:
        place.pair()
        for name in "abc":
            place.manifest(f"{name}.yaml")
        place.run("run")
        logs = place.logs()
        assert logs[0]["timing"]["setup_seconds"] > 0
        # Decoding two small pictures is all that the second and third job set up.
        assert max(log["timing"]["setup_seconds"] for log in logs[1:]) < 0.5

    def test_a_picture_too_large_for_memory_is_told_the_size_that_would_fit(self, place: Place) -> None:
        place.pair()
        place.manifest("a-huge.yaml", parameters={"image_size": 16_384, "pyramid": "off"})
        place.manifest("b-small.yaml")
        place.run("run")
        huge, small = place.logs()
        assert re.search(r"takes about \d+\.\d GB of memory.* image_size (\d+) would fit", huge["error"])
        assert small["status"] == "done"

    @pytest.mark.stand_in
    def test_images_that_come_late_are_waited_for(self, place: Place) -> None:
        place.photo("painting.png", seed=2)
        place.manifest("a.yaml")
        process = place.start("run")
        wait_for(lambda: (place.jobs / ".runner.json").exists())
        wait_until_said(process, "photo.png is missing")
        whole = place.root / "photo.png"
        picture(seed=1).save(whole)
        data = whole.read_bytes()
        with (place.inbox / "photo.png").open("wb") as file:  # copied slowly
            for start in range(0, len(data), len(data) // 4):
                file.write(data[start : start + len(data) // 4])
                file.flush()
                assert process.poll() is None
                assert place.logs() == []
        process.communicate(timeout=120)
        log = only_log(place)
        assert log["status"] == "done"
        assert log["inputs"]["content"]["sha256"] == hashlib.sha256(data).hexdigest()


class TestInterruption:
    def test_sigterm_puts_the_job_back_and_the_next_run_goes_on(self, place: Place) -> None:
        place.pair()
        box = {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}
        kept = {"snapshots": 50, "timelapse": True, "output_depth": 16, "protect": [box]}
        place.manifest("a.yaml", parameters={"steps_per_epoch": 250, "optimizer": "lbfgs", "pyramid": [32, 64], **kept})
        process = place.start("run")
        losses = wait_for(lambda: next(iter((place.jobs / "running").glob("*/attempt-1/loss.jsonl")), None))
        wait_for(lambda: losses.read_text().count("\n") > 60)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        (queued,) = (place.jobs / "queued").iterdir()
        assert (queued / "attempt-1" / "checkpoint.npz").exists()
        (queued / "attempt-1" / "snapshot-000250.png").write_bytes(b"of a step that is made again")
        assert place.logs() == []
        assert place.run("run").returncode == 0
        resumed = only_log(place)
        assert resumed["job"]["attempts"] == 2
        effective = (place.outbox / resumed["job"]["id"] / "manifest.yaml").read_bytes()
        (place.inbox / "whole.yaml").write_bytes(effective)
        place.run("run")
        whole = place.logs()[1]
        assert whole["job"]["attempts"] == 1
        assert resumed["loss"] == whole["loss"]
        assert resumed["output"]["sha256"] == whole["output"]["sha256"]
        first, second = ({path.name: path.read_bytes() for path in self.kept(place, log)} for log in (resumed, whole))
        assert first == second
        assert list(first) == ["a.timelapse.webp", *(f"snapshot-{step:06}.png" for step in range(50, 251, 50))]
        sizes = {opened(path).size for path in self.kept(place, resumed)}
        assert sizes == {(64, 51)}, "of the finest scale, whatever scale the step was made at"
        assert getattr(Image.open(io.BytesIO(first["a.timelapse.webp"])), "n_frames", 1) > 1

    def kept(self, place: Place, log: dict[str, Any]) -> list[Path]:
        folder = place.outbox / log["job"]["id"]
        return [folder / "a.timelapse.webp", *sorted((folder / "a.snapshots").iterdir())]

    @pytest.mark.stand_in
    def test_a_queued_job_that_another_version_made_fails_and_the_next_runs(self, place: Place) -> None:
        place.pair()
        for name in ("a", "b", "c"):
            place.manifest(f"{name}.yaml")
        assert place.run("run", "--max-jobs", "1").returncode == 0
        (record,) = (place.jobs / "queued").glob("b-*/job.json")
        data = json.loads(record.read_text())
        data["manifest"]["parameters"]["epochs"] = -1
        record.write_text(json.dumps(data))
        assert place.run("run").returncode == 1
        ended = {log["job"]["name"]: log for log in place.logs()}
        assert [ended[name]["status"] for name in ("a", "b", "c")] == ["done", "failed", "done"]
        assert "not one of this version of Stylistic (`parameters.epochs`: " in ended["b"]["error"]

    def test_a_second_runner_exits_with_75_and_names_the_first(self, place: Place) -> None:
        place.photo("painting.png", seed=2)
        place.manifest("a.yaml")  # waits for its photo
        first = place.start("run")
        wait_for(lambda: (place.jobs / ".runner.json").exists())
        second = place.run("run")
        assert second.returncode == 75
        assert f"process {first.pid} on" in second.stderr
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)

    @pytest.mark.stand_in
    def test_without_weights_no_job_is_blamed(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml")
        done = place.run("run", "--weights", "nowhere.h5")
        assert done.returncode == 3
        assert "nowhere.h5: cannot be read" in done.stderr
        assert place.logs() == []
        assert len(list((place.jobs / "queued").iterdir())) == 1
        assert place.run("run").returncode == 0
        assert only_log(place)["status"] == "done"


class TestRealPictures:
    """The whole way with the real VGG-19, found by itself."""

    def test_a_photo_takes_on_the_manner_of_a_painting(self, real_place: Place, shared: Path) -> None:
        place = real_place
        for source, name in (("tubingen.jpg", "photo.jpg"), ("starry_night.jpg", "painting.jpg")):
            (place.inbox / name).write_bytes((shared / "images" / source).read_bytes())
        parameters = {"image_size": 128, "style_size": 128, "steps_per_epoch": 60}
        place.manifest("a.yaml", content="photo.jpg", style="painting.jpg", parameters=parameters)
        done = place.run("run", timeout=400)
        assert done.returncode == 0, done.stderr
        log = only_log(place)
        assert log["loss"]["style"][-1] < 0.4 * log["loss"]["style"][0]
        result = np.asarray(opened(place.result(log)).convert("RGB"), np.float64)
        photo = np.asarray(opened(place.inbox / "photo.jpg").convert("RGB").resize((128, 96)), np.float64)
        painting = np.asarray(opened(place.inbox / "painting.jpg").convert("RGB"), np.float64)
        # The colours have moved from the photo's towards the painting's, and the photo's layout is still there.
        for channel in range(3):
            moved = abs(result[..., channel].mean() - painting[..., channel].mean())
            assert moved < abs(photo[..., channel].mean() - painting[..., channel].mean()) + 5
        assert np.corrcoef(result.mean(2).ravel(), photo.mean(2).ravel())[0, 1] > 0.4

    def test_the_log_agrees_with_the_reference(self, real_place: Place, shared: Path) -> None:
        place = real_place
        reference = json.loads((shared / "reference" / "objective.json").read_text())
        for key in ("content", "style"):
            (place.inbox / f"{key}.png").write_bytes((shared / "reference" / reference[key]).read_bytes())
        parameters = {"image_size": 256, "style_size": 256, "steps_per_epoch": 8}
        place.manifest("a.yaml", content="content.png", style="style.png", preset="tutorial", parameters=parameters)
        place.run("run", timeout=400)
        loss = only_log(place)["loss"]
        for index, expected in enumerate(reference["adam_trajectory_from_content"]["steps"][:8]):
            for name in ("total", "style", "content", "total_variation"):
                assert loss[name][index] == pytest.approx(expected[name], rel=0.01)


@pytest.mark.stand_in
def test_nobody_ever_sees_half_a_result(place: Place) -> None:
    place.pair()
    for name in "abcd":
        place.manifest(f"{name}.yaml", parameters={"steps_per_epoch": 2})
    process = place.start("run")
    seen = 0
    while process.poll() is None:
        for folder in place.outbox.glob("[!.]*-*/") if place.outbox.exists() else ():
            (log,) = folder.glob("*.json")
            output = json.loads(log.read_text())["output"]
            assert hashlib.sha256((folder / output["file"]).read_bytes()).hexdigest() == output["sha256"]
            seen += 1
    process.communicate()
    assert seen > 4
    assert len(place.logs()) == 4


def test_wrong_usage_exits_with_2(place: Place) -> None:
    for arguments in (["run", "--nonsense"], ["nonsense"], ["submit", "only-one.png"], ["run", "--until", "25:99"]):
        done = place.run(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr


def test_a_folder_that_cannot_be_made_exits_with_3(place: Place) -> None:
    (place.root / "file").write_text("")
    done = place.run("run", "--outbox", "file/outbox")
    assert done.returncode == 3
    assert "file/outbox" in done.stderr


def test_the_command_is_installed(place: Place) -> None:
    version: subprocess.CompletedProcess[str] = place.run("--version")
    assert version.stdout.startswith("stylistic, version ")


@pytest.mark.stand_in
def test_a_page_that_cannot_be_written_keeps_no_job_waiting(place: Place) -> None:
    place.pair()
    for name in "abc":
        place.manifest(f"{name}.yaml")
    (place.outbox / "index.html").mkdir(parents=True)
    (place.outbox / "index.html" / "theirs").touch()
    ended = place.run("run")
    assert ended.returncode == 3
    assert "the page: Is a directory" in ended.stderr
    assert [log["status"] for log in place.logs()] == ["done"] * 3
    assert (place.outbox / "index.html" / "theirs").exists()
