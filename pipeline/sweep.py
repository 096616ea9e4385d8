"""A sweep: one job that tries every combination of some values, and shows them side by side.

Each variant is a job of its own below ``variants/`` in the job's folder, with the images of the whole.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline import storage
from pipeline.errors import JobError
from pipeline.job import LOSSES, REPORT, RESULT, VARIANTS, Job, has_report, read_report, write_result
from pipeline.manifest.model import Limits, Manifest
from pipeline.pictures.contact import contact_sheet
from pipeline.pictures.images import PHOTO_SUFFIXES

TILE = 320  # pixels of a picture's long side on the sheet


def expand(manifest: Manifest, folders: Sequence[Path], limits: Limits) -> Manifest:
    """The manifest with the photos that a pattern such as ``content: photos/*.jpg`` stands for, by name.

    Args:
        manifest: returned as it is if its sweep has no pattern.
        folders: where patterns start; the first in which one matches counts.
        limits: refused beyond.

    Raises:
        FileNotFoundError: a pattern matches nothing.
        JobError: a pattern leads out of the folders, or matches too much.
    """
    contents = (manifest.sweep or {}).get("content", [])
    if not any(_is_pattern(content) for content in contents):
        return manifest
    paths: list[str] = []
    for content in contents:
        if not _is_pattern(content) or any((folder / content).is_file() for folder in folders):
            paths.append(content)
            continue
        if Path(content).is_absolute() or ".." in Path(content).parts:
            raise JobError(f"`sweep`, {content}: a pattern must stay inside the inbox.")
        matches = next(filter(None, (_matches(folder, content) for folder in folders)), [])
        if not matches:
            raise FileNotFoundError(f"nothing matches {content}")
        paths += matches
    expanded = manifest.with_contents(list(dict.fromkeys(paths)))
    if excess := expanded.excess_of_variants(limits):
        raise JobError(f"{excess}.")
    return expanded


def _is_pattern(content: object) -> bool:
    return isinstance(content, str) and any(mark in content for mark in "*?[")


def _matches(folder: Path, pattern: str) -> list[str]:
    try:
        found = [path.relative_to(folder) for path in folder.glob(pattern)]
    except ValueError as error:
        raise JobError(f"`sweep`, {pattern}: not a pattern ({error}).") from None
    return sorted(
        str(path)
        for path in found
        if path.suffix.lower() in PHOTO_SUFFIXES and not any(part.startswith(".") for part in path.parts)
    )


def lay_out(folder: Path, job: Job, manifest: Manifest) -> list[Path]:
    """The variants' folders, each with its record; those that are there already are left alone."""
    by_file = {image.file: image for image in job.images.values()}
    folders = []
    for number, variant in enumerate(manifest.variants(), 1):
        place = folder / VARIANTS / f"{number:03}"
        if not place.exists():
            images = {
                part: dataclasses.replace(by_file[file], stored=f"../../{by_file[file].stored}")
                for part, file in variant.images.items()
            }
            record = dataclasses.replace(job, name=variant.name, manifest=variant.effective(), images=images)
            building = place.with_name(f".{place.name}")
            storage.remove_tree(building)
            building.mkdir(parents=True)
            record.save(building)
            storage.move(building, place)
        folders.append(place)
    return folders


def error(place: Path) -> str | None:
    """Why a variant failed; None if it is done."""
    reason: str | None = read_report(place).get("error")
    return reason


def is_done(place: Path) -> bool:
    """Whether a variant has a picture."""
    return has_report(place) and error(place) is None


def leave_failure(place: Path, reason: str) -> None:
    """Note why a variant has no picture; the others go on."""
    (place / RESULT).mkdir(exist_ok=True)
    storage.write_json(place / RESULT / REPORT, {"error": reason})


def leave_result(folder: Path, job: Job, manifest: Manifest, places: list[Path]) -> str | None:
    """Draw the sheet, write the table, and report the sweep as done; gives a reason where no variant is."""
    reports = [read_report(place) for place in places]
    first = next((report for report in reports if "error" not in report), None)
    if first is None:
        return f"none of {len(places)} variants could be painted; the first: {reports[0]['error']}"
    rows = list(map(_row, places, _values(manifest), reports))
    (folder / RESULT).mkdir(exist_ok=True)
    storage.write_atomic(folder / RESULT / f"{job.name}.csv", table(rows))
    sheet = _sheet(manifest, rows, [_picture(place, report) for place, report in zip(places, reports, strict=True)])
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_result(
        folder,
        buffer.getvalue(),
        {
            "engine": first["engine"],
            "timing": {
                "setup_seconds": round(sum(row["setup_seconds"] or 0.0 for row in rows), 4),
                "optimize_seconds": round(sum(row["optimize_seconds"] or 0.0 for row in rows), 4),
                "seconds_per_step": first["timing"]["seconds_per_step"],
            },
            "peak_memory_bytes": first["peak_memory_bytes"],
            "chosen": {},
            "output": {"file": f"{job.name}.sheet.png", "width": sheet.width, "height": sheet.height},
            "variants": rows,
        },
    )
    return None


def _values(manifest: Manifest) -> list[dict[str, str]]:
    """For each variant the swept fields with their values in words."""
    assert manifest.sweep is not None
    combinations = itertools.product(*manifest.sweep.values())
    return [
        {key: _in_words(value) for key, value in zip(manifest.sweep, combination, strict=True)}
        for combination in combinations
    ]


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_in_words, value))
    if isinstance(value, dict):
        return str(value.get("image") or "+".join(f"{key} {_in_words(v)}" for key, v in value.items()))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(place: Path, values: dict[str, str], report: dict[str, Any]) -> dict[str, Any]:
    lines = (place / LOSSES).read_text(encoding="ascii").splitlines() if (place / LOSSES).exists() else []
    last = json.loads(lines[-1]) if lines else {}
    timing = report.get("timing") or {}
    return {
        "variant": Job.load(place).name,
        **values,
        "file": (report.get("output") or {}).get("file"),
        "steps": len(lines),
        **{f"final_{part}": last.get(part) for part in ("total", "content", "style", "total_variation")},
        **{part: timing.get(part) for part in ("setup_seconds", "optimize_seconds")},
        "error": report.get("error"),
    }


def table(rows: list[dict[str, Any]]) -> bytes:
    """The variants as CSV, one a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows({column: _inert(value) for column, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _inert(value: Any) -> Any:
    """A text that begins as a formula does must not be one to a spreadsheet: names come from whoever drops a file."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _sheet(manifest: Manifest, rows: list[dict[str, Any]], pictures: list[Image.Image | None]) -> Image.Image:
    """The last field that is swept runs along the columns, the others down the rows."""
    assert manifest.sweep is not None
    *_, last = manifest.sweep
    columns = len(manifest.sweep[last])
    values = _values(manifest)
    heads = [f"{last}: {value[last]}" for value in values[:columns]]
    row_heads = [", ".join(f"{key}: {value[key]}" for key in value if key != last) for value in values[::columns]]
    captions = [row["variant"] + (": failed" if row["error"] else "") for row in rows]
    tiles = list(zip(captions, pictures, strict=True))
    return contact_sheet(tiles, columns, TILE, heads, row_heads if any(row_heads) else ())


def _picture(place: Path, report: dict[str, Any]) -> Image.Image | None:
    if "error" in report:
        return None
    with Image.open(place / RESULT / report["output"]["file"]) as image:
        ground = Image.new("RGB", image.size, (128, 128, 128))
        ground.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
        return ground
