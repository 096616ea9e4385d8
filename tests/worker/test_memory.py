"""How much memory is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.worker import memory


def test_a_containers_limit_counts_as_the_memory_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    the_machines = memory.available()
    own = tmp_path / "cgroup"
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "OWN_CGROUP", own)

    def limit(group: str, most: str, used: int, cached: int) -> None:
        folder = tmp_path / "groups" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n")

    own.write_text("3:cpu:/elsewhere\n0::/slice/service\n")
    limit("slice/service", "max", 50_000, 0)
    assert the_machines is None or memory.available() == pytest.approx(the_machines, rel=0.2), "no limit is no limit"
    limit("slice", "90000", 60_000, 20_000)
    assert memory.available() == 50_000, "a limit of the group around it, cached files not counted as used"
    assert memory.whole() == 90_000
    limit("slice/service", "70000", 50_000, 0)
    assert memory.available() == 20_000, "the tightest counts"
    assert memory.whole() == 70_000
    own.write_text("0::/a/path/of/the/host\n")
    limit("", "80000", 50_000, 0)
    assert memory.available() == 30_000, "a container that sees its own group alone"
