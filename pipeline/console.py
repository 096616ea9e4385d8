"""What is said on standard error: lines of text, dated where nobody looks on, or an object of JSON a line."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from datetime import datetime

FORMATS = ("text", "json")


def printable(text: str) -> str:
    """Text from manifests and file names without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def set_up(form: str | None = None) -> None:
    """Have the loggers write to standard error, from now on.

    Args:
        form: of ``FORMATS``; None for bare lines, as a command says them that is over in a moment.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text(dated=form is not None and not _is_dated_by_others()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("pipeline").setLevel(logging.INFO)


def line(text: str, form: str) -> str:
    """A line for standard output: as it is, or as an object of JSON."""
    if form == "json":
        return _object(time.time(), "info", text)
    return printable(text)


def _is_dated_by_others() -> bool:
    """Whether a person looks on, or systemd's journal notes the time itself."""
    return sys.stderr.isatty() or "JOURNAL_STREAM" in os.environ


class _Text(logging.Formatter):
    def __init__(self, dated: bool) -> None:
        super().__init__()
        self._dated = dated

    def format(self, record: logging.LogRecord) -> str:
        line = printable(super().format(record))
        return f"{_moment(record.created)} {line}" if self._dated else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _object(record.created, record.levelname.lower(), super().format(record))


def _object(seconds: float, level: str, message: str) -> str:
    # As ASCII, which leaves nothing that a terminal would obey.
    return json.dumps({"time": _moment(seconds), "level": level, "message": message})


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
