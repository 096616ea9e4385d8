"""How the worker keeps the log and the checkpoint of a job together."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import storage
from pipeline.cli.main import cli
from pipeline.engine.extractor import Extractor
from pipeline.engine.stylize import State, Step, Stylizer
from pipeline.engine.targets import Style
from pipeline.errors import JobError
from pipeline.forecast.memory import bytes_of as memory_of
from pipeline.forecast.memory import bytes_of_checkpoints
from pipeline.forecast.work import Painting, Source
from pipeline.jobs import checkpoint, losses
from pipeline.manifest.fields import VGG19_LAYERS, Print
from pipeline.manifest.parameters import Parameters
from pipeline.worker import fitting, memory
from pipeline.worker.optimizing import Keeping, optimize
from pipeline.worker.session import Options
from tests.conftest import picture, tiny_kernels


@pytest.fixture
def steps() -> Iterator[Step]:
    """Eight steps in calls of one, two, four and one."""
    return run()


def run(**parameters: Any) -> Iterator[Step]:
    image: Any = np.asarray(picture(64, 48, seed=1).convert("RGB"), np.float32) / 255
    asked = Parameters(epochs=1, steps_per_epoch=8, pyramid="off", **parameters)
    stylizer = Stylizer(Extractor(tiny_kernels(), "float32"), call_seconds=1e9)
    return stylizer.run(image, [Style(image, 1.0, "style")], asked)


def logged(folder: Path) -> int:
    return (folder / losses.FILE).read_text().count("\n")


def test_a_checkpoint_is_of_the_step_that_the_log_has_reached(
    tmp_path: Path, steps: Iterator[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    monkeypatch.setattr(checkpoint, "save", lambda folder, found, _: saved.append((found.step, logged(folder))))
    with losses.opened(tmp_path, keep=0) as log:
        reached = optimize(steps, None, Keeping(tmp_path, "", 0.0, lambda: False, log))
    assert saved == [(1, 1), (3, 3), (7, 7), (8, 8)]
    assert reached is not None and reached[0].step == logged(tmp_path) == 8


def test_checkpoints_of_gigabytes_take_a_twentieth_of_the_time_whatever_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saves = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def save(*_: Any) -> None:
        saves.append(clock[0])
        clock[0] += 10.0

    def long_steps() -> Iterator[Step]:
        for number in range(1, 1001):
            clock[0] += 1.0
            yield Step(number, 64, 1.0, 1.0, 0.0, 0.0, 0.0, State(number, 0, ()))

    monkeypatch.setattr(checkpoint, "save", save)
    with losses.opened(tmp_path, keep=0) as log:
        optimize(long_steps(), None, Keeping(tmp_path, "", 0.0, lambda: False, log))
    assert 3 <= len(saves) <= 0.05 * clock[0] / 10.0 + 2


def test_a_word_to_stop_within_a_call_ends_the_call(tmp_path: Path, steps: Iterator[Step]) -> None:
    stop = threading.Event()

    def told() -> Any:
        for step in steps:
            if step.number == 4:
                stop.set()
            yield step

    with losses.opened(tmp_path, keep=0) as log:
        assert optimize(told(), None, Keeping(tmp_path, "job", 1e9, stop.is_set, log)) is None
    stages = Stylizer(Extractor(tiny_kernels(), "float32")).stages(48, 64, Parameters(pyramid="off"))
    found = checkpoint.load(tmp_path, "job", stages)
    assert isinstance(found, checkpoint.Checkpoint)
    assert found.step == logged(tmp_path) == 7


def test_a_call_of_several_steps_ends_where_a_picture_is_wanted() -> None:
    assert sorted({step.state.step for step in run(snapshots=4)}) == [1, 3, 4, 6, 8]


IMAGES = {"content": Source("content", 4000, 3000), "style-1": Source("style-1", 1000, 2000)}


class TestMemory:
    """What the machine cannot hold is refused, with what would fit."""

    def refusal(self, monkeypatch: pytest.MonkeyPatch, free: float, **parameters: Any) -> str:
        painting = Painting(Parameters(**parameters), 4000, 3000, images=IMAGES)
        monkeypatch.setattr(memory, "available", lambda limit: int(free))
        with pytest.raises(JobError) as refused:
            fitting.require_memory(painting, "float32", Options(None, 10**8, 30, device="cpu"))
        return str(refused.value)

    def test_a_picture_too_large_is_told_the_size_that_fits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.refusal(monkeypatch, 1e9, image_size=4096, style_size=64)
        assert "a picture of 4096 pixels takes about" in said
        size = int(said.split("image_size ")[1].split(" ")[0])
        assert 500 < size < 1500

    def test_a_print_too_large_is_told_the_dpi_that_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        paper = {"print": Print(width_cm=60, dpi=300), "image_size": 7087, "style_size": 64}
        said = self.refusal(monkeypatch, 3e9, **paper)
        dpi = int(said.split("dpi ")[1].split(" ")[0])
        assert "a picture of 7087 pixels takes about" in said and 20 < dpi < 100

    def test_where_nothing_fits_no_size_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.refusal(monkeypatch, 1e5, image_size=512, style_size=16)
        assert "Not even the smallest picture would fit." in said
        assert "image_size 0" not in said

    def test_a_painting_too_large_is_told_of_the_painting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.refusal(monkeypatch, 4e9, image_size=512, style_size=2048, style_scale=4)
        assert "a painting of 8192 pixels takes about" in said
        assert "style_size × style_scale of " in said

    @pytest.mark.parametrize("free", [1e9, 2e9])
    def test_the_size_of_a_painting_that_is_told_fits(self, monkeypatch: pytest.MonkeyPatch, free: float) -> None:
        said = self.refusal(monkeypatch, free, image_size=256, style_size=4000)
        size = int(said.split("style_size × style_scale of ")[1].split(" ")[0])
        painting = Painting(Parameters(image_size=256, style_size=size), 4000, 3000, images=IMAGES)
        fitting.require_memory(painting, "float32", Options(None, 10**8, 30, device="cpu"))

    @pytest.mark.parametrize(
        ("regions", "given", "measured"),  # bytes a pixel, with VGG-19 at 256 px, bfloat16
        [
            (1, {}, 1250),
            (4, {}, 3433),
            (1, {"style_layers": dict.fromkeys(VGG19_LAYERS, 1)}, 2316),
            (1, {"content_layers": dict.fromkeys(VGG19_LAYERS, 1)}, 2059),
        ],
    )
    def test_regions_and_more_layers_are_reckoned(self, regions: int, given: dict[str, Any], measured: int) -> None:
        masks = [f"mask-{number}-content" for number in range(1, regions)]
        parts = ["content", "mask-1-style", *masks, *(f"style-{number}" for number in range(1, regions + 1))]
        images = {part: Source(part, 128, 128) for part in parts}
        painting = Painting(Parameters(image_size=128, **given), 128, 128, images=images)
        assert measured <= memory_of(painting, "bfloat16") / 128**2 <= 1.8 * measured

    def test_an_image_too_large_to_decode_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = self.refusal(monkeypatch, 8e7, image_size=64, style_size=64)
        assert "content: to decode its 4000×3000 pixels takes about 0.1 GB of memory, and 0.1 GB are free." in said

    @pytest.mark.parametrize("free", [4.9e9, 2e9, 0.0])
    def test_checkpoints_too_large_for_the_disk_are_told_with_the_size_that_fits(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float
    ) -> None:
        def a2(side: int) -> Painting:
            return Painting(Parameters(image_size=side), 7016, 4961)

        monkeypatch.setattr(storage, "free_bytes", lambda folder: int(free))
        with pytest.raises(JobError) as refused:
            fitting.require_disk(a2(7016), tmp_path)
        said = str(refused.value)
        assert said.startswith("the checkpoints of a picture of 7016 pixels take about 5.0 GB in the jobs folder, and")
        fitting.require_disk(a2(int(said.split("image_size ")[1].split(" ")[0])), tmp_path)
        fitting.require_disk(a2(1024), tmp_path)  # what fills the disk then is no job's fault

    @pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
    @pytest.mark.parametrize(("side", "steps"), [(640, 100), (3000, 100), (3000, 2000)])
    def test_the_disk_is_reckoned_as_the_optimizers_state_is(self, optimizer: str, side: int, steps: int) -> None:
        asked = Parameters.model_validate({"optimizer": optimizer, "image_size": side, "steps_per_epoch": steps})
        *_, (_, shapes) = Stylizer(Extractor(tiny_kernels(), "float32")).stages(side, side, asked)
        of_state = sum(4 * math.prod(shape) for shape in shapes)
        assert bytes_of_checkpoints(side, side, asked) == pytest.approx(2 * of_state, rel=1e-3)

    def test_check_and_dry_run_tell_what_a_worker_here_would_refuse(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        picture(64, 48, seed=1).save(tmp_path / "a.png")
        manifest = tmp_path / "a.yaml"
        monkeypatch.setattr(memory, "available", lambda limit=None: 10**9)
        for side, is_refused in ((128, False), (8192, True)):
            manifest.write_text(f"content: a.png\nstyle: a.png\nparameters: {{image_size: {side}}}\n")
            checked = CliRunner().invoke(cli, ["check", "--inbox", str(tmp_path), str(manifest)])
            assert ("a picture of 8192 pixels takes about" in checked.output) == is_refused
            painting = f"content: a.png\nstyle: a.png\nparameters: {{style_size: {side}, precision: float32}}\n"
            manifest.with_name("b.yaml").write_text(painting)
            of_painting = CliRunner().invoke(cli, ["check", "--inbox", str(tmp_path), str(tmp_path / "b.yaml")])
            assert ("a painting of 8192 pixels takes about" in of_painting.output) == is_refused
            assert checked.exit_code == is_refused, checked.output
            assert ("fine" in checked.output) != is_refused
            photo = str(tmp_path / "a.png")
            told = CliRunner().invoke(
                cli, ["submit", photo, "--style", photo, "--set", f"image_size={side}", "--dry-run"]
            )
            assert ("a picture of 8192 pixels takes about" in told.output) == is_refused, told.output
