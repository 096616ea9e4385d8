"""How true the time left is that `status`, the page and the bar tell of real jobs, from a tenth of each on.

python -m benchmarks.time_left [--sizes 256 512] [--steps 200 100]

Each size is painted three times in folders of its own: with nothing measured of it; again, with what the first has
left; and once more, ended in the middle by SIGTERM and gone on with by another run. Run it with nothing else at work.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks import common
from pipeline.forecast.paces import Paces
from pipeline.jobs.spool import Spool
from pipeline.outbox.overview import look

FLOOR_SECONDS = 2.0  # less than that is not told to anybody
LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Told:
    """What was told at a moment."""

    at: float
    step: int
    left: float | None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--steps", type=int, nargs="+", default=[200, 100])
    arguments = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache", "stylistic")
        cache.mkdir(parents=True)
        (cache / "weights").symlink_to(platformdirs.user_cache_path("stylistic") / "weights")
        for size, steps in zip(arguments.sizes, arguments.steps, strict=True):
            for way, stop_at in (("first", None), ("known", None), ("resumed", steps // 2)):
                told, end = watched(Path(folder, f"{size}-{way}"), cache, size, steps, stop_at)
                figures[f"{size} px, {steps} steps, {way}"] = summary(told, end, steps)
    for name, figure in figures.items():
        print(f"{name:28}", ", ".join(f"{key} {value}" for key, value in figure.items()))
    common.write("time_left", figures)


def watched(root: Path, cache: Path, size: int, steps: int, stop_at: int | None) -> tuple[list[Told], float]:
    """Paint a picture in a folder; what was told meanwhile, and when it was finished.

    Args:
        root: the folder.
        cache: where what was measured is kept.
        size: long side of the picture.
        steps: of the standard preset's pyramid.
        stop_at: the step at which it is ended, to go on with another process; what that tells counts.
    """
    inbox = root / "inbox"
    inbox.mkdir(parents=True)
    for image in (common.CONTENT, common.STYLE):
        shutil.copy(image, inbox)
    parameters = {"image_size": size, "epochs": 1, "steps_per_epoch": steps}
    manifest = {"content": common.CONTENT.name, "style": common.STYLE.name, "parameters": parameters}
    (inbox / "job.json").write_text(json.dumps(manifest), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("stylistic")), "run", "--settle", "0"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache.parent)}
    spool, paces = Spool(root / "jobs"), Paces(cache / "pace.json")
    told: list[Told] = []
    for last in (True,) if stop_at is None else (False, True):
        told = []
        process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and not list(root.glob("outbox/[!.]*/job.json")):
            time.sleep(LOOK_SECONDS)
            for job in look(spool, root / "outbox", paces).running if spool.folder.is_dir() else ():
                told.append(Told(time.time(), job.step, job.seconds_left))
            if not last and stop_at is not None and told and told[-1].step >= stop_at:
                process.send_signal(signal.SIGTERM)
                process.wait()
        process.wait()
    (log,) = (json.loads(path.read_text(encoding="utf-8")) for path in root.glob("outbox/[!.]*/job.json"))
    return told, datetime.fromisoformat(log["job"]["finished_at"]).timestamp()


def summary(told: list[Told], end: float, steps: int) -> dict[str, Any]:
    """How far off what was told was, from a tenth of the steps on, as parts of what was truly left."""
    counted = [one for one in told if one.step >= steps / 10 and one.at < end]
    off = [(abs((one.left or 0.0) - (end - one.at)) / max(end - one.at, FLOOR_SECONDS), one) for one in counted]
    worst, at = max(off, key=lambda pair: pair[0])
    return {
        "seconds": round(end - told[0].at, 1),
        "looks": len(off),
        "worst": round(worst, 3),
        "at step": at.step,
        "told": at.left and round(at.left, 1),
        "true": round(end - at.at, 1),
        "median": round(sorted(part for part, _ in off)[len(off) // 2], 3),
    }


if __name__ == "__main__":
    main()
