"""What is said on standard error: lines of text, dated where nobody looks on, or an object of JSON a line."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, TextIO, cast

import click

FORMATS = ("text", "json")


def printable(text: str) -> str:
    """Text from manifests and file names without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def set_up(form: str | None = None, is_worker: bool = False) -> None:
    """Have the loggers write to standard error, from now on.

    Args:
        form: of ``FORMATS``; None for bare lines, as a command says them that is over in a moment.
        is_worker: whether another process draws the bars on this terminal.
    """
    _fill_in()
    if form is not None:
        sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
    handler: logging.StreamHandler[TextIO] = logging.StreamHandler(sys.stderr)
    if form is not None and sys.stderr.isatty():
        handler = _OverBars(sys.stderr) if is_worker else _AboveBars(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text(dated=form is not None and not _is_dated_by_others()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("pipeline").setLevel(logging.INFO)


def say(text: str, form: str) -> None:
    """Write a line to standard output, above the bars: as it is, or as an object of JSON."""
    line = _object(time.time(), "info", text) if form == "json" else _indented(printable(text))
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
    else:
        click.echo(line)


def _is_dated_by_others() -> bool:
    """Whether a person looks on, or systemd's journal notes the time itself."""
    return sys.stderr.isatty() or "JOURNAL_STREAM" in os.environ


def _fill_in() -> None:
    """Put something in the place of standard streams that were closed: a file opened later would be written into."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest that is free
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


class _Lasting:
    """A stream whose other end may go, as a terminal's that is closed: the work goes on, and is not told any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._cut_off_quietly():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._cut_off_quietly():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _cut_off_quietly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EIO, errno.EPIPE):  # for good; what is kept back would be tried again at the end
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)


def _lasting(stream: TextIO) -> TextIO:
    return stream if isinstance(stream, _Lasting) else cast("TextIO", _Lasting(stream))


class _AboveBars(logging.StreamHandler[TextIO]):
    """Takes this process's bars away for a line, and draws them again below it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=self.stream)
        self.flush()


class _OverBars(logging.StreamHandler[TextIO]):
    """Wipes out what another process has drawn below the cursor, which rests on its first bar; it draws them again."""

    def format(self, record: logging.LogRecord) -> str:
        return f"\r\x1b[J{super().format(record)}"


class _Text(logging.Formatter):
    def __init__(self, dated: bool) -> None:
        super().__init__()
        self._dated = dated

    def format(self, record: logging.LogRecord) -> str:
        line = _indented(printable(super().format(record)))
        return f"{_moment(record.created)} {line}" if self._dated else line


def _indented(text: str) -> str:
    """What goes on in further lines, apart from whatever begins one: it may say what a file name does."""
    return text.replace("\n", "\n  ")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _object(record.created, record.levelname.lower(), super().format(record))


def _object(seconds: float, level: str, message: str) -> str:
    # As ASCII, which leaves nothing that a terminal would obey.
    return json.dumps({"time": _moment(seconds), "level": level, "message": message})


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
