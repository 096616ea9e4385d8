"""Several workers: pictures an hour, what a job costs on a cluster, and a night of 200 stand-in workers that die.

python -m benchmarks.workers [--size 256] [--jobs 12] [--steps 12]
python -m benchmarks.workers --simulate [--jobs 10000] [--workers 200]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import multiprocessing
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks import common
from pipeline.inbox.alarm import Alarm
from pipeline.inbox.claims import Claims
from pipeline.inbox.drops import Drops
from pipeline.inbox.readiness import Judge
from pipeline.inbox.scan import Scanner
from pipeline.jobs import attempt, losses, result
from pipeline.jobs.lock import Lease, runner_lock
from pipeline.jobs.losses import Loss
from pipeline.jobs.record import RECORD, Job, JobImage
from pipeline.jobs.result import Done, Engine, Outcome, Output, Timing, WeightsUsed
from pipeline.jobs.spool import Spool
from pipeline.manifest.model import Limits
from pipeline.manifest.parse import parse_manifest
from pipeline.runner.cluster import ClusterExecutor, connector
from pipeline.runner.loop import Ending, Runner
from pipeline.worker.session import Options

BIN = Path(sys.executable).parent
PORT = 18_790
ADDRESS = f"tcp://127.0.0.1:{PORT}"
WORKERS_A_PROCESS = 10
STEPS, STEP_SECONDS = 5, 3.0  # of a stand-in's job
# What a Dask worker does all the time though it has no work: too much where two cores have two hundred of them.
STAND_IN_SETTINGS = {
    "distributed.worker.profile.enabled": False,  # a look at the stack every 10 ms
    "distributed.admin.tick.interval": "1h",  # whether its event loop is prompt
    "distributed.admin.system-monitor.interval": "10s",
}
_forks = multiprocessing.get_context("forkserver")  # so that a new process need not import everything again


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--simulate", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.simulate:
            name, figures = "simulation", simulate(Path(folder), arguments.jobs or 10_000, arguments.workers)
        else:
            name = "workers"
            figures = measure(Path(folder), arguments.size, arguments.jobs or 12, arguments.steps)
    for what, figure in figures.items():
        print(f"{what:60} {figure}")
    common.write(name, {"processor": processor(), **figures})


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def measure(root: Path, size: int, jobs: int, steps: int) -> dict[str, Any]:
    """Pictures an hour once all workers are warm, and the time from result to result less the steps."""
    figures: dict[str, Any] = {}
    configurations: list[tuple[str, list[str], list[int | None]]] = [
        ("1 local worker", ["--workers", "1"], []),
        ("2 local workers", ["--workers", "2"], []),
        ("1 Dask worker", ["--scheduler", ADDRESS], [None]),
        ("2 Dask workers, a core each", ["--scheduler", ADDRESS], [0, 1]),
    ]
    for name, options, pinned in configurations:
        place = root / name.replace(" ", "-")
        drop(place / "inbox", size, jobs, steps)
        with cluster(root, pinned) if pinned else contextlib.nullcontext():
            subprocess.run([BIN / "stylistic", "run", *options], cwd=place, check=True, capture_output=True)
        logs = [json.loads(path.read_text()) for path in place.glob("outbox/[!.]*/*.json")]
        logs.sort(key=lambda log: log["job"]["finished_at"])
        ends = [datetime.fromisoformat(log["job"]["finished_at"]) for log in logs]
        workers = max(1, int(name[0]))
        seconds = (ends[-1] - ends[workers - 1]).total_seconds()
        figures[f"{name}: pictures an hour"] = round(3600 * (jobs - workers) / seconds)
        if workers == 1:
            overheads = sorted(
                (after - before).total_seconds() - log["timing"]["optimize_seconds"]
                for before, after, log in zip(ends, ends[1:], logs[1:], strict=False)
            )
            figures[f"{name}: seconds a job beyond its steps"] = round(overheads[len(overheads) // 2], 3)
    return figures


def drop(inbox: Path, size: int, jobs: int, steps: int) -> None:
    """So many jobs of one scale of so many steps each."""
    drop_each(inbox, [{"image_size": size, "epochs": 1, "steps_per_epoch": steps, "pyramid": "off"}] * jobs)


def drop_each(inbox: Path, parameters: Sequence[Any]) -> None:
    """A job of the example's pictures for each of these parameters."""
    inbox.mkdir(parents=True)
    for picture in (common.CONTENT, common.STYLE):
        shutil.copy(picture, inbox)
    for number, asked in enumerate(parameters):
        manifest = {"content": common.CONTENT.name, "style": common.STYLE.name, "parameters": asked}
        (inbox / f"{number}.json").write_text(json.dumps(manifest), encoding="utf-8")
    time.sleep(2.1)  # the settling time is not what is measured


