"""Bars and lines as a real terminal shows them, drawn by tmux; the engine is the fault tests' stand-in."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest

from tests.conftest import COMMAND, Place
from tests.faults.conftest import INJECTED

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here to draw a terminal")

LINES = (
    r"inbox .*, jobs .*, outbox .*",
    r"\S+: (queued|started)",
    r"3 pictures; how long that takes is not measured yet on this machine",
    r"painting on CPU, float32; TensorFlow sees no GPU: .*",
    r"(\d pictures|1 picture), about \d+ s on this CPU",
    r"done    outbox/\S+\.png",
    r"3 done, 0 failed",
    r"(all|job-[abc]): loading",
    r"all +\d+%\|.*\| \d/3 jobs(, about \d+ s left)?",
    r"job-[abc] +\d+%\|.*\|( about \d+ s left,)? \d+/12 steps, 64 px(, loss \S+)?",
)


@pytest.mark.parametrize("columns", [72, 100])
def test_lines_above_the_bars_tear_nothing(place: Place, columns: int) -> None:
    place.pair()
    for name in "abc":
        place.manifest(f"job-{name}.yaml", parameters={"steps_per_epoch": 12})
    environment = {**place.environment, "PYTHONPATH": str(INJECTED), "ENGINE": "stand-in", "LC_ALL": "C.UTF-8"}
    environment["LOAD_SECONDS"] = "1"  # so that loading is seen
    tmux = ["tmux", "-u", "-f", "/dev/null", "-S", str(place.root / "tmux")]
    size = ["-x", str(columns), "-y", "40"]
    begin = ["new-session", "-d", *size, f"cd {place.root} && {COMMAND} run; touch {place.root}/over; sleep 100"]
    subprocess.run([*tmux, *begin], env=environment, check=True)
    seen: list[str] = []
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            is_over = (place.root / "over").exists()
            # -J joins what the terminal had to wrap.
            shown = subprocess.run([*tmux, "capture-pane", "-p", "-J"], capture_output=True, text=True, check=True)
            seen.append(shown.stdout)
            if is_over:
                break
            time.sleep(0.05)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    lines = {line.strip() for screen in seen for line in screen.splitlines() if line.strip()}
    assert {line for line in lines if not any(re.fullmatch(form, line) for form in LINES)} == set()
    together = [screen for screen in seen if re.search(r"^all .*jobs.*\njob-", screen, re.MULTILINE)]
    assert together, "the batch's bar stands above the job's"
    assert "loading" in "".join(seen)
    last = [line.rstrip() for line in seen[-1].splitlines() if line.strip()]
    assert last[-1] == "3 done, 0 failed"
    assert sum(line.startswith("done ") for line in last) == 3
    assert not any("%|" in line for line in last)
