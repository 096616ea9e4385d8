"""``outbox/index.html``: all results, newest first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.jobs import log
from pipeline.jobs.log import Log

FILE = "index.html"
LEAST_SECONDS = 10.0  # between writings while results come thick and fast


class Page:
    """Keeps the page as the outbox is. Keeps what it has read, so that a result is read once."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox
        self._rows: dict[str, tuple[Any, dict[str, Any] | None]] = {}  # with what changes when a result does
        self._shown: int | None = None  # when the outbox was last changed, as the page has it
        self._written = 0.0

    def keep_current(self, at_once: bool) -> None:
        """Write the page if the outbox has changed: by us, by a `retry`, by somebody who cleared it.

        Args:
            at_once: even if it was written a moment ago.
        """
        changed = self._outbox.stat().st_mtime_ns != self._shown
        if changed and (at_once or time.monotonic() - self._written > LEAST_SECONDS):
            self._write()
            self._written = time.monotonic()
            self._shown = self._outbox.stat().st_mtime_ns

    def _write(self) -> None:
        import jinja2

        present = {path.name: path for path in self._outbox.iterdir() if path.is_dir() and path.name[0] != "."}
        self._rows = {job_id: self._read(job_id, folder) for job_id, folder in present.items()}
        rows = sorted((row for _, row in self._rows.values() if row), key=lambda r: r["finished_at"], reverse=True)
        environment = jinja2.Environment(loader=jinja2.PackageLoader("pipeline.outbox"), autoescape=True)
        html = environment.get_template("index.html").render(rows=rows)
        storage.write_atomic(self._outbox / FILE, html.encode("utf-8", "replace"))

    def _read(self, job_id: str, folder: Path) -> tuple[Any, dict[str, Any] | None]:
        """A result's row, or None for what is no result of ours."""
        status = folder.stat()
        version = status.st_ino, status.st_mtime_ns
        known = self._rows.get(job_id)
        if known and known[0] == version:
            return known
        found = log.read(self._outbox, job_id)
        return version, _row(found) if found else None


def _row(log: Log) -> dict[str, Any]:
    return {
        "id": log.job.id,
        "name": log.job.name,
        "finished_at": log.job.finished_at,
        "error": log.error,
        "picture": log.output and log.output.file,
        "width": log.output and log.output.width,
        "height": log.output and log.output.height,
        "content": log.inputs.content and log.inputs.content.file,
        "styles": [style.file for style in log.inputs.style],
        "preset": log.manifest and log.manifest.get("preset"),
        "steps": len(log.loss.step),
        "variants": len(log.variants or ()),
        "seconds": log.timing and log.timing.optimize_seconds,
    }
