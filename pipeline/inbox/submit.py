"""Writing a job folder into the inbox in one rename."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline import storage
from pipeline.errors import ManifestError, UsageError
from pipeline.manifest.document import read_document
from pipeline.manifest.model import Manifest
from pipeline.manifest.names import default_name
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.parse import parse_manifest


def submit(
    inbox: Path,
    content: Path,
    styles: Sequence[Path],
    name: str | None,
    settings: Sequence[str],
    presets: Path | None = None,
) -> Path:
    """Write a job folder; gives its path. Nobody sees it before it is whole.

    Args:
        inbox: where it goes.
        content: the photo.
        styles: the painting or paintings.
        name: of the job; default: both files' names.
        settings: ``key=value``: a parameter, or ``preset`` or ``priority``; values as in a manifest.
        presets: a folder of presets of one's own.

    Raises:
        UsageError: a setting or an image that cannot be used.
    """
    copies = {content: f"content{content.suffix.lower()}"}
    for number, style in enumerate(styles, 1):
        copies.setdefault(style, f"style-{number}{style.suffix.lower()}")
    data: dict[str, Any] = {
        "content": copies[content],
        "style": [copies[style] for style in styles] if len(styles) > 1 else copies[styles[0]],
        "name": name or default_name(f"{content.stem}-{styles[0].stem}"),
    }
    parameters: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write it as key=value.")
        own = key not in Parameters.model_fields and key in Manifest.model_fields
        (data if own else parameters)[key] = read_document(text.encode(), f"--set {key}").data
    manifest_text = yaml.safe_dump({**data, "parameters": parameters}, sort_keys=False, allow_unicode=True)
    try:
        manifest = parse_manifest(manifest_text.encode(), "the job", presets=presets)
    except ManifestError as error:
        raise UsageError("\n".join(problem.split(": ", 1)[1] for problem in error.problems)) from None
    inbox.mkdir(parents=True, exist_ok=True)
    folder = f"{manifest.name}-{secrets.token_hex(2)}"
    building = inbox / f".{folder}"
    building.mkdir()
    try:
        for source, copy in copies.items():
            _copy(source, building / copy)
        storage.write_atomic(building / "job.yaml", manifest_text.encode())
        storage.move(building, inbox / folder)
    except BaseException:
        storage.remove_tree(building)
        raise
    return inbox / folder


def _copy(source: Path, target: Path) -> None:
    try:
        with source.open("rb") as file:
            storage.copy_stream(file, target)
    except OSError as error:
        raise UsageError(f"{source}: cannot be read ({error.strerror}).") from None
