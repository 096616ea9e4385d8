"""What a job costs beyond its steps, cold and warm, through the installed command on real folders.

python -m benchmarks.overhead [--size 512] [--jobs 4]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import common

STEPS = 6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--jobs", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.size, arguments.jobs)
    for name, seconds in figures.items():
        print(f"{name:60} {seconds:6.2f} s")
    common.write("overhead", figures)


def measure(root: Path, size: int, jobs: int) -> dict[str, float]:
    inbox = root / "inbox"
    inbox.mkdir()
    shutil.copy(common.CONTENT, inbox)
    shutil.copy(common.STYLE, inbox)
    settings = {"image_size": size, "epochs": 1, "steps_per_epoch": STEPS, "pyramid": "off"}
    for number in range(jobs):
        last = {"image_size": size * 3 // 4, "style_size": size} if number == jobs - 1 else {}
        manifest = {"content": common.CONTENT.name, "style": common.STYLE.name, "parameters": {**settings, **last}}
        (inbox / f"{number}.json").write_text(json.dumps(manifest), encoding="utf-8")
    time.sleep(2.1)  # the settling time is not what is measured
    begun = datetime.now().astimezone()
    command = [str(Path(sys.executable).with_name("stylistic")), "run"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    logs = sorted(
        (json.loads(path.read_text()) for path in root.glob("outbox/[!.]*/*.json")), key=lambda log: log["job"]["name"]
    )
    ends = [datetime.fromisoformat(log["job"]["finished_at"]) for log in logs]
    first_steps = logs[0]["timing"]["optimize_seconds"]
    overheads = [
        (after - before).total_seconds() - log["timing"]["optimize_seconds"]
        for before, after, log in zip(ends, ends[1:], logs[1:], strict=False)
    ]
    return {
        "cold: from the command to the first result, less its steps": (ends[0] - begun).total_seconds() - first_steps,
        "warm: same size and style, from result to result, less the steps": _median(overheads[:-1]),
        "warm: another size, from result to result, less the steps": overheads[-1],
    }


def _median(values: list[Any]) -> float:
    return float(sorted(values)[len(values) // 2])


if __name__ == "__main__":
    main()
