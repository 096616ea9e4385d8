"""What is at hand, mostly a card: steps beside PyTorch's, the start of a process, jobs cold and warm, pictures an hour.

    python -m benchmarks.gpu [--sizes 512 1024] [--steps 200] [--jobs 3] [--workers 1 2 4] [--device gpu]

Prints Markdown tables for ``docs/benchmarks.md``. Each part has processes of its own, as a process keeps the memory
that it once had and determinism is for all of it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from benchmarks.workers import drop, drop_each

OURS: dict[str, dict[str, Any]] = {
    "Wasserstein, L-BFGS, bfloat16 (the default)": {},
    "Wasserstein, L-BFGS, float32": {"precision": "float32"},
    "Gram, L-BFGS, bfloat16": {"style_loss": "gram"},
    "Gram, Adam, bfloat16": {"style_loss": "gram", "optimizer": "adam"},
}
PEERS = {
    "the tutorial's recipe, float32": "tutorial",
    "PyTorch, Gram, Adam, bfloat16": "eager",
    "PyTorch, compiled": "default",
    "PyTorch, compiled, in CUDA graphs": "reduce-overhead",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=3, help="of each worker")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_part(arguments)))
        return
    figures: dict[str, list[list[Any]]] = {}
    for name, heads, rows in _tables(arguments):
        print(f"\n## {name}\n\n| | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}", flush=True)
        for row in rows:
            figures.setdefault(name, []).append(row)
            print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    common.write("gpu", figures)


def _tables(arguments: argparse.Namespace) -> Iterator[tuple[str, list[str], Iterator[list[Any]]]]:
    sizes = [f"{size} px" for size in arguments.sizes]
    yield "Start of a process, seconds", [""], _start(arguments)
    yield "Milliseconds a step", sizes, _steps(arguments)
    of_job = ["images", "steps", "since the last", "memory"]
    yield "Jobs of `standard` through `stylistic run`, seconds, the first one cold", of_job, _jobs(arguments)
    yield f"Pictures an hour, {arguments.steps} steps", sizes, _hours(arguments)


def _start(arguments: argparse.Namespace) -> Iterator[list[Any]]:
    found = _measured(arguments, "start")
    yield ["painting on", found.pop("device")]
    yield from ([name, f"{seconds:.2f}"] for name, seconds in found.items())


def _steps(arguments: argparse.Namespace) -> Iterator[list[Any]]:
    for name, parameters in OURS.items():
        yield [name, *_in_ms(arguments, "ours", parameters)]
    yield [f"{next(iter(OURS))}, without determinism", *_in_ms(arguments, "ours", {}, deterministic=False)]
    for name, kind in PEERS.items():
        if kind == "tutorial" or find_spec("torch"):
            yield [name, *_in_ms(arguments, kind)]


def _in_ms(arguments: argparse.Namespace, kind: str, parameters: Any = None, deterministic: bool = True) -> list[str]:
    found = _measured(arguments, kind, parameters=parameters or {}, deterministic=deterministic)
    return [f"{1000 * seconds:.2f}" for seconds in found]


def _measured(arguments: argparse.Namespace, kind: str, **more: Any) -> Any:
    """A part's figures, from a process of its own."""
    asked = {"kind": kind, "sizes": arguments.sizes, "steps": arguments.steps, "device": arguments.device, **more}
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", json.dumps(asked)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _part(arguments: argparse.Namespace) -> Any:
    asked = json.loads(arguments.part)
    if asked["kind"] == "start":
        return _parts_of_a_start(asked["sizes"][0], asked["device"])
    pictures = [(common.load(common.CONTENT, size), common.load(common.STYLE, size)) for size in asked["sizes"]]
    if asked["kind"] == "ours":
        return [_ours(content, style, asked) for content, style in pictures]
    return [_peers(content, style, asked) for content, style in pictures]


