"""Photos of a style folder that are dropped again: they are not painted twice, which is told."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator

from pipeline.inbox.jobfolder import name_of
from pipeline.inbox.marks import Content, Mark, Marks, version_of
from pipeline.inbox.stability import Signature

FindJob = Callable[[str, str], str | None]  # by a job's name and the SHA-256 of its photo
MOST = 20  # told one by one

_Sight = tuple[str, Signature]  # a photo's name and its file's version


class Duplicates:
    """The photos of a folder whose content another file, or an earlier one of the same name, had when it was painted.

    Args:
        job_of: finds the job that was made of it.
    """

    def __init__(self, job_of: FindJob) -> None:
        self._job_of = job_of
        self._found: dict[_Sight, tuple[Content, Mark]] = {}
        self._jobs: dict[Content, str] = {}

    def note(self, name: str, signature: Signature, content: Content, marks: Marks) -> None:
        """Remember a photo that has been painted, unless it is the very file that was."""
        mark = marks.read(content)
        # The inode may be another one after a share was mounted again.
        if mark and (mark.photo, mark.version[1:]) != (name, version_of(signature)[1:]):
            self._found[name, signature] = content, mark

    def keep(self, present: Collection[_Sight]) -> None:
        """Forget those that are gone, or have changed."""
        self._found = {sight: found for sight, found in self._found.items() if sight in present}

    def told(self, folder: str, prefix: str) -> Iterator[str]:
        """A sentence for each.

        Args:
            folder: the style folder's name.
            prefix: what its jobs' names begin with.
        """
        for (name, _), (content, mark) in sorted(self._found.items())[:MOST]:
            if content not in self._jobs and (job := self._job_of(name_of(mark.photo, prefix), content.photo)):
                self._jobs[content] = job
            job = self._jobs.get(content)
            if job:
                again = f"`stylistic again {shlex.quote(job)}` paints it once more"
                yield f"{folder}/{name}: already painted as {job}; {again}"
            else:
                earlier = f"{folder}/{mark.photo}" if mark.photo else "another file"
                yield f"{folder}/{name}: already painted as {earlier}; `stylistic submit` paints it once more"
        if (more := len(self._found) - MOST) > 0:
            yield f"{folder}: {more:,} more photos are already painted"
