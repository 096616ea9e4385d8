"""What each of several worker processes on one machine has of its cores, cards and memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.worker import gpu, memory

AUTO_WITHOUT_CARDS = 2  # paint more than one with all cores, as far as was measured; see docs/benchmarks.md


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def of_cores(processes: int) -> dict[str, str]:
    """The environment that gives a process its share of the threads of TensorFlow and oneDNN."""
    threads = str(max(1, cores() // processes))
    return {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads, "OMP_NUM_THREADS": threads}


def environments(processes: int | None, device: str) -> Sequence[Mapping[str, str]]:
    """The environment of each worker process; a single one has the whole machine.

    Args:
        processes: how many; None for one a card, or without cards for what paints most.
        device: as ``--device`` has it; ``cpu`` leaves the cards alone.
    """
    if processes == 1:
        return [{}]
    cards = [] if device == "cpu" else gpu.cards(gpu.System())
    count = processes or len(cards) or min(AUTO_WITHOUT_CARDS, cores())
    if count == 1:
        return [{}]
    of_card = [{"CUDA_VISIBLE_DEVICES": card} for card in cards] or [{}]
    return [{**of_cores(count), **of_card[number % len(of_card)]} for number in range(count)]


def of_memory(environments: Sequence[Mapping[str, str]], device: str) -> int | None:
    """Bytes of memory that a picture may take at most in one of these processes; None where a card's count, or the
    system does not tell."""
    if device != "cpu" and gpu.cards(gpu.System()):
        return None
    whole = memory.whole()
    return None if whole is None else whole // len(environments)


def of_card(environments: Sequence[Mapping[str, str]]) -> int:
    """How many of these processes share a card, at most; 1 where they have none of their own."""
    cards = Counter(one["CUDA_VISIBLE_DEVICES"] for one in environments if "CUDA_VISIBLE_DEVICES" in one)
    return max(cards.values(), default=1)
