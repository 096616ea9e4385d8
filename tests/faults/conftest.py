"""How much of the fault tests runs: all of it with --long, else a sample of each."""

from __future__ import annotations

from pathlib import Path

import pytest

INJECTED = Path(__file__).parent / "injected"  # on PYTHONPATH: faults, a stand-in for the engine
PARTS = 12  # the steps at which something goes wrong are dealt out to so many tests


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--long")
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", range(PARTS) if is_long else (11,))
    if "night" in metafunc.fixturenames:  # of random kills; several, so that they run side by side
        count = 3 if "cluster" in metafunc.fixturenames else 10
        nights = [pytest.param(night, marks=pytest.mark.stand_in) for night in range(1, count)]
        metafunc.parametrize("night", [0, *nights] if is_long else nights[:1])
    if "kind_of_error" in metafunc.fixturenames:
        metafunc.parametrize("kind_of_error", ("ENOSPC", "EROFS", "EIO") if is_long else ("ENOSPC",))
    if "yard" in metafunc.fixturenames:  # under which command, and with whose rights; each place in one process
        yards = ("run-plain", "watch-root", "run-root", "watch-plain") if is_long else ("run-plain",)
        of_one = [pytest.param(yard, marks=pytest.mark.xdist_group(yard)) for yard in yards]
        metafunc.parametrize("yard", of_one, indirect=True, scope="module")
