"""What is made of a sweep's variants when all are through: a sheet that shows them side by side, and a table."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.errors import ImageError, JobError
from pipeline.jobs import losses, previews, result, variants
from pipeline.jobs.record import Job
from pipeline.jobs.result import RESULT, Done, Failed, Output, Result, Timing
from pipeline.manifest.model import Manifest
from pipeline.pictures import images
from pipeline.pictures.contact import contact_sheet
from pipeline.pictures.preview import preview

TILE = 320  # pixels of a picture's long side on the sheet


def leave_result(folder: Path, job: Job) -> None:
    """Draw the sheet, write the table, and report the sweep as done. A variant that failed, or whose picture is
    damaged, leaves its place empty.

    Args:
        folder: of the attempt.
        job: the sweep's record.

    Raises:
        JobError: no variant could be painted.
    """
    assert job.manifest is not None, "a job that runs has a manifest"
    manifest, records = job.manifest, variants.records(job)
    places = [variants.place(folder, number) for number in range(1, len(records) + 1)]
    ended = [result.read(place) or Failed(reason="its result is gone.") for place in places]
    done = [one for one in ended if isinstance(one, Done)]
    if not done:
        first = next(one.reason for one in ended if isinstance(one, Failed))
        raise JobError(f"none of {len(ended)} variants could be painted; the first: {first}")
    rows = list(map(_row, places, records, _values(manifest), ended))
    sheet = _sheet(manifest, rows, list(map(_picture, places, ended)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    output = Output.of(f"{job.name}.sheet.png", sheet.width, sheet.height, buffer.getvalue())
    timing = Timing(
        setup_seconds=round(sum(one.timing.setup_seconds for one in done), 4),
        optimize_seconds=round(sum(one.timing.optimize_seconds for one in done), 4),
        seconds_per_step=done[0].timing.seconds_per_step,
    )
    whole = done[0].model_copy(update={"timing": timing, "chosen": {}, "output": output, "variants": rows})
    previews.leave(folder, {"picture": preview(sheet, previews.SIDES["picture"])})
    result.leave(folder, whole, {f"{job.name}.csv": table(rows), output.file: buffer.getvalue()})


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


def _row(place: Path, job: Job, values: dict[str, str], ended: Result) -> dict[str, Any]:
    seen = losses.read(place)
    last = seen[-1] if seen else None
    done = ended if isinstance(ended, Done) else None
    return {
        "variant": job.name,
        **values,
        "file": done and done.output.file,
        "steps": len(seen),
        **{f"final_{part}": last and getattr(last, part) for part in ("total", "content", "style", "total_variation")},
        **{part: done and getattr(done.timing, part) for part in ("setup_seconds", "optimize_seconds")},
        "error": ended.reason if isinstance(ended, Failed) else None,
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


def _picture(place: Path, ended: Result) -> Image.Image | None:
    if isinstance(ended, Failed):
        return None
    try:
        image = images.own(place / RESULT / ended.output.file)
    except ImageError:
        return None
    ground = Image.new("RGB", image.size, (128, 128, 128))
    ground.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return ground
