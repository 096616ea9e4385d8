"""Style folders: every photo that comes into one becomes a job with its style, once for each content.

They submit and no more: a photo and the style's images are copied into a job folder, which appears in the inbox in one
rename. Whether that has been done is noted before the rename (see ``marks``), when the job folder is whole: one that
a crash has kept from it is found and moved at the next start, so that no photo is lost or painted twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline import storage
from pipeline.errors import HugeFileError, ImageError, IncompleteImageError, JobError, ended
from pipeline.inbox import films, jobfolder
from pipeline.inbox.decoding import BeingDecodedError
from pipeline.inbox.drops import Drops, StyleFolder, as_text, is_photo, is_style_name, printable, style_meant
from pipeline.inbox.duplicates import Duplicates, FindJob
from pipeline.inbox.ignored import Ignored
from pipeline.inbox.marks import Content, Mark, Marks, version_of
from pipeline.inbox.places import Places, open_inside
from pipeline.inbox.readiness import Judge, Waiting
from pipeline.inbox.stability import Signature, signature_of
from pipeline.inbox.staging import lack_of_room
from pipeline.inbox.template import Template, TemplateReader, UnreadyError
from pipeline.manifest.document import write_document
from pipeline.pictures import suffixes
from pipeline.storage import Slices

log = logging.getLogger(__name__)

DRAFTS = ".drafts"  # in a runner's folder of claims
PHOTOS_A_SCAN = 16  # that become jobs in one look at a folder, so that the first are painted while others come


class StyleFolders:
    """The style folders of an inbox.

    Args:
        drops: finds them.
        judge: of the rest and wholeness of their images.
        job_of: finds the job of a name that was made of a photo's SHA-256.
    """

    def __init__(self, drops: Drops, judge: Judge, job_of: FindJob) -> None:
        self.hints: set[str] = set()  # what is wrong with them
        self.repeats: set[str] = set()  # photos that are painted already: a sentence each
        self._job_of = job_of
        self._drops = drops
        self._judge = judge
        self._works: dict[StyleFolder, _Work] = {}

    def look(self) -> Iterator[tuple[str, Waiting] | None]:
        """Make jobs of new photos, a few at a time; tells, by label, what waits, and gives None after each moment."""
        before, self.hints, self.repeats = self.hints, set(), set()
        found = self._drops.style_folders
        self._works = {one: self._works.get(one) or _Work(one, self._drops, self._judge, self._job_of) for one in found}
        for work in self._works.values():
            work.hints, work.repeats = set(), set()
            try:
                yield from work.look()
            except UnreadyError as error:
                yield work.reader.label, error.waiting
            except JobError as error:
                named = "" if str(error).startswith(work.label) else f"{work.label.rstrip('/')}: "
                self.hints.add(f"{named}{ended(str(error))} Its photos wait.")
            except FileNotFoundError:
                continue  # taken away while we looked
            except OSError as error:
                if not storage.is_of_entry(error):
                    raise
                reason = f"cannot be painted: {error.strerror} ({error.filename})"
                yield work.label, Waiting(reason, is_fault=True)
            except Exception as error:  # a mistake of ours over one folder must not stop all the others
                told = f"{work.label} internal error: {error!r}. Please report it."
                if told not in before:
                    log.exception("%s", told)
                self.hints.add(told)
            self.hints |= work.hints
            self.repeats |= work.repeats


@dataclass(frozen=True)
class _Photo:
    path: Path
    name: str  # relative to the style folder
    from_inbox: str
    label: str
    signature: Signature


class _ChangedError(Exception):
    """An image is not the one any more that was looked at."""


class _Work:
    """The work on one style folder, and what is known of it between looks."""

    def __init__(self, found: StyleFolder, drops: Drops, judge: Judge, job_of: FindJob) -> None:
        self.hints: set[str] = set()
        self.repeats: set[str] = set()
        self._duplicates = Duplicates(job_of)
        self.label = printable(f"{found.folder.name}/")
        self._folder = found.folder
        self._inbox = drops.inbox
        self._drops = drops
        self._judge = judge
        self._places = Places(drops.inbox, found.folder, drops.libraries)
        self.reader = TemplateReader(found, self._places, judge)
        self._files = judge.stability()
        self._runner = drops.claimed.name
        self._drafts = drops.claimed / DRAFTS / found.folder.name
        self._unread: list[str] = []  # pictures of a kind that is not read
        self._marks: Marks | None = None  # until what an earlier life left has been seen to

    def look(self) -> Iterator[tuple[str, Waiting] | None]:
        """As ``StyleFolders.look``.

        Raises:
            UnreadyError: the style is not whole yet.
            JobError: it cannot be used.
            OSError: of the inbox itself.
        """
        if self._marks is None:
            yield from self._recover()
        marks = self._marks
        assert marks is not None
        try:
            template = yield from self.reader.read()
        except FileNotFoundError:
            raise
        except OSError as error:
            yield self.reader.label, Waiting(f"cannot be read: {error.strerror}", is_fault=True)
            return
        coming, made = False, 0
        for photo in sorted(self._new(template, marks), key=lambda photo: photo.name):
            if not self._files.is_stable(photo.path) or made == PHOTOS_A_SCAN:
                coming = True
                continue
            try:
                content = yield from self._content(photo, template, marks)
            except (BeingDecodedError, _ChangedError):
                coming = True
            except FileNotFoundError:
                # Gone since it was listed. What is listed again and again is there, and cannot be opened.
                if self._files.seconds(photo.path) < self._judge.timeout_seconds:
                    coming = True
                else:
                    yield photo.label, Waiting("cannot be opened", is_fault=True)
            except IncompleteImageError as error:
                yield photo.label, Waiting(str(error).removeprefix(f"{photo.label}: "))
            except JobError as error:
                self.hints.add(str(error))
            except OSError as error:
                yield photo.label, Waiting(f"cannot be read: {error.strerror}", is_fault=True)
            except Exception as error:  # whatever a decoder answers to what somebody made: the other photos go on
                self.hints.add(f"{photo.label}: internal error: {error!r}. Please report it.")
            else:
                if marks.has(content):
                    self._duplicates.note(photo.name, photo.signature, content, marks)
                elif told := lack_of_room(self._inbox, photo.signature[2]):
                    yield photo.label, Waiting(told, is_fault=True)
                else:
                    made += 1
                    yield from self._submit(photo, content, template, marks)
                    yield photo.label, Waiting("becomes a job", is_settling=True)
        self.repeats |= {printable(told) for told in self._duplicates.told(self._folder.name, template.name)}
        if coming:
            yield self.label, Waiting("settling", is_settling=True)

    def _new(self, template: Template, marks: Marks) -> Iterator[_Photo]:
        """The photos that have not become jobs, as far as their files' versions tell."""
        start = len(str(self._folder)) + 1
        self._unread.clear()
        present = set()
        depth = self._judge.limits.max_depth - 1
        for entry in self._walk(self._folder, depth, self._drops.ignored):
            name = str(entry.path)[start:]
            status = storage.follow(entry.path) if entry.is_link else entry.status
            if status is None or not stat.S_ISREG(status.st_mode):
                if entry.is_link:
                    self.hints.add(printable(f"{self._folder.name}/{name} is not looked at: a link to no photo"))
                continue
            signature = signature_of(status)
            present.add((name, signature))
            digest = marks.hash_of(name, version_of(signature))
            if digest and marks.has(Content(digest, template.digest, template.again)):
                continue
            path = entry.path
            from_inbox = f"{self._folder.name}/{name}"
            if from_inbox in template.copies:
                continue
            if style_meant(name):
                self.hints.add(
                    printable(f"{from_inbox} is not painted: it is named like the style; rename it if it is a photo")
                )
                continue
            label = printable(from_inbox)
            if as_text(from_inbox) != from_inbox:
                self.hints.add(f"{label} is not looked at: its name is no UTF-8; rename it")
                continue
            self._files.sight(path, status)
            yield _Photo(path, name, from_inbox, label, signature)
        self._duplicates.keep(present)
        if self._unread:
            self.hints.add(printable(f"{suffixes.told_unread(self._unread)}, and drop that"))

    def _walk(self, folder: Path, depth: int, ignored: Ignored) -> Iterator[storage.Entry]:
        """Files and links that may be photos, in folders too; links to folders are not followed."""
        try:
            found = storage.entries(folder, with_status=True)
        except FileNotFoundError:
            return
        except OSError as error:
            if not storage.is_of_entry(error):
                raise
            self.hints.add(printable(f"{os.path.relpath(folder, self._inbox)} is not looked at: {error.strerror}"))
            return
        ignored = ignored.entering(folder)
        stills = films.stills(entry.name for entry in found)
        for entry in found:
            if entry.name.startswith(".") or ignored.has(entry.path, entry.is_folder):
                continue
            if is_style_name(entry.name):
                if folder != self._folder:
                    place = printable(os.path.relpath(folder, self._inbox))
                    self.hints.add(f"{place}/{entry.name} is not looked at: move {place} into the inbox itself")
            elif entry.is_folder:
                if depth > 0:
                    yield from self._walk(entry.path, depth - 1, ignored)
                else:
                    limit = f"nested more than {self._judge.limits.max_depth} folders deep (--max-depth)"
                    self.hints.add(printable(f"{self._folder.name}: a part is not looked at, as it is {limit}"))
            elif films.is_of_live_photo(entry.name, stills):
                continue
            elif suffixes.is_video(entry.name) and not films.are_painted():
                self.hints.add(printable(films.told_unpainted(self._folder.name)))
            elif is_photo(entry.name) and (entry.is_file or entry.is_link):
                yield entry
            elif suffixes.is_unread(entry.name):
                self._unread.append(os.path.relpath(entry.path, self._inbox))

    def _content(self, photo: _Photo, template: Template, marks: Marks) -> Slices[Content]:
        """What a photo at rest shows; one that will never be read counts too, as its job says why.

        Raises:
            IncompleteImageError: it may still be on its way.
            JobError: it leads out of the inbox, or is far too large.
        """
        with open_inside(photo.path, [self._inbox, self._folder, *self._places.libraries], photo.label) as file:
            if signature_of(os.fstat(file.fileno())) != photo.signature:
                raise _ChangedError
            version = version_of(photo.signature)
            digest = marks.hash_of(photo.name, version)
            if digest is None:
                self._decode(file, photo)
                digest = yield from storage.digest_of(file)
                marks.know(photo.name, version, digest)
            content = Content(digest, template.digest, template.again)
            if not marks.has(content):
                self._decode(file, photo)
        return content

    def _decode(self, file: BinaryIO, photo: _Photo) -> None:
        try:
            self._judge.decoder.film(file, photo.label, photo.signature)
        except IncompleteImageError:
            if self._files.seconds(photo.path) < self._judge.timeout_seconds:
                raise
        except HugeFileError:
            raise
        except ImageError:
            pass

    def _submit(self, photo: _Photo, content: Content, template: Template, marks: Marks) -> Slices[None]:
        """Make a job of a photo, or of what an interrupted try has left; nothing if another runner has."""
        place = self._drafts / content.mark
        if marks.read(content) is None:
            try:
                name = jobfolder.name_of(photo.name, template.name)
                with storage.removed_unless_whole(place):
                    yield from self._draft(place / name, photo, content, template)
                marks.add(content, photo.name, version_of(photo.signature), place)
            except (FileExistsError, FileNotFoundError, _ChangedError):
                pass  # another was faster, or an image has changed: the next look tells
        mark = marks.read(content)
        self._finish(place, mark)
        if mark:
            marks.remember(content.photo, mark.style)
            self._files.forget(photo.path)

    def _draft(self, draft: Path, photo: _Photo, content: Content, template: Template) -> Slices[None]:
        """Build the job folder: the images by their paths from the inbox, its manifest last."""
        storage.remove(draft.parent)
        images = {photo.from_inbox: content.photo, **template.copies}
        for path, digest in images.items():
            target = draft / path
            storage.ensure_folder(target.parent, within=self._inbox)
            with open_inside(self._inbox / path, [self._inbox, *self._places.libraries], path) as file:
                if (yield from storage.copy_stream(file, target)) != digest:
                    raise _ChangedError
        folders = [entry.path for entry in storage.walk(draft) if entry.is_folder]
        for folder in (*reversed(folders), draft):
            storage.sync_folder(folder)
        data = {"content": photo.from_inbox, **template.data, "name": draft.name}
        storage.mark(draft / jobfolder.OF_STYLE_FOLDER)
        storage.write_atomic(draft / "job.yaml", write_document(data))

    def _recover(self) -> Iterator[tuple[str, Waiting]]:
        """Read the marks, and submit what an earlier life was about to."""
        marks = Marks(self._inbox, self._folder.name, self._runner)
        if storage.is_folder(self._drafts):
            for place in [self._drafts / name for name in storage.names(self._drafts)]:
                digest, _, style = place.name.partition(".")
                self._finish(place, marks.read(Content(digest, style, bool(style))))
                yield self.label, Waiting("becomes a job", is_settling=True)
        self._tidy()
        self._marks = marks

    def _finish(self, place: Path, mark: Mark | None) -> None:
        """Deliver a whole draft whose mark is ours, or was cut off; remove any other."""
        if mark and mark.runner in ("", self._runner):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for draft in storage.entries(place):
                    if draft.is_folder and storage.is_file(draft.path / "job.yaml"):
                        jobfolder.deliver(draft.path, self._inbox, draft.name)
        storage.remove(place)
        self._tidy()

    def _tidy(self) -> None:
        for folder in (self._drafts, *self._drafts.parents[:3]):
            storage.remove_if_empty(folder)
