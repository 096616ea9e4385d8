"""The results of an outbox as the page shows them, each read once."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.jobs import log, previews
from pipeline.jobs.log import Log
from pipeline.jobs.losses import Losses
from pipeline.manifest.parameters import Parameters
from pipeline.outbox.publish import DROPPED

SHOWN_BY_BROWSERS = (".png", ".jpg", ".webp")
LOOK_SECONDS = 2.0  # that reading new results may take; the runner does nothing else meanwhile
POINTS = 48  # of a curve
MOST_SCALES = 100  # of a curve, that are marked
MOST_FILES = 300  # of a result, that are listed
MOST_PREVIEWS = 5000
MOST_STYLES = 64
MOST_VARIANTS, MOST_OF_VARIANTS = 1000, 500_000  # that are told, and characters of them in all
MOST_FIELDS = 100  # of parameters, and of a variant
MOST_CHARACTERS = 5000  # of a text, or of a field
DEFAULTS = Parameters().model_dump(mode="json")


class Results:
    """Reads what is published; remembers it as long as its folder does not change."""

    def __init__(self, outbox: Path) -> None:
        self.is_behind = False  # some have not been read yet
        self._outbox = outbox
        self._rows: dict[str, tuple[Any, dict[str, Any] | None]] = {}  # with what changes when a result does

    def rows(self, whole: bool = True) -> list[dict[str, Any]]:
        """A row for each result, the newest first; none for what is no result of ours.

        Args:
            whole: else what takes long to read is left to the next time.
        """
        found = storage.entries(self._outbox)
        present = [entry.path for entry in found if entry.name[0] != "." and entry.is_folder]
        begun, before, self.is_behind, self._rows = time.monotonic(), self._rows, False, {}
        for path in present:
            if whole or time.monotonic() - begun < LOOK_SECONDS:
                self._rows[path.name] = self._read(path, before.get(path.name))
            else:
                self.is_behind = True
                self._rows |= {path.name: before[path.name]} if path.name in before else {}
        rows = [row for _, row in self._rows.values() if row]
        return sorted(rows, key=lambda row: str(row["at"]), reverse=True)

    def _read(self, folder: Path, known: tuple[Any, dict[str, Any] | None] | None) -> tuple[Any, dict[str, Any] | None]:
        status = storage.glance(folder)
        if status is None:  # taken away while we looked
            return None, None
        version = status.st_ino, status.st_mtime_ns
        if known and known[0] == version:
            return known
        found = log.read(self._outbox, folder.name)
        return version, _row(found, folder) if found else None


def _row(found: Log, folder: Path) -> dict[str, Any]:
    names = _files(folder)
    names += [f"{within}/{name}" for within in _folders(folder) for name in _files(folder / within)]
    manifest = found.manifest or {}
    # Only what is said of a job itself has been checked: the manifest may be another program's.
    parameters, sweep, preset = (manifest.get(key) for key in ("parameters", "sweep", "preset"))
    picture = found.output and found.output.file
    return {
        "id": found.job.id,
        "name": found.job.name,
        "status": "cancelled" if found.is_cancelled else found.status,
        "at": found.job.finished_at,
        "error": found.error and _cut(found.error),
        "picture": picture,
        "shows": picture if picture and picture.endswith(SHOWN_BY_BROWSERS) else None,
        "width": found.output and found.output.width,
        "height": found.output and found.output.height,
        "content": found.inputs.content and found.inputs.content.file,
        "styles": [style.file for style in found.inputs.style[:MOST_STYLES]],
        "preset": _cut(preset) if isinstance(preset, str) else None,
        "parameters": _told(_changed(parameters)) if isinstance(parameters, dict) else None,
        "steps": len(found.loss.step),
        "seconds": found.timing and found.timing.optimize_seconds,
        "device": found.engine and _cut(found.engine.device),
        "precision": found.engine and _cut(found.engine.precision),
        "memory": found.peak_memory_bytes,
        "card_memory": found.peak_card_memory_bytes,
        "attempts": found.job.attempts,
        "curve": _curve(found.loss),
        "dropped": next((name for name in names if name.startswith(f"{DROPPED}/")), None),
        "files": names[:MOST_FILES],
        "previews": _previews(folder)[:MOST_PREVIEWS],
        "variants": found.variants and _variants(found.variants, names),
        "columns": list(_told(sweep)) if isinstance(sweep, dict) else [],
    }


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields that others have written, but for what is too long to be told."""
    few = itertools.islice(fields.items(), MOST_FIELDS)
    return {key: value for key, value in few if len(key) + len(json.dumps(value)) <= MOST_CHARACTERS}


def _variants(rows: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """The rows of a sweep's table, as far as there is room for them."""
    told, left = [], MOST_OF_VARIANTS
    for row in rows[:MOST_VARIANTS]:
        told.append(_variant(row, names))
        left -= len(json.dumps(told[-1]))
        if left < 0:
            return told[:-1]
    return told


def _variant(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """A row of a sweep's table. Its file is one of the result's own, or none."""
    return {key: None if key == "file" and value not in names else value for key, value in _told(row).items()}


def _changed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Those that are not as the defaults are."""
    return {key: value for key, value in parameters.items() if key not in DEFAULTS or DEFAULTS[key] != value}


def _curve(loss: Losses) -> dict[str, Any] | None:
    """Few points of each loss, in hundredths of its logarithm to base ten; None without any step."""
    steps = loss.step
    if not steps:
        return None
    last = len(steps) - 1
    picked = sorted({round(last * point / (POINTS - 1)) for point in range(POINTS)})
    sides = list(zip(steps, loss.scale, strict=False))
    changes = [[step, side] for n, (step, side) in enumerate(sides) if n == 0 or side != sides[n - 1][1]]
    lines = {"total": loss.total, "style": loss.style, "content": loss.content}
    return {
        "last": steps[-1],
        "scales": changes[:MOST_SCALES],
        **{name: _logarithms(v, picked) for name, v in lines.items()},
    }


def _logarithms(values: Sequence[float], picked: Sequence[int]) -> list[int | None]:
    found = [values[n] for n in picked if n < len(values)]
    return [round(100 * math.log10(value)) if 0 < value < math.inf else None for value in found]


def _previews(folder: Path) -> list[str]:
    """Their names below ``previews/``, without the suffix; those of a variant with its number before."""
    found = [path.stem for path in previews.files(folder)]
    for variant in _folders(folder / previews.FOLDER):
        names = _files(folder / previews.FOLDER / variant)
        found += [f"{variant}/{name.removesuffix('.webp')}" for name in names if name.endswith(".webp")]
    return found


def _files(folder: Path) -> list[str]:
    """The files in a folder that can be named in an address."""
    try:
        names = [entry.name for entry in storage.entries(folder) if entry.name[0] != "." and entry.is_file]
    except OSError:
        return []
    return [name for name in names if _is_text(name)]


def _folders(folder: Path) -> list[str]:
    """The folders in a result, but for the previews."""
    try:
        names = [entry.name for entry in storage.entries(folder) if entry.name[0] != "." and entry.is_folder]
    except OSError:
        return []
    return [name for name in names if _is_text(name) and name != previews.FOLDER]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return True
