"""How far the running job is, from the loss log that its worker writes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.job import LOSSES, VARIANTS

PLAIN_INTERVAL_SECONDS = 10.0  # between lines where there is no terminal to draw a bar on


class LossTail:
    """Reads what has been added to a job's loss log since the last look; of a sweep, to those of its variants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._steps: dict[Path, int] = {}

    def read(self) -> list[dict[str, Any]]:
        """The new whole lines, their steps counted through; starts anew where a log has been cut."""
        new = []
        for path in [self._folder / LOSSES, *sorted(self._folder.glob(f"{VARIANTS}/*/{LOSSES}"))]:
            before = sum(steps for other, steps in self._steps.items() if other != path)
            for line in self._read(path):
                self._steps[path] = line["step"]
                new.append({**line, "step": before + line["step"]})
        return new

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            with path.open("rb") as file:
                offset = self._offsets.get(path, 0)
                if file.seek(0, 2) < offset:
                    offset = 0
                file.seek(offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offsets[path] = offset + len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Bar:
    """Shows job, step, loss and time left: a bar on a terminal, else a line now and then."""

    def __init__(self, name: str, total: int, folder: Path) -> None:
        self._tail = LossTail(folder)
        self._on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total, desc=name, unit="step", dynamic_ncols=True, disable=not self._on_terminal, leave=False
        )
        self._name = name
        self._total = total
        self._first: int | None = None
        self._began = time.monotonic()
        self._printed = self._began

    def update(self) -> bool:
        """Show what is new; tells whether there was anything."""
        new = self._tail.read()
        if not new:
            return False
        latest = new[-1]
        if self._first is None:
            self._first = latest["step"]
            self._began = time.monotonic()
        if self._on_terminal:
            self._bar.n = latest["step"]
            self._bar.set_postfix_str(f"{latest['scale']} px, loss {latest['total']:.3g}")
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL_SECONDS:
            self._printed = time.monotonic()
            done = latest["step"] - self._first
            left = (self._total - latest["step"]) * (self._printed - self._began) / max(done, 1)
            print(
                f"{self._name}: step {latest['step']}/{self._total}, {latest['scale']} px,"
                f" loss {latest['total']:.3g}, {tqdm.format_interval(left)} left at this pace",
                file=sys.stderr,
                flush=True,
            )
        return True

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
