"""One runner at a time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.errors import RunnerBusyError
from pipeline.jobs import lock


class TestLock:
    def test_a_second_runner_is_told_who_holds_the_lock(self, tmp_path: Path) -> None:
        with lock.runner_lock(tmp_path):
            found = lock.holder(tmp_path)
            assert found is not None
            assert found.is_alive(lock.lease_seconds(tmp_path))
            code = (
                "import sys; from pathlib import Path; from pipeline.jobs import lock\n"
                "with lock.runner_lock(Path(sys.argv[1])): pass"
            )
            second = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
            assert f"process {os.getpid()}" in second.stderr
            assert RunnerBusyError.__name__ in second.stderr
        assert lock.holder(tmp_path) is None

    def test_the_lock_of_a_dead_runner_is_taken_over(self, tmp_path: Path) -> None:
        code = (
            "import os, sys; from pathlib import Path; from pipeline.jobs import lock\n"
            "with lock.runner_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
        found = lock.holder(tmp_path)
        assert found is not None
        assert not found.is_alive(lock.lease_seconds(tmp_path))
        with lock.runner_lock(tmp_path):
            pass

    @pytest.mark.parametrize(
        ("host", "seconds", "is_alive"),
        [("", 120, True), ("", 1200, False), ("other", 120, True), ("other", 1200, False)],
    )
    def test_a_runner_whose_lease_is_old_is_dead_whoever_has_its_number_now(
        self, tmp_path: Path, host: str, seconds: float, is_alive: bool
    ) -> None:
        """As after a restart of the machine, or of a container, whose host name was another one."""
        own = {"pid": os.getpid(), "host": host or socket.gethostname(), "since": "2026-01-01T00:00:00Z"}
        storage.write_json(tmp_path / lock.HOLDER, own)
        os.utime(tmp_path / lock.HOLDER, (time.time() - seconds, time.time() - seconds))
        found = lock.holder(tmp_path)
        assert found is not None
        assert found.is_alive(lock.lease_seconds(tmp_path)) is is_alive
