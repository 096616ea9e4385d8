"""One runner at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.errors import RunnerBusyError
from pipeline.jobs import lock


class TestLock:
    def test_a_second_runner_is_told_who_holds_the_lock(self, tmp_path: Path) -> None:
        with lock.runner_lock(tmp_path):
            found = lock.holder(tmp_path)
            assert found is not None
            assert found.is_alive()
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
        assert not found.is_alive()
        with lock.runner_lock(tmp_path):
            pass
