"""The scan of an inbox: every drop looked at and judged. Events only say "look"; this is the truth."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pipeline.inbox import hints
from pipeline.inbox.drops import Drop, Drops
from pipeline.inbox.duplicates import FindJob
from pipeline.inbox.readiness import Foreign, Judge, Rejected, Verdict, Waiting
from pipeline.inbox.stylefolders import StyleFolders

log = logging.getLogger(__name__)


class Scanner:
    """Looks at every drop of an inbox.

    After a whole scan ``waiting`` tells, by label, which of them wait and why, and ``repeats`` which photos are painted
    already. ``job_of`` is as for ``StyleFolders``.
    """

    def __init__(self, drops: Drops, judge: Judge, job_of: FindJob = lambda name, digest: None) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.repeats: set[str] = set()
        self.drops = drops
        self._judge = judge
        self._hints = hints.Hints()
        self._styles = StyleFolders(drops, judge, job_of)
        self._found: dict[str, Waiting] = {}  # by the scan under way

    def wait(self, drop: Drop, why: Waiting) -> None:
        """Note that a drop waits."""
        self._found[drop.label] = why

    def scan(self) -> Iterator[Verdict | None]:
        """A verdict on every drop. Ready and rejected ones are to be claimed as they come.

        Then the style folders, whose photos become drops for the next scan: None after each moment.
        """
        drops = self.drops.look()
        self._judge.forget_others({drop.entry for drop in drops})
        self._found = {}
        foreign = {}
        for drop in drops:
            try:
                verdict = self._judge.judge(drop)
            except FileNotFoundError:
                continue  # taken away while we looked
            except OSError as error:
                verdict = Waiting(f"cannot be read: {error.strerror}", is_fault=True)
            except Exception as error:  # a mistake of ours over one drop must not stop all the others
                log.exception("%s: internal error", drop.label)
                verdict = Rejected(drop, None, None, f"internal error: {error!r}. Please report it.")
            if isinstance(verdict, Waiting):
                self.wait(drop, verdict)
            elif isinstance(verdict, Foreign):
                foreign[drop.label] = verdict.reason
            yield verdict
        for told in self._styles.look():
            if told:
                self._found[told[0]] = told[1]
            yield None
        self.drops.hints |= yield from self._hints.find(self.drops)
        self.drops.hints |= self._styles.hints | set(hints.of_foreign(foreign))
        self.drops.hints |= set(hints.some_of(list(self.drops.ignored.told)))
        self.waiting, self.repeats = self._found, self._styles.repeats
