"""What systemd hears of a runner, on a socket as it names one."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.runner.systemd import EVERY_SECONDS, Heartbeat
from tests.conftest import Place
from tests.inbox.conftest import Clock

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no such sockets here")


@pytest.fixture
def ears() -> Iterator[tuple[str, socket.socket]]:
    """The address of a socket without a file, as systemd writes it, and its end here."""
    address = f"@stylistic-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{address[1:]}")
        heard.settimeout(60)
        yield address, heard


def test_a_loop_that_turns_says_so_now_and_then(
    ears: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, heard = ears
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    clock, heartbeat = Clock(monkeypatch), Heartbeat()
    for _ in range(300):
        heartbeat.beat()
        clock.pass_(0.1)
    heartbeat.end()
    said = [heard.recv(99) for _ in range(4)]
    assert said == [b"READY=1\nWATCHDOG=1"] * round(30 / EVERY_SECONDS) + [b"STOPPING=1"]


def test_nobody_who_listens_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (None, str(tmp_path / "gone"), "x" * 200):
        if address:
            monkeypatch.setenv("NOTIFY_SOCKET", address)
        heartbeat = Heartbeat()
        heartbeat.beat()
        heartbeat.end()


@pytest.mark.stand_in
def test_a_watcher_is_up_once_it_has_the_lock_and_says_when_it_ends(
    place: Place, ears: tuple[str, socket.socket]
) -> None:
    address, heard = ears
    process = place.start("watch", environment={"NOTIFY_SOCKET": address})
    try:
        assert heard.recv(99) == b"READY=1\nWATCHDOG=1"
        assert (place.jobs / ".runner.json").exists()
        process.send_signal(signal.SIGTERM)
        while (said := heard.recv(99)) != b"STOPPING=1":
            assert said == b"READY=1\nWATCHDOG=1"
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
