"""What is said on standard error and output."""

from __future__ import annotations

import logging

import pytest

from pipeline import console


def test_what_goes_on_in_further_lines_stands_apart_from_whatever_begins_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A manifest may name a file so that a sentence on it goes on like a line of ours."""
    named = "a.png\ndone    outbox/x.png\x1b[2J"
    lines = ["a.png", "  done    outbox/x.png\\x1b[2J"]
    record = logging.makeLogRecord({"msg": "%s", "args": (named,)})
    assert console._Text(dated=False).format(record).splitlines() == lines
    console.say(named, "text")
    assert capsys.readouterr().out.splitlines() == lines