@contextlib.contextmanager
def cluster(root: Path, cores: list[int | None]) -> Iterator[int]:
    """A scheduler, whose process it gives, and Dask workers, each pinned to a core, or to none."""
    started = [start("dask_scheduler", "--host", "127.0.0.1", "--port", str(PORT), "--no-dashboard")]
    for core in cores:
        settings = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--local-directory", str(root)]
        pin = [] if core is None else ["taskset", "-c", str(core)]
        started.append(start("dask_worker", ADDRESS, *settings, prefix=pin))
    try:
        yield started[0].pid
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def start(command: str, *arguments: str, prefix: list[str] | None = None) -> subprocess.Popen[bytes]:
    whole = [*(prefix or []), sys.executable, "-m", f"distributed.cli.{command}", *arguments]
    return subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stand_in(folder: Path, number: int, variant: int | None, options: Options) -> tuple[Outcome, str]:
    """What a worker does, with steps that only take time."""
    from distributed import get_worker

    here = str(get_worker().address)
    try:
        own = attempt.begin(folder, number, attempt.Worker(address=here))
    except FileExistsError:
        return Outcome("lost"), here  # as the real ones say: it is for the runner to find out whether that worker lives
    fence, job = attempt.Fence(folder, number), Job.load(folder)
    with losses.opened(own, keep=0) as log:
        for step in range(1, STEPS + 1):
            time.sleep(STEP_SECONDS)
            log.write(Loss(step=step, scale=64, total=1 / step, content=0, style=1 / step, total_variation=0))
            if not fence.holds():
                return Outcome("lost"), here
    done = Done(
        engine=Engine(tensorflow="", device="", precision="", weights=WeightsUsed(source="", sha256="0" * 64)),
        timing=Timing(setup_seconds=0, optimize_seconds=STEPS * STEP_SECONDS, seconds_per_step=STEP_SECONDS),
        peak_memory_bytes=0,
        output=Output.of(f"{job.name}.png", 1, 1, b"a picture"),
    )
    result.leave(own, done, {f"{job.name}.png": b"a picture"})
    return Outcome("through"), here


def stand_in_workers() -> None:
    """Some of Dask's workers, in a process of their own."""
    import dask

    logging.disable()
    with dask.config.set(STAND_IN_SETTINGS):
        asyncio.run(work())


async def work() -> None:
    from distributed import Worker

    workers = [Worker(ADDRESS, nthreads=1, memory_limit=0, dashboard=False) for _ in range(WORKERS_A_PROCESS)]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


def stand_in_process() -> BaseProcess:
    process = _forks.Process(target=stand_in_workers, daemon=True)
    process.start()
    return process


def simulate(root: Path, jobs: int, workers: int) -> dict[str, Any]:
    for name in ("inbox", "jobs", "outbox"):
        (root / name).mkdir()
    spool = Spool(root / "jobs")
    spool.prepare()
    fill(spool, jobs)
    _forks.set_forkserver_preload(["distributed", "benchmarks.common", "pipeline.runner.loop"])
    with cluster(root, []) as scheduler:
        processes = [stand_in_process() for _ in range(workers // WORKERS_A_PROCESS)]
        is_over = threading.Event()
        killed: list[int] = []
        killer = threading.Thread(target=kill_at_random, args=(processes, is_over, killed))
        memory: list[tuple[int, int]] = []
        announced: list[str] = []

        def announce(line: str) -> None:
            announced.append(line)
            memory.append((resident("self"), resident(scheduler)))

        runner = stand_in_runner(root, spool, announce)
        killer.start()
        before, begun = time.process_time(), time.monotonic()
        with runner_lock(root / "jobs"):
            runner.run()
        seconds, busy = time.monotonic() - begun, time.process_time() - before
        is_over.set()
        killer.join()
        for process in processes:
            process.kill()
            process.join()
    published = [path.name for path in (root / "outbox").iterdir() if path.is_dir()]
    tenth = len(memory) // 10
    return {
        "jobs": jobs,
        "workers": workers,
        "workers killed": len(killed) * WORKERS_A_PROCESS,
        "published": len(published),
        "of them failed for three deaths": runner.tally.failed,
        "lost": jobs - len(published),
        "announced twice": len(announced) - len(published),
        "seconds": round(seconds),
        "seconds if the workers had never waited nor died": round(jobs * STEPS * STEP_SECONDS / workers),
        "the runner's CPU seconds a job": round(busy / jobs, 4),
        "the runner's share of a core": round(busy / seconds, 2),
        "the runner's memory after a tenth, MiB": memory[tenth][0] >> 20,
        "the runner's memory at the end, MiB": memory[-1][0] >> 20,
        "the scheduler's memory after a tenth, MiB": memory[tenth][1] >> 20,
        "the scheduler's memory at the end, MiB": memory[-1][1] >> 20,
    }


def resident(process: int | str) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def stand_in_runner(root: Path, spool: Spool, announce: Any) -> Runner:
    claims = Claims(root / "inbox", root / "jobs", spool.retries)
    drops = Drops(root / "inbox", claims.folder, spool.retries, [])
    scanner = Scanner(drops, Judge(0, 600, Limits(), trust_times=True))
    executor = ClusterExecutor(connector(ADDRESS, None), Options(None, 1, 30.0), stand_in)
    lease, alarm = Lease(root / "jobs"), Alarm(None)
    return Runner(scanner, claims, spool, lease, root / "outbox", executor, alarm, Ending(), 120.0, announce)


def fill(spool: Spool, jobs: int) -> None:
    manifest = parse_manifest(b"content: a.png\nstyle: b.png", "a.yaml")
    images = {
        part: JobImage(file=file, stored=f"{part}.png", sha256="0" * 64, width=8, height=8)
        for part, file in manifest.images.items()
    }
    for number in range(jobs):
        job_id = f"j{number}-20260101-000000-0000"
        record = Job(
            id=job_id,
            name=f"j{number}",
            claimed_at=f"2026-01-01T00:00:00.{number:06}+00:00",
            manifest=manifest,
            images=images,
            steps=STEPS,
        )
        (spool.queued / job_id).mkdir()
        (spool.queued / job_id / RECORD).write_text(record.model_dump_json())


def kill_at_random(processes: list[BaseProcess], is_over: threading.Event, killed: list[int]) -> None:
    dice = random.Random(0)
    while not is_over.wait(dice.uniform(5, 25)):
        number = dice.randrange(len(processes))
        processes[number].kill()
        processes[number].join()
        killed.append(number)
        processes[number] = stand_in_process()


if __name__ == "__main__":
    main()
