"""Paths that lead nowhere here, however long somebody waits: of another machine, of the net, of a quoted text."""

from __future__ import annotations

import re

ADVICE = "Put the image into the inbox, and name it by its path from the manifest, such as `photos/harbour.jpg`."
# What a path begins with: what it is, and what to do about it.
KINDS = (
    (r"data:", "a picture within the text", "Save it as a file in the inbox, and name that."),
    (r"file:", "an address in place of a path", "Write the path from the manifest alone, without `file://`."),
    (r"(smb|afp|nfs|cifs|davs?|webdavs?):/", "an address of a share", ADVICE),
    (
        r"[a-z][a-z0-9+.-]+:/",
        "an address, and nothing is fetched",
        "Save the picture in the inbox, and name that.",
    ),
    (r"www\.", "an address, and nothing is fetched", "Save the picture in the inbox, and name that."),
    (r"[a-z]:[\\/]", "a path of a Windows machine", ADVICE),
    (r"\\\\|//", "a path of a share in the network", ADVICE),
    (r"/(Volumes|Users)/", "a path of a Mac", ADVICE),
    (r"~", "a path in somebody's home folder, and `~` is not filled in", ADVICE),
    (r"%\w+%|\$\{?\w+\}?/", "a path with a variable, which is not filled in", ADVICE),
)
_KINDS = [(re.compile(start, re.IGNORECASE), what, advice) for start, what, advice in KINDS]
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTED = re.compile(r"[“”„‟‘’‚«»\"'`].*[“”„‟‘’‚«»\"'`]", re.DOTALL)


def kind(image: str) -> tuple[str, str] | None:
    """What is wrong with the path of an image that is not there, and what to do; None of one that may still come."""
    for start, what, advice in _KINDS:
        if start.match(image):
            return what, advice
    if _QUOTED.fullmatch(image):
        return "a name within quotes of its own", "Use straight quotes, or none."
    if _CONTROL.search(image):
        escape = "as a backslash in double quotes begins another character"
        return f"a path with a control character, {escape}", "Write slashes, or use single quotes."
    return None