def _parts_of_a_start(size: int, device: str) -> dict[str, Any]:
    """Seconds of each part of the way to a step, in their order."""
    from pipeline.worker import session

    seconds: dict[str, Any] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found = work()
        seconds[name] = time.perf_counter() - begun
        return found

    timed("TensorFlow's import", lambda: importlib.import_module("tensorflow"))
    timed("the device", lambda: [session.tensorflow(), session.gpus(device)])
    options = session.Options(None, 10**9, 30, device)
    opened = timed("weights and extractor", lambda: session.open_session(options, "auto"))
    content, style = timed("two pictures", lambda: [common.load(p, size) for p in (common.CONTENT, common.STYLE)])
    parameters = common.parameters(pyramid="off", epochs=1, steps_per_epoch=3)
    settled = timed("style_weight: auto", lambda: opened.stylizer.settled(content, _styles(style), parameters))
    run = opened.stylizer.run(content, _styles(style), settled)
    timed("the first step, traced", lambda: next(run))
    timed("the second step", lambda: next(run))
    return {**seconds, "device": f"{opened.device}, {opened.precision}"}


def _styles(style: Any) -> list[Any]:
    from pipeline.engine.targets import Style

    return [Style(style, 1.0, "style")]


def _ours(content: Any, style: Any, asked: dict[str, Any]) -> float:
    """Seconds a step, of calls as a worker makes them."""
    from pipeline.worker import session

    session.tensorflow()
    if not asked["deterministic"]:
        from tensorflow.python.framework.config import disable_op_determinism  # which is not public

        disable_op_determinism()
    options = session.Options(None, 10**9, 30, asked["device"])
    given = {"pyramid": "off", "epochs": 2, "steps_per_epoch": asked["steps"], **asked["parameters"]}
    opened = session.open_session(options, given.pop("precision", "auto"))
    half, begun, first = int(asked["steps"]), 0.0, 0
    for step in opened.stylizer.run(content, _styles(style), common.parameters(**given)):
        if step.number == step.state.step and not begun and step.number >= half:
            begun, first = time.perf_counter(), step.number
    return (time.perf_counter() - begun) / (step.number - first)


def _peers(content: Any, style: Any, asked: dict[str, Any]) -> float:
    kernels = common.load_weights().kernels
    if asked["kind"] == "tutorial":
        from benchmarks.tutorial import make_step

        step = make_step(kernels, content, style)
    else:
        from benchmarks import peers

        step = peers.make_step(kernels, content, style, "bfloat16", asked["kind"])
    steps = int(asked["steps"])
    for _ in range(5):
        step()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - begun) / steps


def _jobs(arguments: argparse.Namespace) -> Iterator[list[Any]]:
    sizes = [arguments.sizes[0], *arguments.sizes, arguments.sizes[0]]
    with tempfile.TemporaryDirectory() as folder:
        drop_each(Path(folder, "inbox"), [{"image_size": size} for size in sizes])
        for size, log in zip(sizes, _run(Path(folder), arguments, 1), strict=True):
            timing, peak = log["timing"], log["peak_card_memory_bytes"] or log["peak_memory_bytes"]
            parts = (f"{timing[part]:.2f}" for part in ("setup_seconds", "optimize_seconds"))
            yield [f"{size} px", *parts, f"{log['seconds']:.2f}", f"{peak / 1e9:.1f} GB"]


def _hours(arguments: argparse.Namespace) -> Iterator[list[Any]]:
    for workers in arguments.workers:
        row: list[Any] = [f"{workers} workers"]
        for size in arguments.sizes:
            with tempfile.TemporaryDirectory() as folder:
                drop(Path(folder, "inbox"), size, workers * (arguments.jobs + 1), arguments.steps)
                logs = list(_run(Path(folder), arguments, workers))
                seconds = sum(log["seconds"] for log in logs[workers:])  # once each is warm
                row.append(f"{3600 * (len(logs) - workers) / seconds:,.0f}")
        yield row


def _run(root: Path, arguments: argparse.Namespace, workers: int) -> Iterator[dict[str, Any]]:
    """The logs of a run, as the jobs ended, each with the seconds since the one before."""
    begun = datetime.now().astimezone()
    command = [Path(sys.executable).with_name("stylistic"), "run", "--device", arguments.device]
    subprocess.run([*command, "--workers", str(workers)], cwd=root, check=True, capture_output=True)
    logs = [json.loads(path.read_text()) for path in root.glob("outbox/[!.]*/*.json")]
    for log in sorted(logs, key=lambda log: str(log["job"]["finished_at"])):
        ended = datetime.fromisoformat(log["job"]["finished_at"])
        yield {**log, "seconds": (ended - begun).total_seconds()}
        begun = ended


if __name__ == "__main__":
    main()
