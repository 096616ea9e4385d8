"""What the outbox receives for a job, done or failed: log, loss plot, effective manifest; and the page of all."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml

from pipeline import storage, sweep
from pipeline.job import LOSSES, REPORT, RESULT, VARIANTS, Input, Job, name_in, now, read_report
from pipeline.pictures import fonts

SCHEMA = "stylistic.log/1"
PAGE = "index.html"
COLUMNS = ("step", "scale", "total", "content", "style", "total_variation")


def publish(outbox: Path, job: Job, folder: Path | None, error: str | None) -> dict[str, Any]:
    """Build ``outbox/<id>/`` under a dot-name and rename it into sight; gives the log.

    Args:
        outbox: where readers look.
        job: the job's record.
        folder: the job's folder, with what the worker left; None if it never ran.
        error: why it failed; None if it is done.
    """
    building = outbox / f".{job.id}"
    storage.remove_tree(building)
    building.mkdir()
    log = build_log(job, folder, error)
    if folder and not error:
        for path in sorted((folder / RESULT).iterdir()):
            if path.name != REPORT and not path.name.startswith("."):
                with path.open("rb") as file:
                    storage.copy_stream(file, building / path.name)
        for place in sorted((folder / VARIANTS).glob("[0-9]*")):
            _add_variant(building, place)
    if log["loss"]["step"]:
        storage.write_atomic(building / f"{job.name}.loss.png", loss_plot(log["loss"], job.name))
    if log["manifest"] is not None:
        text = yaml.safe_dump(log["manifest"], sort_keys=False, allow_unicode=True)
        storage.write_atomic(building / "manifest.yaml", text.encode())
    storage.write_json(building / f"{job.name}.json", log)
    storage.sync_folder(building)
    storage.move(building, outbox / job.id)
    return log


def _add_variant(building: Path, place: Path) -> None:
    """The picture and the log of a sweep's variant."""
    job = Job.load(place)
    log = build_log(job, place, sweep.error(place))
    if log["output"]:
        picture = log["output"]["file"]
        with (place / RESULT / picture).open("rb") as file:
            storage.copy_stream(file, building / picture)
    storage.write_json(building / f"{job.name}.json", log)


def read_log(outbox: Path, job_id: str) -> dict[str, Any] | None:
    """The published log of a job; None if nothing is published."""
    try:
        log = json.loads((outbox / job_id / f"{name_in(job_id)}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return log if isinstance(log, dict) and log.get("schema") == SCHEMA else None


def build_log(job: Job, folder: Path | None, error: str | None) -> dict[str, Any]:
    """The log as DESIGN fixes it, from the job's record and what the worker left in its folder."""
    worker: dict[str, Any] = {"engine": None, "timing": None, "peak_memory_bytes": None, "output": None, "chosen": {}}
    if folder and not error:
        worker = read_report(folder)
    manifest = job.manifest and {**job.manifest, "parameters": {**job.manifest["parameters"], **worker["chosen"]}}
    return {
        "schema": SCHEMA,
        "status": "failed" if error else "done",
        "job": {
            "id": job.id,
            "name": job.name,
            "claimed_at": job.claimed_at,
            "started_at": job.started_at,
            "finished_at": now(),
            "attempts": job.attempts,
        },
        "manifest": manifest,
        "inputs": {
            "content": _input(job.images["content"]) if job.images else None,
            "style": [_input(image) for part, image in job.images.items() if part.startswith("style-")],
            "others": [
                _input(image) for part, image in job.images.items() if not part.startswith(("content", "style-"))
            ],
        },
        "engine": worker["engine"],
        "loss": _read_losses(folder),
        "timing": worker["timing"],
        "peak_memory_bytes": worker["peak_memory_bytes"],
        "output": worker["output"],
        "error": error,
        **({"variants": worker["variants"]} if "variants" in worker else {}),
    }


def loss_plot(loss: dict[str, list[float]], title: str) -> bytes:
    """The curve of each loss over the steps, as PNG; a line marks where a larger scale begins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for column, color in (
        ("total", "black"),
        ("style", "#c2571a"),
        ("content", "#2b6cb0"),
        ("total_variation", "#6b8e23"),
    ):
        axes.plot(loss["step"], loss[column], label=column.replace("_", " "), color=color, linewidth=1.2)
    scales = loss["scale"]
    if any(value > 0 for column in COLUMNS[2:] for value in loss[column]):  # a logarithm of nothing is a warning
        axes.set_yscale("log", nonpositive="mask")
    for index, scale in enumerate(scales):
        if index == 0 or scale != scales[index - 1]:
            axes.axvline(loss["step"][index], color="#bbbbbb", linewidth=0.8, zorder=0)
            label = f" {scale} px"
            axes.text(loss["step"][index], 1.0, label, transform=axes.get_xaxis_transform(), fontsize=8, va="bottom")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    words = fonts.drawable(title)
    axes.set_title(words.replace("$", r"\$"), pad=18, fontfamily=fonts.families(words))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


class Page:
    """``outbox/index.html``, newest first. Keeps what it has read, so that a result is read once."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox
        self._rows: dict[str, dict[str, Any]] = {}

    def write(self) -> None:
        """Bring the page up to date with what lies in the outbox."""
        import jinja2

        present = {path.name for path in self._outbox.iterdir() if path.is_dir() and not path.name.startswith(".")}
        self._rows = {job_id: row for job_id, row in self._rows.items() if job_id in present}
        for job_id in present - self._rows.keys():
            if log := read_log(self._outbox, job_id):
                self._rows[job_id] = _row(log)
        rows = sorted(self._rows.values(), key=lambda row: row["finished_at"], reverse=True)
        environment = jinja2.Environment(loader=jinja2.PackageLoader("pipeline"), autoescape=True)
        html = environment.get_template("index.html").render(rows=rows)
        storage.write_atomic(self._outbox / PAGE, html.encode("utf-8", "replace"))


def _row(log: dict[str, Any]) -> dict[str, Any]:
    job, output, timing = log["job"], log["output"] or {}, log["timing"] or {}
    return {
        "id": job["id"],
        "name": job["name"],
        "finished_at": job["finished_at"],
        "error": log["error"],
        "picture": output.get("file"),
        "width": output.get("width"),
        "height": output.get("height"),
        "content": log["inputs"]["content"] and log["inputs"]["content"]["file"],
        "styles": [style["file"] for style in log["inputs"]["style"]],
        "preset": log["manifest"] and log["manifest"]["preset"],
        "steps": len(log["loss"]["step"]),
        "variants": len(log.get("variants", ())),
        "seconds": timing.get("optimize_seconds"),
    }


def _input(source: Input) -> dict[str, Any]:
    return {"file": source.file, "sha256": source.sha256, "width": source.width, "height": source.height}


def _read_losses(folder: Path | None) -> dict[str, list[float]]:
    lines = []
    if folder and (folder / LOSSES).exists():
        with (folder / LOSSES).open(encoding="ascii") as file:
            # A worker that died may have left half a line.
            lines = [json.loads(line) for line in file if line.endswith("\n")]
    return {column: [line[column] for line in lines] for column in COLUMNS}
