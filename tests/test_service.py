"""The systemd units of the documentation, as systemd itself judges them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import COMMAND, ROOT

ANALYZE = shutil.which("systemd-analyze")
pytestmark = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")


def test_systemd_understands_the_units_and_calls_the_service_ok(tmp_path: Path) -> None:
    for name in ("stylistic.service", "stylistic.timer"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        # An executable that is there stands in for the installed one.
        (tmp_path / name).write_text(text.replace("/srv/stylistic/bin/stylistic", str(COMMAND)), encoding="utf-8")
    units = [str(tmp_path / "stylistic.service"), str(tmp_path / "stylistic.timer")]
    verified = subprocess.run([str(ANALYZE), "verify", *units], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--threshold=15", units[0]], capture_output=True, text=True
    )
    assert judged.returncode == 0, judged.stdout
    assert "OK" in judged.stdout.splitlines()[-1]
