"""Names of jobs and images: which are safe as files, on every system."""

from __future__ import annotations

import re
import unicodedata

from pipeline.errors import shown

MAX_NAME_CHARACTERS = 100
NAME = re.compile(r"\w(?:[\w. -]*[\w-])?")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def valid_name(name: str) -> str:
    """A job's name as it is kept: in Unicode's composed form.

    Raises:
        ValueError: it is not safe as the name of a file; says why.
    """
    if len(name) <= 10 * MAX_NAME_CHARACTERS:  # normalising marks without end takes its time
        name = unicodedata.normalize("NFC", name)
    if not NAME.fullmatch(name):
        raise ValueError("may hold letters, digits, spaces and . _ - only, and starts with a letter or digit")
    if len(name) > MAX_NAME_CHARACTERS or len(name.encode()) > 2 * MAX_NAME_CHARACTERS:
        raise ValueError(f"is longer than {MAX_NAME_CHARACTERS} characters")
    if name.split(".")[0].lower() in _RESERVED:
        raise ValueError(f"{shown(name)} is a name that Windows keeps for a device")
    return name


def valid_path(path: str) -> str:
    """The path of an image as it was written; whether it may be read is asked where it is opened.

    Raises:
        ValueError: it cannot be a path; says why.
    """
    if "\0" in path or not path.strip():
        raise ValueError("must be the path of an image")
    if len(path) > 1024:
        raise ValueError("is longer than 1024 characters")
    return path


def with_tail(name: str, tail: str) -> str:
    """A name with something added, cut before that where it would grow too long."""
    while len(name + tail) > MAX_NAME_CHARACTERS or len((name + tail).encode()) > 2 * MAX_NAME_CHARACTERS:
        name = name[:-1].rstrip(" .-")
    return name + tail


def default_name(file: str) -> str:
    """A job's name from the name of its manifest or folder, made safe as a file name."""
    stem = unicodedata.normalize("NFC", re.sub(r"\.(ya?ml|json)$", "", file, flags=re.IGNORECASE))
    name = re.sub(r"[^\w. -]+", "-", stem)[: MAX_NAME_CHARACTERS // 2].strip(" .-_")
    try:
        return valid_name(name)
    except ValueError:
        return f"job-{name}" if name else "job"
