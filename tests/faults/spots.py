"""The places that are one entry's: whatever stands there, all others go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from pipeline.jobs import result
from tests.faults.ground import ID, QUICK, SHORT, Ground, gone, job_folder, made, style_folder


def of_image(ground: Ground, name: str) -> Path:
    ground.place.manifest(f"{name}.yaml", parameters=QUICK, content=f"{name}.png")
    return ground.place.inbox / f"{name}.png"


def of_pattern(ground: Ground, name: str) -> Path:
    """One of the photos that a sweep's pattern stands for."""
    ground.place.photo(f"{name}-photos/good.png")
    text = f"style: painting.png\nsweep: {{content: ['{name}-photos/*.png']}}\nparameters: {SHORT}\n"
    (ground.place.inbox / f"{name}.yaml").write_text(text)
    return ground.place.inbox / f"{name}-photos" / "odd.png"


def attempted(file: str, state: str = "queued") -> Callable[[Ground, str], Path]:
    """A file in the folder of a job's first attempt."""
    return lambda ground, name: made(ground.job(name, state) / "attempt-0" / file)


def through(file: str) -> Callable[[Ground, str], Path]:
    """A file of the result of a job that is through, and not published yet."""

    def where(ground: Ground, name: str) -> Path:
        own = ground.job(name, "running") / "attempt-0"
        own.mkdir(exist_ok=True)
        engine = result.Engine(
            tensorflow="2", device="CPU", precision="float32", weights=result.WeightsUsed(source="x", sha256="0" * 64)
        )
        output = result.Output.of(f"{name}.png", 8, 8, b"a picture")
        timing = result.Timing(setup_seconds=1, optimize_seconds=1, seconds_per_step=1)
        done = result.Done(engine=engine, timing=timing, peak_memory_bytes=1, output=output)
        result.leave(own, done, {output.file: b"a picture"})
        (own / "previews").mkdir()
        (own / "previews" / "picture.webp").write_bytes(b"small")
        return gone(own / file)

    return where


@dataclasses.dataclass(frozen=True)
class Spot:
    """A place that is one entry's: whatever stands there, all others go on."""

    name: str
    where: Callable[[Ground, str], Path]
    queued: bool = False  # whether a job of this name is queued beforehand


def in_inbox(path: str) -> Callable[[Ground, str], Path]:
    return lambda ground, name: made(ground.place.inbox / path.format(name=name, runner=ground.runner, id=ID))


def in_jobs(path: str) -> Callable[[Ground, str], Path]:
    return lambda ground, name: made(ground.place.jobs / path.format(name=name, id=ID))


def in_outbox(path: str) -> Callable[[Ground, str], Path]:
    return lambda ground, name: made(ground.place.outbox / path.format(name=name, runner=ground.runner, id=ID))


