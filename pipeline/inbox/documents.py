"""What the documents in folders are, that nobody has named a manifest: each is read once for every version."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline import storage
from pipeline.errors import JobError, ManifestError
from pipeline.inbox.places import Places, open_inside
from pipeline.inbox.stability import Signature, signature_of
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.parse import parse_manifest
from pipeline.manifest.recognition import is_foreign, what_it_lacks

KEPT = 10_000  # documents whose kind is remembered


class Documents:
    """Reads documents, and remembers what they are."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Signature, str, Manifest | None]] = {}

    def versions(self, folder: Path) -> dict[str, Signature]:
        """The versions of the files in a folder by their names, so that not each has to be opened to learn of it."""
        try:
            found = storage.entries(folder, with_status=True)
        except OSError:
            return {}
        return {entry.name: signature_of(entry.status) for entry in found if entry.is_file and entry.status}

    def lack(self, path: Path, version: Signature | None = None) -> str:
        """Why a document is no manifest, as a part of a sentence; nothing of what is one, or cannot be read."""
        return self._look(path, version)[0]

    def is_whole(self, path: Path, inbox: Path, version: Signature | None = None) -> bool:
        """Whether a document is a manifest without a fault, whose images all lie where it says."""
        manifest = self._look(path, version)[1]
        if manifest is None:
            return False
        places = Places(inbox, path.parent, is_job_folder=True)
        return all(storage.leads_to_file(places.path(image)) for image in manifest.images.values())

    def _look(self, path: Path, version: Signature | None) -> tuple[str, Manifest | None]:
        if version and self._known.get(path, ())[:1] == (version,):
            return self._known[path][1:]
        try:
            with open_inside(path, [path.parent], path.name) as file:
                signature = signature_of(os.fstat(file.fileno()))
                if self._known.get(path, ())[:1] != (signature,):
                    if len(self._known) >= KEPT:
                        self._known.clear()
                    data = file.read(Limits().max_manifest_bytes + 1)
                    self._known[path] = signature, *_judged(data, path.name)
        except (OSError, JobError):
            return "", None
        return self._known[path][1:]


def _judged(data: bytes, name: str) -> tuple[str, Manifest | None]:
    is_named = os.path.splitext(name)[0].lower() in ("job", "style")
    if is_foreign(data, name, is_named):
        return what_it_lacks(data), None
    try:
        return "", parse_manifest(data, name, "name")
    except ManifestError:
        return "", None
