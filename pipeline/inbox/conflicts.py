"""Conflict copies: what programs that keep folders alike make of a file that was changed in two places."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Container

# "Conflict", or the beginning of it, as Dropbox and others say it.
_IN_WORDS = "confli|konfli|motstrid|конфл|冲突|衝突|競合|충돌|ขัดแย้ง|xung đột|çakış|ristirii|ütköz|σύγκρουσ|تعارض|התנגש"
# By the program that makes them: what stands between the name and its suffix, or after that.
CONFLICTS = (
    ("Syncthing", r"\.sync-conflict-\d{8}-\d{6}(-\w+)?"),
    ("Seafile", r" ?\(SFConflict [^()]*\)"),
    ("Dropbox, Nextcloud or another", rf" ?[(\[][^()\[\]]*(?:{_IN_WORDS})[^()\[\]]*[)\]]"),
    ("ownCloud", r"_conflict-\d{8}-\d{6}"),
    ("Synology Drive", r"_[^_]+_[A-Z][a-z]{2}-\d{2}-\d{6}-\d{4}_(Case)?Conflict"),
    ("Resilio Sync or rclone", r"\.conflict\d*"),
    ("OneDrive", r"(?-i:-(?:DESKTOP|LAPTOP|WIN)-[A-Z0-9]{3,}|-[A-Z0-9-]{1,12}PC|-[A-Z]\w*-MacBook(?:-\w+)?)"),
    ("Google Drive, or a browser,", r" ?\(\d{1,3}\)"),
)
OF_FILES = 2  # the last rows are for files alone
_TABLE = [(maker, re.compile(rf"(?:{tail})(?=(?:\.[a-z]{{3,4}})?$)", re.IGNORECASE)) for maker, tail in CONFLICTS]
_HOST = re.compile(r"(.+)-[A-Z][A-Z0-9-]{3,14}")  # which OneDrive puts behind the name, and others may as well


@functools.lru_cache(maxsize=50_000)  # asked of every name at every look
def original(name: str, is_folder: bool = False) -> tuple[str, str] | None:
    """For a conflict copy the name of what it is a copy of, and who makes such; of any other name None.

    A folder's tells only where it says so in words.
    """
    for maker, tail in _TABLE[: -OF_FILES if is_folder else None]:
        if (found := tail.search(name)) and found.start():
            return name[: found.start()] + name[found.end() :], maker
    return None


def beside(name: str, names: Container[str]) -> tuple[str, str] | None:
    """As ``original``, of a name that tells only where the original lies beside it, among ``names``."""
    stem, suffix = os.path.splitext(name)
    found = _HOST.fullmatch(stem)
    return (found[1] + suffix, "OneDrive") if found and found[1] + suffix in names else None


def told(name: str, of: tuple[str, str], done: str = "run") -> str:
    """What is said of a conflict copy.

    Args:
        name: its path within the inbox.
        of: its original, and who makes such copies.
        done: what is not done to it.
    """
    meant, maker = of
    return (
        f"{name} is not {done}: a copy of {meant} as {maker} makes them, where two differ; keep the one that is meant"
    )
