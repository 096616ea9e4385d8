"""Writing a job folder: under a dot-name first, then into the inbox in one rename."""

from __future__ import annotations

import secrets
from pathlib import Path, PurePath

from pipeline import storage
from pipeline.inbox.places import Places
from pipeline.manifest.names import default_name, end, safe

MAX_NAME_CHARACTERS = 50
OF_STYLE_FOLDER = ".of-style-folder"  # in a job folder that one has made: its photo has a place in the inbox


def name_of(photo: str, prefix: str = "") -> str:
    """A job's name from its photo's path: folders and file name in one, of long ones the end.

    Args:
        photo: relative to where photos are looked for.
        prefix: what comes before it.
    """
    path = PurePath(photo)
    parts = [part for part in (prefix, *path.parent.parts, path.stem) if part not in ("", "..", path.anchor)]
    text = end("-".join(map(safe, parts)), MAX_NAME_CHARACTERS)
    return default_name(text.lstrip(" .-_") or "photo")


def is_of_style_folder(places: Places) -> bool:
    """Whether a style folder has made a job folder: its images are copies, which nobody goes on writing."""
    return places.is_job_folder and storage.is_file(places.folder / OF_STYLE_FOLDER)


def deliver(draft: Path, inbox: Path, name: str) -> Path:
    """Move a whole job folder into the inbox, under a name that nothing has; gives its path."""
    while storage.is_there(target := inbox / f"{name}-{secrets.token_hex(2)}"):
        pass
    storage.move(draft, target)
    return target
