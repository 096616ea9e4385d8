"""Results of ours, wherever they turn up: a folder with a log of ours has no photos and no drops.

Else a result that is moved into a style folder would be painted, and the result of that again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError
from pipeline.inbox.places import open_inside
from pipeline.inbox.stability import Signature, signature_of
from pipeline.jobs import clips
from pipeline.jobs.log import PICTURES
from pipeline.jobs.record import is_job_id
from pipeline.jobs.result import SERIES_SUFFIX
from pipeline.pictures import saving

HEAD = re.compile(rb'\s*\{\s*"schema"\s*:\s*"stylistic\.log/\d+"')
HEAD_BYTES = 200
READ = 200  # documents of a folder that are looked into
MOST_BYTES = 1 << 20  # of the logs of a folder that are read whole
PARTS = ("previews", "dropped")  # folders of a result
NAMED_LIKE_IT = (
    ".loss.png",
    ".sheet.png",
    ".timelapse.webp",
    ".snapshots",
)  # that stand beside a log, and are named like it
PICTURE_SUFFIXES = (*saving.SUFFIXES.values(), clips.SUFFIX, SERIES_SUFFIX)


def results_in(folder: Path) -> frozenset[str]:
    """The names in a folder that belong to results of ours, by the logs that lie there; read where it has changed."""
    if is_of_pictures(folder):
        return frozenset(storage.names(folder))
    try:
        found = storage.look(folder)
        return _results_in(folder, signature_of(found)) if found else frozenset()
    except OSError:
        return frozenset()


def is_of_pictures(folder: Path) -> bool:
    """Whether a folder is the one beside results that has their pictures."""
    if folder.name != PICTURES:
        return False
    try:
        return any(map(is_job_id, storage.names(folder.parent)))
    except OSError:
        return False


def is_result(folder: Path) -> bool:
    """Whether a folder is a result's. A job or a style in it was put there by a person, who wants it seen to."""
    if is_of_pictures(folder):
        return True
    if not (results := results_in(folder)):
        return False
    try:
        others = [name for name in storage.names(folder) if name not in results]
    except OSError:
        return False
    return not any(os.path.splitext(name)[0].lower() in ("job", "style") for name in others)


@functools.lru_cache(maxsize=10_000)
def _results_in(folder: Path, _: Signature) -> frozenset[str]:
    documents = [name for name in storage.names(folder) if name.lower().endswith(".json") and name[0] != "."]
    found: set[str] = set()
    left = MOST_BYTES
    for name in documents[:READ]:
        with contextlib.suppress(OSError, JobError), open_inside(folder / name, [folder], name) as file:
            head = file.read(HEAD_BYTES)
            if HEAD.match(head):
                stem, size = name[: -len(".json")], os.fstat(file.fileno()).st_size
                found |= {*PARTS, *(stem + end for end in NAMED_LIKE_IT)}
                if size <= left:
                    found |= _picture(head + file.read(left))
                    left -= size
                else:  # of very many steps, or no log of ours: all that may be its picture is taken for it
                    found |= {stem + end for end in PICTURE_SUFFIXES}
    return frozenset(found)


def _picture(log: bytes) -> set[str]:
    """The name of the picture that a log tells of."""
    try:
        output = json.loads(log).get("output")
    except (ValueError, RecursionError):
        return set()
    file = output.get("file") if isinstance(output, dict) else None
    return {file} if isinstance(file, str) else set()
