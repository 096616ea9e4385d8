"""Taking drops out of everybody's sight, with one rename that also fixes a job's id.

Several runners, each with a jobs folder of its own, may share an inbox: each has its claims in a folder of its own, and
keeps that fresh. The claims of one that is gone for long are taken over.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline import storage
from pipeline.inbox.drops import MANIFEST_SUFFIXES, Drop
from pipeline.jobs.lock import runner_name
from pipeline.jobs.record import new_id
from pipeline.jobs.spool import REJECTED

log = logging.getLogger(__name__)

CLAIMED = ".claimed"
LEASE_SECONDS = 600.0
# What a drop of somebody else answers to being renamed; anything else is the inbox's own trouble.
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EXDEV, errno.ENAMETOOLONG)


class UnclaimableError(Exception):
    """A drop that cannot be renamed, and why."""


class LostClaimError(Exception):
    """A claim that is not ours any more."""


class Claims:
    """The claims of one runner on the drops of an inbox.

    Args:
        inbox: the folder.
        jobs: the runner's jobs folder, by which its claims are known again.
        retries: ``jobs/.retry``, whose drops are as good as claimed.
    """

    def __init__(self, inbox: Path, jobs: Path, retries: Path) -> None:
        self._inbox = inbox
        self.folder = inbox / CLAIMED / runner_name(jobs)
        self.rejected = inbox / REJECTED
        self._retries = retries
        self._others: dict[Path, tuple[int, float]] = {}  # their last sign of life, and when it was first seen here

    def take(self, drop: Drop, name: str, is_taken: Callable[[str], bool]) -> Drop:
        """Claim a drop under an id that no other job has; one that is claimed already is returned as it is.

        Raises:
            FileNotFoundError: it has been taken away.
            UnclaimableError: it must not be renamed by us.
        """
        if drop.id is not None:
            return drop
        storage.ensure_folder(self.folder, within=self._inbox)
        while True:
            job_id = new_id(name)
            claims = [self.folder / f"{job_id}{suffix}" for suffix in ("", *MANIFEST_SUFFIXES)]
            if not is_taken(job_id) and not any(map(storage.is_there, claims)):
                break
        is_folder = drop.places.is_job_folder
        target = self.folder / (job_id if is_folder else job_id + drop.entry.suffix.lower())
        try:
            storage.move(drop.entry, target)
        except OSError as error:
            self.tidy()
            if error.errno in _NOT_OURS:
                raise UnclaimableError(error.strerror) from None
            raise
        if not is_folder:
            return replace(drop, entry=target, manifest=target, id=job_id)
        places = replace(drop.places, folder=target)
        return replace(drop, entry=target, manifest=target / drop.manifest.name, places=places, id=job_id)

    def let_go(self, drop: Drop) -> None:
        """Forget a claimed drop that lives on elsewhere.

        Raises:
            LostClaimError: another runner has taken it over.
        """
        try:
            if not storage.is_there(drop.entry):
                raise LostClaimError(drop.label)
            if storage.is_folder(drop.entry):
                storage.discard(drop.entry, drop.entry.parent / ".trash")
            else:
                storage.remove_file(drop.entry)
                storage.sync_folder(drop.entry.parent)
        except FileNotFoundError:
            raise LostClaimError(drop.label) from None
        storage.remove_if_empty(drop.entry.parent)
        self.tidy()

    def keep_fresh(self) -> None:
        """Show that this runner lives, and take over what one that shows nothing for long has claimed."""
        with contextlib.suppress(FileNotFoundError):
            storage.touch(self.folder)
        now = time.monotonic()
        others = {}
        for entry in _listing(self.folder.parent):
            other = entry.path
            if other == self.folder:
                continue
            if not entry.is_folder or not other.name.startswith("runner-"):
                self._take_over(other)  # as versions before had them
                continue
            status = storage.glance(other)
            if status is None:  # its runner has tidied up
                continue
            sign = status.st_mtime_ns
            before, since = self._others.get(other, (sign, now))
            others[other] = (sign, since if sign == before else now)
            if now - others[other][1] > LEASE_SECONDS:
                log.warning("%s: its runner shows no life; taking over what it has claimed", other)
                with storage.passed_over():  # somebody else's folder may not be ours to list
                    for claim in _listing(other):
                        self._take_over(claim.path)
                storage.remove_if_empty(other)
        self._others = others

    def clean(self) -> None:
        """Remove what an earlier life was about to remove."""
        for folder in (self.folder, self._retries):
            storage.clear_away(folder / ".trash")
        for kept in _listing(self._retries):
            with storage.passed_over():
                if not storage.is_there(kept.path / "drop"):  # it has gone back to where failed jobs are
                    storage.clear_away(kept.path)
        storage.remove_if_empty(self._retries)
        self.tidy()

    def _take_over(self, claim: Path) -> None:
        storage.ensure_folder(self.folder, within=self._inbox)
        with contextlib.suppress(OSError):  # it is gone, or another was faster
            storage.move(claim, self.folder / claim.name)

    def tidy(self) -> None:
        storage.remove_if_empty(self.folder)
        storage.remove_if_empty(self.folder.parent)


def _listing(folder: Path) -> list[storage.Entry]:
    try:
        return [entry for entry in storage.entries(folder) if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
