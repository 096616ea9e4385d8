"""What is not looked at: folders and files that systems make, and what people name in patterns as in a `.gitignore`.

Thumbnails and deleted photos are photos like others by their bytes: only names tell.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pathspec import GitIgnoreSpec

from pipeline import storage
from pipeline.errors import JobError, UsageError, shown
from pipeline.inbox import conflicts
from pipeline.inbox.own_results import is_result, results_in
from pipeline.inbox.places import open_inside
from pipeline.inbox.stability import Signature, signature_of
from pipeline.pictures import suffixes

FILE = ".stylisticignore"
MAX_BYTES = 64 * 1024
MAX_PATTERNS = 1000
# A pattern of many stars can take longer on one name than all photos to paint.
MAX_STARS = 3  # in a pattern, besides `**`
MAX_OF_MOST_STARS = 20  # patterns: one takes 16 ms for a name of 244 letters, one of two stars less than a tenth
# By who makes them; whatever the case of their letters. Names with a dot in front are hidden, and not looked at anyway.
FOLDERS = {
    "Synology": ("@eaDir", "#recycle", "#snapshot", "@tmp", "@SynoResource", "@Synology*"),
    "QNAP": ("@Recycle", "@Recently-Snapshot", "@Transcode", ".@__thumb", ".@upload_cache", ".streams"),
    "other network storage": (
        *("~snapshot", ".snapshot", ".snapshots", ".zfs", ".recycle", "trashbox", "Network Trash Folder"),
        *("Network Recycle Bin*", "_NAS_Recycle_*"),
        *(".wdmc", ".twonkymedia*"),
    ),
    "Windows": (
        "$RECYCLE.BIN",
        "RECYCLER",
        "RECYCLED",
        "System Volume Information",
        "FOUND.[0-9][0-9][0-9]",
        "$Extend",
        "$WINDOWS.~*",
    ),
    "macOS": (
        *(".Trashes", ".Trash", ".Spotlight-V100", ".fseventsd", ".TemporaryItems", "Temporary Items", "__MACOSX"),
        *(".DocumentRevisions-V100", ".AppleDouble", ".AppleDB", ".AppleDesktop", ":2e*"),
        *("*.photoslibrary", "*.photolibrary", "*.aplibrary", "*.migratedphotolibrary", "*.download"),
    ),
    "Linux": ("lost+found", ".Trash-*", ".thumbnails", ".xvpics", ".local", ".cache"),
    "programs that keep folders alike": (
        *(".stversions", ".stfolder", ".dropbox.cache", ".sync", ".SyncArchive", ".SyncTrash", ".syncthing.*"),
        *(".tmp.drivedownload", ".tmp.driveupload", ".owncloudsync*", ".csync*"),
    ),
    "photo programs": (
        *(".dtrash", ".picasaoriginals", ".photoprism", "*.lrdata", "*.lrprev", "*.lrcat-data", ".darktable"),
        *("appdata_*", "[[]Originals]"),
    ),
}
FILES = {
    "systems": (
        "Thumbs.db",
        "ehthumbs*.db",
        "desktop.ini",
        ".DS_Store",
        "._*",
        "Icon\r",
        "SYNOFILE_THUMB*",
        "SYNOPHOTO_*",
    ),
    "programs that have a file open": (
        "~$*",
        ".~lock.*",
        "~*.tmp",
        "*.swp",
        "*~",
        ".nfs*",
        ".fuse_hidden*",
        ".smbdelete*",
    ),
    "what is still on its way": (
        *("*.part", "*.partial", "*.crdownload", "*.download", "*.opdownload", "*.filepart", "*.tmp", "*.temp"),
        *("*.!ut", "*.!qB", "*.aria2", "*.bc!", "*.icloud", ".goutputstream-*", "*.dropboxtmp", "~syncthing~*"),
    ),
}


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, names)), re.IGNORECASE)


_SYSTEMS_FOLDER = _any_of(name for names in FOLDERS.values() for name in names)
_SYSTEMS_FILE = _any_of(name for names in FILES.values() for name in names)


@functools.lru_cache(maxsize=50_000)  # asked of every name at every look
def is_of_system(name: str, is_folder: bool = False) -> bool:
    """Whether a name is that of a file, or folder, that no person has put there."""
    return bool((_SYSTEMS_FOLDER if is_folder else _SYSTEMS_FILE).match(name))


@dataclass(frozen=True)
class Ignored:
    """What is not looked at in a folder, and in those below it that say no more.

    ``told`` has a sentence for each pattern that cannot be used, and for each result; all folders of a walk share it.
    """

    rules: tuple[tuple[Path, GitIgnoreSpec], ...] = ()  # with where they start, from the outermost folder
    results: frozenset[str] = frozenset()  # names in this folder that belong to results of ours
    told: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def by(cls, patterns: Sequence[str], root: Path) -> Ignored:
        """What ``--ignore`` names.

        Args:
            patterns: of paths below a folder.
            root: the folder.

        Raises:
            UsageError: one of them cannot be used.
        """
        spec, problems = _compiled(patterns)
        if problems:
            raise UsageError("\n".join(f"--ignore {problem}." for problem in problems))
        return cls(((root, spec),) if patterns else ())

    def entering(self, folder: Path) -> Ignored:
        """The same within a folder, which may have patterns of its own."""
        here = replace(self, results=results_in(folder))
        path = folder / FILE
        with storage.passed_over():
            if not storage.is_there(path):
                return here
        try:
            with open_inside(path, [folder], FILE) as file:
                spec, problems = _read(path, signature_of(os.fstat(file.fileno())))
        except (OSError, JobError):
            self.told.add(f"{folder.name}/{FILE} is not looked at: it is no file that can be read")
            return here
        self.told.update(f"{folder.name}/{FILE}, {problem}" for problem in problems)
        return replace(here, rules=(*self.rules, (folder, spec)))

    @property
    def says_more(self) -> bool:
        """Whether more is left out here than what systems make."""
        return bool(self.rules or self.results)

    def has(self, path: Path, is_folder: bool) -> bool:
        """Whether a file or folder is not to be looked at; the innermost pattern has the last word."""
        name = path.name
        if is_of_system(name, is_folder) or name in self.results:
            return True
        if not is_folder and suffixes.is_read(name) and self._is_conflict(path):
            return True
        if is_folder and is_result(path):
            self.told.add(f"{path.parent.name}/{name} is not looked at: a result, which is not painted again")
            return True
        for root, spec in reversed(self.rules):
            below = os.path.relpath(path, root) + "/" * is_folder
            if (is_ignored := spec.check_file(below).include) is not None:
                return is_ignored
        return False

    def _is_conflict(self, photo: Path) -> bool:
        """Whether a photo is a conflict copy of one beside it; not by a mere ``(1)``, as phones number photos."""
        copy = conflicts.original(photo.name, is_folder=True)
        with storage.passed_over():
            if copy and storage.is_there(photo.with_name(copy[0])):
                self.told.add(conflicts.told(f"{photo.parent.name}/{photo.name}", copy, "painted"))
                return True
        return False


SYSTEMS = Ignored()  # only what systems make


@functools.lru_cache(maxsize=1000)
def _read(path: Path, _: Signature) -> tuple[GitIgnoreSpec, tuple[str, ...]]:
    """The patterns of a file, read once for every version."""
    with open_inside(path, [path.parent], FILE) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return _compiled(())[0], (f"more than {MAX_BYTES:,} bytes: not looked at",)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return _compiled(())[0], ("not UTF-8 text: not looked at",)
    return _compiled(lines, numbered=True)


def _compiled(patterns: Sequence[str], numbered: bool = False) -> tuple[GitIgnoreSpec, tuple[str, ...]]:
    """The patterns that can be used, and a part of a sentence for each that cannot."""
    good, problems, of_most_stars = [], [], 0
    for number, pattern in enumerate(patterns, 1):
        has_most = _stars(pattern) == MAX_STARS
        of_most_stars += has_most
        problem = _problem(pattern) if number <= MAX_PATTERNS else f"more than {MAX_PATTERNS:,} patterns"
        if not problem and has_most and of_most_stars > MAX_OF_MOST_STARS:
            problem = f"more than {MAX_OF_MOST_STARS} patterns of {MAX_STARS} stars; write some with less"
        if problem:
            problems.append((f"line {number}, " if numbered else "") + f"{shown(pattern)}: {problem}")
        else:
            good.append(pattern)
        if number > MAX_PATTERNS:
            break
    return GitIgnoreSpec.from_lines(good), tuple(problems)


def _stars(pattern: str) -> int:
    return 0 if pattern.lstrip().startswith("#") else pattern.replace("**/", "").replace("/**", "").count("*")


def _problem(pattern: str) -> str:
    if len(pattern) > 1024:
        return "longer than 1,024 characters"
    if pattern.lstrip().startswith("#"):
        return ""
    if _stars(pattern) > MAX_STARS or pattern.count("**") > MAX_STARS:
        return f"more than {MAX_STARS} stars; write several patterns"
    try:
        GitIgnoreSpec.from_lines([pattern])
    except (ValueError, re.error):
        return "not a pattern"
    return ""
