"""`stylistic doctor`, and the options of `run` that are for who runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from pipeline.cli.main import cli
from tests.conftest import Place

# No GPU, whatever the machine has.
HIDDEN = {"CUDA_VISIBLE_DEVICES": "-1"}


def make(place: Place) -> None:
    for folder in (place.inbox, place.jobs, place.outbox):
        folder.mkdir(exist_ok=True)


class TestDoctor:
    def test_the_page_of_a_healthy_machine_has_no_broken_line(self, place: Place) -> None:
        make(place)
        done = place.run("doctor")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert not [line for line in lines if line.startswith("broken")]
        told = [line[9:].split(":")[0] for line in lines if line.startswith("ok ")]
        assert {"Python", "packages", "inbox", "jobs, locks", "weights", "cores", "device"} <= set(told)
        assert sum("relative error" in line for line in lines) == 3
        assert lines[-1].startswith("Fit")
        assert place.leftovers() == []

    def test_a_folder_that_cannot_be_written_is_told_with_its_remedy_and_exit_code_3(self, place: Place) -> None:
        make(place)
        (place.root / "file").touch()
        done = place.run("doctor", "--outbox", "file/outbox", "--device", "cpu")
        assert done.returncode == 3
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("broken")]
        assert "outbox: file/outbox is not there, and cannot be made in" in line
        assert "name another with --outbox" in " ".join(done.stdout.split())
        assert done.stdout.splitlines()[-1].startswith("Not fit: 1 broken")

    def test_weights_that_are_not_weights_are_told(self, place: Place) -> None:
        make(place)
        place.environment["STYLISTIC_WEIGHTS"] = str(place.photo("no.h5.png"))
        done = place.run("doctor", "--device", "cpu", "--json")
        assert done.returncode == 3
        (found,) = [found for found in json.loads(done.stdout) if found["state"] == "broken"]
        assert found["name"] == "weights"
        assert "not VGG-19's weights" in found["what"]

    def test_a_gpu_that_is_asked_for_and_not_there_is_broken(self, place: Place) -> None:
        make(place)
        done = place.run("doctor", "--device", "gpu", "--json", environment=HIDDEN)
        assert done.returncode == 3
        found = {one["name"]: one for one in json.loads(done.stdout)}
        assert found["GPU, CUDA_VISIBLE_DEVICES"]["state"] == "broken"
        assert found["device"]["state"] == "broken"
        assert "doctor --device gpu" in found["device"]["remedy"]


class TestDevice:
    def test_gpu_refuses_to_fall_back_to_the_cpu(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml")
        done = place.run("run", "--device", "gpu", environment=HIDDEN)
        assert done.returncode == 3
        assert "--device gpu: TensorFlow sees no GPU" in done.stderr
        assert place.logs() == []
        assert [folder.name[:2] for folder in (place.jobs / "queued").iterdir()] == ["a-"]

    def test_cpu_paints_on_the_cpu_and_run_says_so(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml")
        done = place.run("run", environment={"STYLISTIC_DEVICE": "cpu"})
        assert done.returncode == 0, done.stderr
        assert "painting on CPU, " in done.stderr
        assert ", as --device asks" in done.stderr
        assert place.logs()[0]["engine"]["device"] == "CPU"

    @pytest.mark.stand_in
    def test_without_a_gpu_run_says_why(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml")
        done = place.run("run", environment=HIDDEN)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stderr.splitlines() if "painting on" in line]
        assert "; TensorFlow sees no GPU: " in line


@pytest.mark.stand_in
class TestLogFormat:
    def test_json_is_an_object_a_line_on_both_streams(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml", parameters={"epochs": -1})
        place.manifest("b.yaml")
        done = place.run("run", "--log-format", "json")
        assert done.returncode == 1
        said = [json.loads(line) for line in done.stderr.splitlines()]
        assert {frozenset(line) for line in said} == {frozenset({"time", "level", "message"})}
        messages = [line["message"] for line in said]
        assert any(message.startswith("painting on ") for message in messages)  # said by the worker
        assert messages[-1] == "1 done, 1 failed"
        ended = sorted(json.loads(line)["message"].split()[0] for line in done.stdout.splitlines())
        assert ended == ["done", "failed"]

    def test_an_error_that_ends_the_command_is_json_too(self, place: Place) -> None:
        (place.root / "file").touch()
        done = place.run("run", "--log-format", "json", "--outbox", "file/outbox")
        assert done.returncode == 3
        assert json.loads(done.stderr)["level"] == "error"

    def test_text_is_dated_where_nobody_looks_on_but_not_for_the_journal(self, place: Place) -> None:
        dated = place.run("run").stderr
        assert dated.rstrip().endswith(" 0 done, 0 failed")
        assert dated[4] == dated[7] == "-"
        bare = place.run("run", environment={"JOURNAL_STREAM": "8:1"}).stderr.splitlines()
        assert bare[0].startswith("inbox ")
        assert bare[-1] == "0 done, 0 failed"


@pytest.mark.stand_in
class TestNotify:
    def command(self, place: Place) -> str:
        """Appends what it is told to a file."""
        script = place.root / "told.py"
        script.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')")
        return shlex.join([sys.executable, str(script), str(place.root / "told of.jsonl")])

    def told(self, place: Place) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (place.root / "told of.jsonl").read_text().splitlines()]

    def test_each_failure_and_the_end_of_the_batch_are_told(self, place: Place) -> None:
        place.pair()
        place.manifest("bad.yaml", parameters={"epochs": -1})
        place.manifest("good.yaml")
        done = place.run("run", "--notify", self.command(place))
        assert done.returncode == 1, done.stderr
        failure, batch = self.told(place)
        assert (failure["event"], failure["name"]) == ("failure", "bad")
        assert "must be from 1 to 1000" in failure["error"]
        assert failure["result"] == f"outbox/{failure['id']}"
        assert (batch["event"], batch["done"], batch["failed"], batch["problem"]) == ("batch", 1, 1, None)

    def test_what_ended_a_batch_before_its_time_is_told(self, place: Place) -> None:
        place.pair()
        place.manifest("a.yaml")
        place.run("run", "--device", "gpu", "--notify", self.command(place), environment=HIDDEN)
        (batch,) = self.told(place)
        assert (batch["event"], batch["done"]) == ("batch", 0)
        assert "TensorFlow sees no GPU" in batch["problem"]

    def test_a_command_that_is_not_there_changes_nothing(self, place: Place) -> None:
        done = place.run("run", "--notify", "/nowhere/tell")
        assert done.returncode == 0
        assert "--notify: /nowhere/tell cannot be run (No such file or directory)" in done.stderr

    def test_words_that_are_not_quoted_to_their_end_are_refused(self, place: Place) -> None:
        done = place.run("run", "--notify", "mail 'a")
        assert done.returncode == 2
        assert "No closing quotation" in done.stderr


def _commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield before + name, command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")


COMMANDS = dict(_commands())


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_s_help_has_an_example(words: str) -> None:
    text = COMMANDS[words].get_help(click.Context(COMMANDS[words], info_name=words))
    assert re.search(rf"Examples?:\n +stylistic {words}\b", text)


def test_the_list_of_commands_cuts_no_sentence_short() -> None:
    with click.Context(cli, info_name="stylistic", terminal_width=80) as context:
        assert "..." not in cli.get_help(context).partition("Commands:")[2]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [(["wei"], "weights"), (["run", "--dev"], "--device"), (["run", "--device", ""], "auto cpu gpu")],
)
def test_bash_completes_commands_options_and_choices(typed: list[str], offered: str) -> None:
    script = f"""eval "$(_STYLISTIC_COMPLETE=bash_source stylistic)"
COMP_WORDS=(stylistic {shlex.join(typed)}); COMP_CWORD={len(typed)}
_stylistic_completion stylistic; echo "${{COMPREPLY[*]}}" """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == offered, done.stderr
