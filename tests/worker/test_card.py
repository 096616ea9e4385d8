"""The memory of a card, by a driver and a TensorFlow that the tests make up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import JobError
from pipeline.forecast.work import Painting, Source
from pipeline.manifest.parameters import Parameters
from pipeline.worker import card, fitting, session
from pipeline.worker.gpu import System
from pipeline.worker.session import Options

GB = 10**9


class Cuda:
    """libcuda, as far as memory is asked for: the context that is current is pushed and popped again."""

    def __init__(self, free: int, total: int, failing: str = "") -> None:
        self._free, self._total, self._failing = free, total, failing
        self.contexts: list[int] = []
        self.retained = 0

    def _code(self, name: str) -> int:
        return 999 if name == self._failing else 0

    def cuInit(self, flags: int) -> int:  # noqa: N802 - its name
        return self._code("cuInit")

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        return self._code("cuDeviceGet")

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:  # noqa: N802
        if code := self._code("cuDevicePrimaryCtxRetain"):
            return code
        self.retained += 1
        context._obj.value = 77
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: Any) -> int:  # noqa: N802
        self.retained -= 1
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:  # noqa: N802
        if code := self._code("cuCtxPushCurrent_v2"):
            return code
        self.contexts.append(context.value)
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        self.contexts.pop()
        return 0

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:  # noqa: N802
        if code := self._code("cuMemGetInfo_v2"):
            return code
        assert self.contexts == [77], "memory is told of the current context's card"
        free._obj.value, total._obj.value = self._free, self._total
        return 0


class Used:
    """What TensorFlow tells of its own memory."""

    def __init__(self, current: int = 0, peak: int = 0) -> None:
        self.current, self.peak = current, peak

    def get_memory_info(self, device: str) -> dict[str, int]:
        assert device == card.DEVICE
        return {"current": self.current, "peak": self.peak}

    def reset_memory_stats(self, device: str) -> None:
        self.peak = self.current


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Used:
    found = Used()
    monkeypatch.setattr(card, "_highest", 0)
    monkeypatch.setattr(card, "tensorflow", lambda: SimpleNamespace(config=SimpleNamespace(experimental=found)))
    return found


def system(free: int, total: int = 80 * GB, failing: str = "") -> System:
    return System(load=lambda name: Cuda(free, total, failing))


def test_what_other_processes_hold_is_not_there(used: Used) -> None:
    assert card.available(1, system(free=30 * GB)) == 30 * GB - card.of_strips(80 * GB)


def test_what_tensorflow_once_had_it_can_have_again(used: Used) -> None:
    used.current, used.peak = 5 * GB, 25 * GB
    card.reset_peak()
    assert card.peak() == 5 * GB
    assert card.available(1, system(free=30 * GB)) == 50 * GB - card.of_strips(80 * GB)


def test_processes_share_a_card_by_their_number(used: Used) -> None:
    used.current = used.peak = GB
    assert card.available(4, system(free=79 * GB)) == 19 * GB - card.of_strips(80 * GB)


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"]
)
def test_where_the_driver_does_not_tell_nothing_is_said(failing: str) -> None:
    cuda = Cuda(GB, GB, failing)
    assert card.memory(System(load=lambda name: cuda)) is None
    assert (cuda.contexts, cuda.retained) == ([], 0), "the card is left as it was"


def test_without_a_driver_nothing_is_said() -> None:
    def load(name: str) -> Any:
        raise OSError("no such library")

    assert card.memory(System(load=load)) is None


@pytest.mark.parametrize(("processes", "words"), [(1, "3.5 GB are free on the card"), (2, "there for each worker")])
def test_a_picture_too_large_for_the_card_is_told_the_size_that_fits(
    monkeypatch: pytest.MonkeyPatch, used: Used, processes: int, words: str
) -> None:
    monkeypatch.setattr(fitting, "gpus", lambda device: ("a card",))
    monkeypatch.setattr(card, "System", lambda: system(free=4 * GB, total=8 * GB))
    images = {"content": Source("content", 4000, 3000), "style-1": Source("style-1", 1000, 1000)}

    def painting(side: int) -> Painting:
        return Painting(Parameters(image_size=side, style_size=64), 4000, 3000, images=images)

    options = Options(None, 10**8, 30, processes_a_card=processes)
    with pytest.raises(JobError) as refused:
        fitting.require_memory(painting(8192), "bfloat16", options)
    assert "a picture of 8192 pixels takes about" in str(refused.value)
    assert words in str(refused.value)
    fits = int(str(refused.value).split("image_size ")[1].split(" ")[0])
    fitting.require_memory(painting(fits), "bfloat16", options)


def test_a_sessions_strips_are_as_high_as_the_card_allows(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> None:
    monkeypatch.setattr(session, "gpus", lambda device: ("a card",))
    monkeypatch.setattr(session, "device_name", lambda gpus: "a card")
    monkeypatch.setattr(card, "memory", lambda system: (30 * GB, 80 * GB))
    options = Options(tiny_weights, 10**8, 30)
    opened = session.open_session.__wrapped__(options, "float32")  # not one of those that are kept
    large = (3000, 3200)
    assert opened.stylizer._extractor.strip_pixels(large, large) == 2**19
