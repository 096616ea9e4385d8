"""How far a job is, and how long it still takes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline.jobs.measured import Book
from pipeline.jobs.pace import Paces
from pipeline.runner.bar import NAME_COLUMNS, Bar, fitting
from tests.inbox.conftest import Clock
from tests.jobs.test_pace import book, job, losses

JOB = job("parameters: {image_size: 320, pyramid: {160: 40, 320: 20}}")


@pytest.fixture
def paces(tmp_path: Path) -> Paces:
    found = Paces(tmp_path / "pace.json")
    found.learn(lambda _: book((120 * 160, 0.1), (240 * 320, 0.5)))
    return found


def test_a_job_that_goes_on_is_told_from_its_cut_log(
    paces: Paces, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(monkeypatch)
    bar = Bar(JOB.model_copy(update={"attempts": 2}), paces)
    clock.pass_(11)
    bar.show(losses((160, 30, 0.1)))  # of the run before, ten steps of which the checkpoint does not know
    assert caplog.messages == []  # TensorFlow is loaded
    clock.pass_(11)
    bar.show(losses((160, 21, 0.1)))
    assert bar.done == {1: 21}
    assert bar.seconds_left() == pytest.approx(19 * 0.1 + 21 * 0.5)
    assert caplog.messages == ["a: about 12 s left, 21/60 steps, 160 px, loss 1"]


def test_before_the_first_step_a_job_takes_what_it_is_known_to(paces: Paces) -> None:
    assert Bar(JOB, paces).seconds_left() == pytest.approx(41 * 0.1 + 21 * 0.5)
    assert Bar(JOB, Paces(None)).seconds_left() is None
    assert Paces(None).book == Book()


def test_a_long_step_lets_time_pass_but_never_comes_to_nothing(paces: Paces, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    bar = Bar(JOB, paces)
    bar.show(losses((160, 40, 0.1), (320, 10, 0.5)))
    clock.pass_(2)
    assert bar.seconds_left() == pytest.approx(3)
    clock.pass_(100)
    assert bar.seconds_left() == 1


@pytest.mark.parametrize("name", ["harbour", "a rather long name of a photo", "海辺の町の写真と嵐の夜の絵"])
def test_a_name_leaves_room_for_the_bar(name: str) -> None:
    columns = sum(2 if ord(letter) > 0x3000 else 1 for letter in fitting(name))
    assert columns <= NAME_COLUMNS
    assert fitting(name).removesuffix("…") == name[: len(fitting(name).removesuffix("…"))]