SPOTS = [
    # The inbox.
    Spot("drop", in_inbox("{name}.yaml")),
    Spot("foldername", in_inbox("{name}")),
    Spot("image", of_image),
    Spot("jobfolder", lambda ground, name: gone(job_folder(ground, name) / "photo.png")),
    Spot("jobmanifest", lambda ground, name: gone(job_folder(ground, name) / "job.yaml")),
    Spot("sketch", lambda ground, name: job_folder(ground, name) / ".hidden"),
    Spot("sweep", of_pattern),
    # Claims.
    Spot("claim", in_inbox(".claimed/{runner}/{name}-{id}.yaml")),
    Spot("claimfolder", in_inbox(".claimed/{runner}/{name}-{id}")),
    Spot("oldclaim", in_inbox(".claimed/{name}-{id}.yaml")),
    Spot("strange", in_inbox(".claimed/{runner}/" + "y" * 240 + ".yaml")),
    Spot("otherrunner", in_inbox(".claimed/runner-{name}")),
    # Style folders, their marks and drafts.
    Spot("stylephoto", lambda ground, name: style_folder(ground, name) / "odd.png"),
    Spot("stylestyle", lambda ground, name: gone(style_folder(ground, name) / "style.yaml")),
    Spot("stylepainting", lambda ground, name: gone(style_folder(ground, name) / "style.png")),
    Spot("stylemarks", lambda ground, name: made(ground.place.inbox / ".painted" / style_folder(ground, name).name)),
    Spot(
        "stylemark",
        lambda ground, name: made(ground.place.inbox / ".painted" / style_folder(ground, name).name / ("0" * 64)),
    ),
    Spot(
        "styledrafts",
        lambda ground, name: made(
            ground.place.inbox / ".claimed" / ground.runner / ".drafts" / style_folder(ground, name).name
        ),
    ),
    Spot(
        "styledraft",
        lambda ground, name: made(
            ground.place.inbox / ".claimed" / ground.runner / ".drafts" / style_folder(ground, name).name / ("0" * 64)
        ),
    ),
    # Staging, retries, what is kept.
    Spot("staged", in_jobs(".staging/{name}-{id}")),
    Spot("retried", in_jobs(".retry/{name}-{id}")),
    Spot("retrydrop", in_jobs(".retry/{name}-{id}/drop")),
    Spot("thrown", in_jobs(".trash/{name}")),
    Spot("input", in_jobs("inputs/{name}")),
    Spot("filed", in_jobs("done/{name}-{id}.json")),
    Spot("failure", in_jobs("failed/{name}-{id}")),
    Spot("failurerecord", in_jobs("failed/{name}-{id}/job.json")),
    Spot("failurecancel", in_jobs("failed/{name}-{id}/cancel")),
    # The queue.
    Spot("entry", in_jobs("queued/{name}-{id}")),
    Spot("nojob", in_jobs("queued/{name}")),
    Spot("record", lambda ground, name: gone(ground.job(name) / "job.json"), True),
    Spot("recorddraft", lambda ground, name: ground.job(name) / ".job.json.tmp", True),
    Spot("copy", lambda ground, name: gone(ground.job(name) / "content.png"), True),
    Spot("dropped", lambda ground, name: gone(ground.job(name) / "dropped.yaml"), True),
    Spot("stop", lambda ground, name: ground.job(name) / "stop", True),
    Spot("stoprunning", lambda ground, name: ground.job(name, "running") / "stop", True),
    Spot("cancel", lambda ground, name: ground.job(name, "running") / "cancel", True),
    Spot("attempt", lambda ground, name: ground.job(name) / "attempt-0", True),
    Spot("attemptnext", lambda ground, name: ground.job(name) / "attempt-1", True),
    Spot("losses", attempted("loss.jsonl"), True),
    Spot("checkpoint", attempted("checkpoint.npz"), True),
    Spot("snapshot", attempted("snapshot-000002.png"), True),
    Spot("variants", attempted("variants"), True),
    Spot("variant", attempted("variants/001"), True),
    # What runs, after a crash.
    Spot("runningentry", in_jobs("running/{name}-{id}")),
    Spot("result", attempted("result", "running"), True),
    Spot("report", attempted("result/result.json", "running"), True),
    Spot("picture", lambda ground, name: through(f"result/{name}.png")(ground, name), True),
    Spot("extra", through("result/extra"), True),
    Spot("preview", through("previews/picture.webp"), True),
    Spot("previews", through("previews"), True),
    Spot("losslog", through("loss.jsonl"), True),
    Spot("worker", attempted("worker.json", "running"), True),
    # The outbox.
    Spot("theirs", in_outbox("{name}")),
    Spot("theirresult", in_outbox("{name}-{id}")),
    Spot("theirlog", in_outbox("{name}-{id}/{name}.json")),
    Spot("theirpictures", in_outbox("{name}-{id}/previews")),
    Spot("draft", lambda ground, name: made(ground.place.outbox / f".{ground.job(name).name}"), True),
    Spot(
        "inthedraft",
        lambda ground, name: made(ground.place.outbox / f".{ground.job(name).name}" / "manifest.yaml"),
        True,
    ),
    Spot("resultname", lambda ground, name: made(ground.place.outbox / ground.job(name).name), True),
    Spot("trash", in_outbox(".stylistic-trash")),
    Spot("pictureplace", in_outbox("pictures/{name}.png"), True),
    Spot(
        "picturedraft", lambda ground, name: made(ground.place.outbox / "pictures" / f".{ground.job(name).name}"), True
    ),
    Spot("page", lambda ground, name: gone(made(ground.place.outbox / "index.html"))),
    Spot("pagedraft", in_outbox(".index.html.{runner}")),
    # Records of the runner's own.
    Spot("reportfile", lambda ground, name: gone(ground.place.jobs / ".report.json")),
    Spot("reportdraft", in_jobs("..report.json.tmp")),
    Spot("holder", lambda ground, name: gone(ground.place.jobs / ".runner.json")),
    Spot("holderdraft", in_jobs("..runner.json.tmp")),
]
