"""From bytes to a manifest, or to the sentences for what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline import storage
from pipeline.errors import ManifestError, shown
from pipeline.manifest import slips
from pipeline.manifest.document import Document, read_document
from pipeline.manifest.fields import TRUTH
from pipeline.manifest.model import Limits, Manifest
from pipeline.manifest.names import NAME, default_name
from pipeline.manifest.parameters import PRESETS
from pipeline.manifest.sentences import sentence

MAX_PROBLEMS = 50  # told at once
_NAMES = ("name", "content", "style", "init_image", "preset")


def parse_manifest(
    data: bytes, file: str, name: str | None = None, limits: Limits = Limits(), presets: Path | None = None
) -> Manifest:
    """The manifest in ``data``.

    Args:
        data: YAML, or JSON if ``file`` ends in ``.json``.
        file: the name of the file, for its form and for the sentences.
        name: the job's name where the manifest gives none; default: from the name of the file.
        limits: refused beyond.
        presets: a folder of presets of one's own.

    Raises:
        ManifestError: with every problem, each a sentence that names file, line and field.
    """
    document = _read(data, file, limits)
    if not isinstance(document.data, dict):
        lines = "a manifest is a list of `key: value` lines, such as `content: photo.jpg`"
        raise ManifestError(f"{file}: {lines}{slips.no_lines(document.data)}.")
    fields = {"name": name or default_name(file), **document.data, **_as_written(document)}
    fields = _on_own_preset(fields, presets, limits)
    return _validated(fields, document, file, limits)


def parse_template(
    data: bytes, file: str, limits: Limits = Limits(), presets: Path | None = None, picture: str | None = None
) -> tuple[Manifest, bool]:
    """The manifest without `content` in ``data``, as of a style folder, and whether it says `again: true`.

    ``content``, and ``name`` where it gives none, are `photo`. Where it names no style, that is ``picture``, which lies
    beside it. Other arguments and errors as ``parse_manifest``.
    """
    document = _read(data, file, limits)
    if not isinstance(document.data, dict):
        lines = "a style is a list of `key: value` lines, such as `style: painting.jpg`"
        raise ManifestError(f"{file}: {lines}{slips.no_lines(document.data)}.")
    fields = {**document.data, **_as_written(document)}
    given, again = fields.pop("again", False), False
    problems = []
    try:
        again = TRUTH.validate_python(given)
    except ValidationError:
        problems.append(f"{file}, line {document.line(['again'])}: `again`: must be true or false, not {shown(given)}")
    if "content" in fields:
        problems.append(f"{file}, line {document.line(['content'])}: `content`: each photo of the folder is one")
    if isinstance(fields.get("sweep"), dict) and "content" in fields["sweep"]:
        line = document.line(["sweep", "content"])
        problems.append(f"{file}, line {line}: `sweep.content`: each photo of the folder is a job of its own")
    if problems:
        raise ManifestError(*problems)
    swept = fields.get("sweep")
    if picture and "style" not in fields and not (isinstance(swept, dict) and "style" in swept):
        fields["style"] = picture
    fields = _on_own_preset({"name": "photo", **fields, "content": "photo"}, presets, limits)
    return _validated(fields, document, file, limits), again


def _as_written(document: Document) -> dict[str, str]:
    """The names among a manifest's fields that look like numbers or truth values: `0123` is one, and not 123."""
    found = {}
    for key in _NAMES:
        value = document.data.get(key)
        if value is not None and not isinstance(value, str) and key in document.written:
            found[key] = document.written[key]
        elif isinstance(value, int | float) and not isinstance(value, bool):  # of JSON
            found[key] = str(value)
    return found


def _read(data: bytes, file: str, limits: Limits) -> Document:
    if len(data) > limits.max_manifest_bytes:
        limit = f"{limits.max_manifest_bytes:,} bytes, the limit for a manifest (--max-manifest-bytes)"
        raise ManifestError(f"{file}: more than {limit}.")
    return read_document(data, file)


def _validated(fields: dict[str, Any], document: Document, file: str, limits: Limits) -> Manifest:
    """The manifest of these fields; what is wrong with it is told with the lines of the document."""
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        found = _problems(error)
        found.sort(key=lambda problem: document.line(problem["loc"]))
        told = [
            f"{file}, line {document.line(problem['loc'])}: {sentence(problem)}" for problem in found[:MAX_PROBLEMS]
        ]
        more = len(found) - len(told)
        raise ManifestError(*told, *([f"{file}: {more:,} more problems."] if more else [])) from None
    if excesses := _excesses(manifest, limits):
        raise ManifestError(*(f"{file}, line {document.line(location)}: {text}" for location, text in excesses))
    return manifest


def _problems(error: ValidationError) -> list[ErrorDetails]:
    """All but that style_size waits for image_size, whose own problem is in the list."""
    return [problem for problem in error.errors() if problem["type"] != "default_factory_not_called"]


def _excesses(manifest: Manifest, limits: Limits) -> list[tuple[list[str], str]]:
    """What a manifest asks for beyond the limits, and combinations that cannot be: where, and a sentence."""
    if manifest.sweep:
        try:
            excess = manifest.excess_of_variants(limits)
        except ValidationError as error:
            return [(["sweep"], f"`sweep`, {sentence(problem)}") for problem in _problems(error)]
        if excess:
            return [(["sweep"], excess)]
    found = []
    if manifest.snapshots > limits.max_snapshots:
        excess = (
            f"`snapshots`: {manifest.snapshots:,} pictures; the limit is {limits.max_snapshots:,} (--max-snapshots)"
        )
        found.append((["parameters", "snapshots"], excess))
    if manifest.sweep:
        return found
    if len(manifest.style) > limits.max_styles:
        excess = f"`style`: {len(manifest.style)} images; the limit is {limits.max_styles} (--max-styles)"
        found.append((["style"], excess))
    if manifest.steps > limits.max_steps:
        excess = (
            f"`epochs` × `steps_per_epoch`: {manifest.steps:,} steps; the limit is {limits.max_steps:,} (--max-steps)"
        )
        found.append((["parameters", "epochs"], excess))
    return found


def _on_own_preset(fields: dict[str, Any], presets: Path | None, limits: Limits) -> dict[str, Any]:
    """A manifest's fields with those of a preset of one's own filled in, resting on the built-in one that it rests on.

    A preset's file is a manifest without images: `parameters`, and `preset` for its own base.
    """
    preset = fields.get("preset")
    if presets is None or preset in PRESETS or not isinstance(preset, str) or not NAME.fullmatch(preset):
        return fields
    path = presets / f"{preset}.yaml"
    try:
        data = storage.read_named(path, limits.max_manifest_bytes + 1)
    except FileNotFoundError:
        return fields
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}).") from None
    own = _read(data, path.name, limits)
    if not isinstance(own.data, dict) or not set(own.data) <= {"preset", "parameters"}:
        raise ManifestError(f"{path.name}: a preset has `parameters`, and `preset` for what it rests on, alone.")
    base = _validated({"name": preset, "content": "none", "style": "none", **own.data}, own, path.name, limits)
    given = fields.get("parameters")
    parameters = base.parameters.model_dump(mode="json", exclude_unset=True)
    given = {} if given is None else given
    asked = [one for one in (given, fields.get("sweep")) if isinstance(one, dict)]
    if any("image_size" in one for one in asked):
        parameters.pop("print", None)  # which would give one
    if any("print" in one for one in asked):
        parameters.pop("image_size", None)
    return {
        **fields,
        "preset": base.preset,
        "parameters": {**parameters, **given} if isinstance(given, dict) else given,
    }
