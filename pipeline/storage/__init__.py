"""What lies in folders that others may write to, too: opened, made, moved and removed so that nothing is followed.

Whatever stands where a folder, file or temporary name of ours should, only that name is touched; and no read waits.
The roots (inbox, jobs, outbox) are named by whoever starts a command, and free of links from then on (``real``).
"""

from __future__ import annotations

from pipeline.storage.copies import Slices, at_once, copy_stream, copy_tree, digest_of, link_or_copy
from pipeline.storage.files import (
    create,
    make_once,
    mark,
    open_file,
    open_named,
    opened_for_lines,
    read,
    read_named,
    write_atomic,
    write_json,
)
from pipeline.storage.folders import (
    Entry,
    OddError,
    ensure_folder,
    entries,
    is_file,
    is_folder,
    is_of_entry,
    is_refusal,
    is_there,
    look,
    make_folder,
    names,
    passed_over,
    real,
    sync_folder,
    touch,
    walk,
)
from pipeline.storage.links import OutsideError, follow, leads_to_file, open_within
from pipeline.storage.trees import (
    clear_away,
    discard,
    move,
    remove,
    remove_file,
    remove_if_empty,
    remove_tree,
    removed_unless_whole,
)

__all__ = [
    "Entry",
    "OddError",
    "OutsideError",
    "Slices",
    "at_once",
    "clear_away",
    "copy_stream",
    "copy_tree",
    "create",
    "digest_of",
    "discard",
    "ensure_folder",
    "entries",
    "follow",
    "is_file",
    "is_folder",
    "is_of_entry",
    "is_refusal",
    "is_there",
    "leads_to_file",
    "link_or_copy",
    "look",
    "make_folder",
    "make_once",
    "mark",
    "move",
    "names",
    "open_file",
    "open_named",
    "open_within",
    "opened_for_lines",
    "passed_over",
    "read",
    "read_named",
    "real",
    "remove",
    "remove_file",
    "remove_if_empty",
    "remove_tree",
    "removed_unless_whole",
    "sync_folder",
    "touch",
    "walk",
    "write_atomic",
    "write_json",
]
