"""What an examination of the machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """One link of what jobs need.

    Args:
        name: of the link.
        state: ``ok``; ``warning``, with which jobs run, if not as well as they could; ``broken``, with which they fail.
        what: was found.
        remedy: what to do about it; empty where all is well.
    """

    name: str
    state: State
    what: str
    remedy: str = ""


def ok(name: str, what: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", what)


def warning(name: str, what: str, remedy: str) -> Finding:
    """Jobs run, if not as well as they could."""
    return Finding(name, "warning", what, remedy)


def broken(name: str, what: str, remedy: str) -> Finding:
    """Jobs fail."""
    return Finding(name, "broken", what, remedy)
