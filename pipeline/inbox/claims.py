"""Taking drops out of everybody's sight, with one rename that also fixes a job's id."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline import storage
from pipeline.inbox.drops import CLAIMED, MANIFEST_SUFFIXES, Drop


class Claims:
    """The claimed drops of an inbox.

    Args:
        inbox: the folder.
        retries: ``jobs/.retry``, whose drops are as good as claimed.
    """

    def __init__(self, inbox: Path, retries: Path) -> None:
        self._claimed = inbox / CLAIMED
        self._retries = retries

    def take(self, drop: Drop, name: str, is_taken: Callable[[str], bool]) -> Drop:
        """Claim a drop under an id that no other job has; one that is claimed already is returned as it is."""
        if drop.id is not None:
            return drop
        self._claimed.mkdir(exist_ok=True)
        while True:
            job_id = f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            claims = [self._claimed / f"{job_id}{suffix}" for suffix in ("", *MANIFEST_SUFFIXES)]
            if not is_taken(job_id) and not any(claim.exists() for claim in claims):
                break
        is_folder = drop.places.is_job_folder
        target = self._claimed / (job_id if is_folder else job_id + drop.entry.suffix.lower())
        storage.move(drop.entry, target)
        if not is_folder:
            return replace(drop, entry=target, manifest=target, id=job_id)
        places = replace(drop.places, folder=target)
        return replace(drop, entry=target, manifest=target / drop.manifest.name, places=places, id=job_id)

    def let_go(self, drop: Drop) -> None:
        """Forget a claimed drop that lives on elsewhere."""
        if drop.entry.is_dir():
            storage.discard(drop.entry, drop.entry.parent / ".trash")
        else:
            drop.entry.unlink(missing_ok=True)
            storage.sync_folder(drop.entry.parent)
        storage.remove_if_empty(drop.entry.parent)

    def clean(self) -> None:
        """Remove what an earlier life was about to remove."""
        for folder in (self._claimed, self._retries):
            storage.remove_tree(folder / ".trash")
            storage.remove_if_empty(folder)
