"""What each of several processes on one machine has."""

from __future__ import annotations

import pytest

from pipeline.worker import gpu, memory, share


def test_a_single_process_has_the_whole_machine_as_it_is() -> None:
    assert share.environments(1, "auto") == [{}]


def test_several_processes_divide_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "cores", lambda: 8)
    monkeypatch.setattr(gpu, "cards", lambda system: [])
    for processes, threads in ((2, "4"), (3, "2"), (16, "1")):
        found = share.environments(processes, "auto")
        assert len(found) == processes
        assert (
            {one["OMP_NUM_THREADS"] for one in found} == {one["TF_NUM_INTRAOP_THREADS"] for one in found} == {threads}
        )
        assert all("CUDA_VISIBLE_DEVICES" not in one for one in found)


def test_auto_is_one_a_card_and_each_process_sees_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "cards", lambda system: ["0", "GPU-7f"])
    assert [one["CUDA_VISIBLE_DEVICES"] for one in share.environments(None, "auto")] == ["0", "GPU-7f"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in share.environments(3, "gpu")] == ["0", "GPU-7f", "0"]
    monkeypatch.setattr(share, "cores", lambda: 8)
    assert share.environments(None, "cpu") == [share.of_cores(2)] * 2
    monkeypatch.setattr(share, "cores", lambda: 1)
    assert share.environments(None, "cpu") == [{}]


def test_a_share_of_the_memory_is_a_limit() -> None:
    used = memory.resident()
    assert 10_000_000 < used < 10_000_000_000
    left = memory.available(used + 50_000_000)
    assert left is not None and left == pytest.approx(50_000_000, abs=20_000_000)


def test_what_a_picture_may_take_is_the_machines_memory_by_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "whole", lambda: 24)
    monkeypatch.setattr(gpu, "cards", lambda system: [])
    assert share.of_memory([{}, {}], "auto") == 12
    monkeypatch.setattr(gpu, "cards", lambda system: ["0"])
    assert share.of_memory([{}], "auto") is None, "the card's memory counts there"
    assert share.of_memory([{}], "cpu") == 24
