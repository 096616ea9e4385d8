"""Python, packages, cores, instruction sets, memory and weights: what is told of those that fall short."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from pipeline.doctor import machine
from pipeline.errors import WeightsError


def test_packages_that_are_missing_or_old_are_named() -> None:
    versions = {"numpy": "1.20"}

    def version(name: str) -> str:
        try:
            return versions[name]
        except KeyError:
            raise importlib.metadata.PackageNotFoundError(name) from None

    found = machine.packages(version, ["numpy>=1.26", "tqdm>=4.66", 'ruff; extra == "lint"'])
    assert found.state == "broken"
    assert found.what == "numpy 1.20 is not >=1.26; tqdm is missing"


def test_the_packages_of_this_environment_are_as_asked_for() -> None:
    assert machine.packages().state == "ok", machine.packages()


def test_a_container_s_share_of_the_cores_is_told(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.quota(tmp_path) == 1.5
    found = machine.cores(16, 1.5)
    assert found.state == "warning"
    assert "allows 1.5" in found.what
    assert "--cpuset-cpus=0-1" in found.remedy
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.quota(tmp_path) is None
    assert machine.cores(16, None).state == machine.cores(2, 2.0).state == "ok"


@pytest.mark.parametrize(
    ("flags", "state", "words"),
    [
        ({"sse4_2"}, "broken", "no AVX"),
        ({"avx", "avx2"}, "ok", "avx2; no bfloat16: jobs in float32"),
        ({"avx", "avx2", "avx512f", "avx512_bf16"}, "ok", "avx2, avx512f, avx512_bf16; bfloat16 is native"),
    ],
)
def test_instruction_sets_are_told(flags: set[str], state: str, words: str) -> None:
    found = machine.instructions(flags, "x86_64")
    assert found.state == state
    assert words in found.what


def test_little_memory_is_a_warning() -> None:
    assert machine.free_memory(500_000_000).state == "warning"
    assert machine.free_memory(8_000_000_000).state == "ok"
    assert machine.free_memory(None).state == "ok"


def test_weights_that_are_not_there_yet_are_a_warning_where_they_can_be_fetched(tmp_path: Path) -> None:
    found = machine.weights(list, tmp_path / "cache" / "weights", are_named=False)
    assert found.state == "warning"
    assert "stylistic weights fetch" in found.remedy
    assert list(tmp_path.iterdir()) == []


def test_weights_that_nothing_can_be_fetched_to_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    found = machine.weights(list, tmp_path / "weights", are_named=False)
    assert found.state == "broken"
    assert f"{tmp_path} may not be written" in found.what


def test_damaged_weights_are_fetched_anew_unless_they_are_named(tmp_path: Path) -> None:
    def read() -> list[str]:
        raise WeightsError("w.h5: was damaged.", "Provide another.")

    assert machine.weights(read, tmp_path, are_named=False).state == "warning"
    found = machine.weights(read, tmp_path, are_named=True)
    assert (found.state, found.what, found.remedy) == ("broken", "w.h5: was damaged.", "Provide another.")
