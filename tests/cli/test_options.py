"""What the commands' options take, by themselves and from the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from tests.conftest import ROOT

NUMBERS = ("settle", "input-timeout", "checkpoint-seconds", "keep-inputs", "step-timeout", "idle-minutes")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e12", "1e400", "-1"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_finite_and_in_its_range(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variable = "STYLISTIC_" + name.upper().replace("-", "_")
    for given in (
        CliRunner().invoke(cli, ["run", f"--{name}={value}"]),
        CliRunner().invoke(cli, ["run"], env={variable: value}),
    ):
        assert (given.exit_code, f"Invalid value for '--{name}'" in given.stderr) == (2, True)


def test_the_docs_name_no_environment_variable_that_is_none() -> None:
    known = {option.envvar for command in cli.commands.values() for option in command.params}
    pages = "".join(page.read_text("utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
    assert set(re.findall(r"\bSTYLISTIC_[A-Z_]+\b", pages)) <= known


def test_no_table_of_the_docs_is_cut_in_two() -> None:
    behind = re.compile(r"\|\n\n\|.*\n(.*)")  # the second line of a table that is behind another
    for page in ROOT.glob("docs/*.md"):
        assert [line for line in behind.findall(page.read_text("utf-8")) if not line.startswith("|--")] == [], page
