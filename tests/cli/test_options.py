"""What the commands' options take, by themselves and from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli

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
