"""What the worker shows while it paints."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.jobs.previews import LIVE, LIVE_SIDE
from pipeline.worker import previews


def steps(count: int) -> Any:
    """Steps in calls of three; the state is that after a call's last."""
    return (SimpleNamespace(number=n, state=SimpleNamespace(step=-(-n // 3) * 3)) for n in range(1, count + 1))


def test_a_small_picture_of_the_latest_state_is_kept_and_no_step_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(previews, "MOST_OF_TIME", 1e9)
    seen = []

    def picture(state: Any) -> Any:
        seen.append(state.step)
        return np.full((300, 800, 3), state.step / 12, np.float32)

    assert [step.number for step in previews.previewed(steps(9), tmp_path, picture)] == list(range(1, 10))
    assert seen == [3, 6, 9]
    with Image.open(io.BytesIO((tmp_path / LIVE).read_bytes())) as image:
        assert (image.format, image.size) == ("WEBP", (LIVE_SIDE, 150))
        assert np.asarray(image.convert("RGB")).mean() == pytest.approx(255 * 9 / 12, abs=3)


@pytest.mark.parametrize(("cost", "least", "most"), [(0.01, 5, 9), (0.2, 10, 14), (1, 25, 30)])
def test_showing_takes_little_of_the_time_and_what_is_shown_is_never_older_than_half_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: float, least: float, most: float
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    shown_at = []

    def picture(state: Any) -> Any:
        shown_at.append(clock[0])
        clock[0] += cost
        return np.zeros((4, 4, 3), np.float32)

    for _ in previews.previewed(steps(300), tmp_path, picture):
        clock[0] += 1
    gaps = np.diff(shown_at)
    assert shown_at[0] >= previews.EVERY_SECONDS
    assert least <= gaps.min() and gaps.max() <= most
