"""The style of a style folder: what every photo's job has in common."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.errors import EndlessImageError, IncompleteImageError, JobError, joined
from pipeline.inbox.decoding import BeingDecodedError
from pipeline.inbox.drops import StyleFolder, printable
from pipeline.inbox.places import Places, open_inside
from pipeline.inbox.readiness import Judge, Waiting
from pipeline.inbox.stability import Signature
from pipeline.manifest.fields import mask_of
from pipeline.manifest.model import Manifest
from pipeline.manifest.parse import parse_template
from pipeline.storage import Slices


@dataclass(frozen=True)
class Template:
    """A style that is whole and at rest. Paths are relative to the inbox, but for those that lead into a library."""

    data: dict[str, Any]  # of a job.yaml, without `content` and `name`
    name: str  # what a job's name begins with; may be empty
    again: bool  # whether another style paints what has been painted
    copies: dict[str, str]  # the SHA-256 of each image that lies in the inbox, by its path
    digest: str  # of the data and the images


class UnreadyError(Exception):
    """A style that is not whole yet; ``waiting`` says why."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(waiting.reason)
        self.waiting = waiting


class TemplateReader:
    """Reads the style of one folder, again where it has changed.

    Args:
        found: the folder and its style.
        places: where the images that the style names may lie.
        judge: of their rest and wholeness.
    """

    def __init__(self, found: StyleFolder, places: Places, judge: Judge) -> None:
        self.found = found
        self.label = printable(f"{found.folder.name}/{found.style.name}")
        self._places = places
        self._judge = judge
        self._files = judge.stability()
        self._parsed: tuple[Signature, Manifest, bool] | None = None
        self._made: tuple[list[tuple[str, str]], Template] | None = None
        self._hashes: dict[Signature, str] = {}

    def read(self) -> Slices[Template]:
        """The style as it is now.

        Raises:
            UnreadyError: it is still being written, or waits for an image.
            JobError: it cannot be used as it is.
            FileNotFoundError: it is gone.
            OSError: the environment does not let it be read.
        """
        manifest, again = self._manifest()
        hashes = list((yield from self._images(manifest)).items())
        if self._made is None or self._made[0] != hashes or self._made[1].again is not again:
            self._made = hashes, self._template(manifest, again, dict(hashes))
        return self._made[1]

    def _manifest(self) -> tuple[Manifest, bool]:
        style = self.found.style
        if not self.found.has_manifest:
            if self._parsed is None:
                manifest = Manifest.model_validate({"content": "photo", "name": "photo", "style": style.name})
                self._parsed = (0, 0, 0, 0), manifest, False
            return self._parsed[1:]
        with open_inside(style, [style.parent], self.label) as file:
            signature = self._files.sight(style, os.fstat(file.fileno()))
            if self._parsed is None or self._parsed[0] != signature:
                if not self._files.is_stable(style):
                    raise UnreadyError(Waiting("settling", is_settling=True))
                limits = self._judge.limits
                data = file.read(limits.max_manifest_bytes + 1)
                self._parsed = (
                    signature,
                    *parse_template(data, self.label, limits, self._judge.presets, self.found.picture),
                )
                self._made = None
        return self._parsed[1:]

    def _images(self, manifest: Manifest) -> Slices[dict[str, str]]:
        """The SHA-256 of each image of the style, by its path as written."""
        hashes, problems, settling = {}, [], False
        for image in dict.fromkeys(path for part, path in manifest.images.items() if part != "content"):
            path = self._places.path(image)
            try:
                with self._places.open(image) as file:
                    signature = self._files.sight(path, os.fstat(file.fileno()))
                    if not self._files.is_stable(path):
                        settling = True
                        continue
                    try:
                        self._judge.decoder.film(file, image, signature)
                    except EndlessImageError:
                        if self._files.is_recent(self._judge.timeout_seconds):
                            raise
                    if signature not in self._hashes:
                        self._hashes[signature] = yield from storage.digest_of(file)
                    hashes[image] = self._hashes[signature]
            except BeingDecodedError:
                settling = True
            except FileNotFoundError:
                problems.append(self._places.missing(image))
            except IncompleteImageError as error:
                problems.append(str(error))
        if problems:
            reason = joined(*problems)
            if self._files.is_recent(self._judge.timeout_seconds):
                raise UnreadyError(Waiting(reason))
            raise JobError(f"{self.label}: {reason}")
        if settling:
            raise UnreadyError(Waiting("settling", is_settling=True))
        return hashes

    def _template(self, manifest: Manifest, again: bool, hashes: dict[str, str]) -> Template:
        given = manifest.model_dump(mode="json", exclude_unset=True, exclude={"content", "name"})
        moved = {image: self._in_inbox(image) for image in hashes}
        what = {key: value for key, value in given.items() if key != "priority"}
        digest = hashlib.sha256(json.dumps(_with_images(what, hashes.__getitem__), sort_keys=True).encode())
        return Template(
            data=_with_images(given, lambda image: moved[image] or image),
            name="" if manifest.name == "photo" else manifest.name,
            again=again,
            copies={path: hashes[image] for image, path in moved.items() if path},
            digest=digest.hexdigest(),
        )

    def _in_inbox(self, image: str) -> str | None:
        """An image's path from the inbox; None if it lies elsewhere, or is named from the root."""
        path = os.path.relpath(os.path.normpath(self._places.path(image)), self._places.inbox)
        return None if Path(image).is_absolute() or path.startswith("..") else path


def _with_images(data: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A manifest's data with each path of an image changed."""

    def changed(style: Any) -> Any:
        if isinstance(style, list):
            return [changed(one) for one in style]
        if isinstance(style, dict):
            paths = ("image", "content_mask", "style_mask")
            return {key: change(value) if key in paths and value else value for key, value in style.items()}
        return change(style)

    def changed_protection(protect: Any) -> Any:
        return change(protect) if mask_of(protect) else protect

    data = {**data, "style": changed(data["style"])}
    if data.get("init_image"):
        data["init_image"] = change(data["init_image"])
    parameters, sweep = data.get("parameters") or {}, data.get("sweep") or {}
    if "protect" in parameters:
        data["parameters"] = {**parameters, "protect": changed_protection(parameters["protect"])}
    if "style" in sweep:
        data["sweep"] = {**data["sweep"], "style": changed(sweep["style"])}
    if "protect" in sweep:
        data["sweep"] = {**data["sweep"], "protect": [changed_protection(one) for one in sweep["protect"]]}
    return data
