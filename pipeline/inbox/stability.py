"""How long files have kept size and mtime: what is still being written does not rest."""

from __future__ import annotations

import os
import time
from pathlib import Path

Signature = tuple[int, int, int, int]


def signature_of(status: os.stat_result) -> Signature:
    """What changes when a file is written or replaced: device, inode, size, mtime in nanoseconds."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Stability:
    """When each file was last seen to change, by the monotonic clock.

    Args:
        settle_seconds: how long a file must have kept still to be stable.
        trust_times: believe a file's times at first sight; not for network shares, whose clock is another one.
    """

    def __init__(self, settle_seconds: float, trust_times: bool) -> None:
        self._settle = settle_seconds
        self._trust_times = trust_times
        self._signatures: dict[Path, Signature] = {}
        self._changed: dict[Path, float] = {}

    def sight(self, path: Path, status: os.stat_result) -> Signature:
        """Note what a file is like now."""
        signature = signature_of(status)
        if self._signatures.get(path) != signature:
            age = 0.0
            if path not in self._signatures and self._trust_times:
                age = max(0.0, time.time() - max(status.st_ctime, status.st_mtime))
            self._signatures[path] = signature
            self._changed[path] = time.monotonic() - age
        return signature

    def seconds(self, path: Path) -> float:
        """How long a file that has been sighted has kept still."""
        return time.monotonic() - self._changed[path]

    def is_stable(self, path: Path) -> bool:
        """Whether a file that has been sighted has kept still for long enough."""
        return self.seconds(path) >= self._settle

    def is_recent(self, seconds: float) -> bool:
        """Whether any of the files has changed within so many seconds."""
        return time.monotonic() - max(self._changed.values(), default=float("-inf")) < seconds

    def forget(self, path: Path) -> None:
        """A file need not be watched any more."""
        self._signatures.pop(path, None)
        self._changed.pop(path, None)
