"""Faults of the machine: told once, and as mended only when they are."""

from __future__ import annotations

import errno

import pytest

from pipeline.runner import faults
from pipeline.runner.faults import Faults


def test_what_has_not_come_to_its_end_yet_has_mended_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(faults, "PAUSE_SECONDS", 0.0)
    found = Faults()

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for _ in range(3):
        found.guard("the inbox", lambda: False)
        found.guard("the inbox", full)
    assert found.standing == {"the inbox": "the inbox: No space left on device"}
    assert [message.partition(".")[0] for message in caplog.messages] == ["the inbox: No space left on device"]
    found.guard("the inbox", lambda: True)
    assert caplog.messages[1:] == ["the inbox: works again"]
    assert not found.standing
