"""One job from start to finish, in the process that owns TensorFlow, the GPU and the extractor."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import ValidationError

from pipeline import checkpoint, color, images, inputs, memory, storage, sweep
from pipeline.checkpoint import Checkpoint
from pipeline.errors import EnvironmentFault, JobError
from pipeline.inputs import Inputs
from pipeline.job import LOSSES, Job, write_result
from pipeline.manifest import Manifest
from pipeline.parameters import Parameters, changes

if TYPE_CHECKING:
    from pipeline.engine.stylize import State, Step, Stylizer
    from pipeline.engine.weights import Weights

log = logging.getLogger(__name__)

STEPS_PER_GPU_CALL = 5

_stop = threading.Event()  # set by SIGTERM: checkpoint and end the job
_lock: FileLock | None = None

_decoder = ThreadPoolExecutor(1)
_decoded_ahead: dict[str, Future[Inputs]] = {}
_last_inputs: dict[str, Inputs] = {}  # by key; one at most


@dataclass(frozen=True)
class Options:
    """What the worker needs to know beside the job."""

    weights: Path | None
    cache: Path
    max_pixels: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run of a job ended: ``done``, ``failed`` (its own fault), ``stopped`` (with a checkpoint) or ``fault`` (the
    environment's); with the reason in words."""

    status: str
    reason: str = ""


def start(lock: Path) -> None:
    """Set up a fresh worker process: stop with the runner, on its word, and never beside another worker.

    Args:
        lock: held as long as the process lives; a worker whose runner was killed may live on for a moment.
    """
    global _lock
    # The terminal sends Ctrl-C to everybody; the runner passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _request_stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _lock = FileLock(lock)
    _lock.acquire()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def warm_up(options: Options) -> None:
    """Load TensorFlow and the weights ahead of the first job."""
    with contextlib.suppress(EnvironmentFault, OSError):  # the first job will say so
        _stylizer(options, "auto")


def run_job(folder: Path, options: Options, upcoming: Path | None = None) -> Outcome:
    """Run the job in ``folder`` (or go on with it), and leave its result there. Never raises.

    Args:
        folder: of the job, under ``running/``.
        options: the runner's.
        upcoming: the folder of the job that comes next as things stand; its images are decoded meanwhile.
    """
    try:
        return _run(folder, options, upcoming)
    except JobError as error:
        return Outcome("failed", str(error))
    except EnvironmentFault as error:
        return Outcome("fault", str(error))
    except ValidationError as error:
        reason = "; ".join(f"`{'.'.join(map(str, problem['loc']))}`: {problem['msg']}" for problem in error.errors())
        return Outcome("failed", f"its record is not one of this version of Stylistic ({reason}). Drop it again.")
    except ImportError as error:
        return Outcome("fault", f"the installation is broken: {error}")
    except OSError as error:
        return Outcome("fault", f"{error.strerror or error} ({error.filename or folder})")
    except Exception as error:
        if _is_out_of_memory(error):
            return Outcome("failed", "the device ran out of memory at this size. Half the image_size takes a quarter.")
        with contextlib.suppress(OSError):
            (folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return Outcome(
            "failed", f"internal error: {error!r}; details are in the job's traceback.txt. Please report it."
        )


def _run_sweep(folder: Path, options: Options, job: Job, manifest: Manifest) -> Outcome:
    """Run the variants that have no picture yet. One that fails leaves its place on the sheet empty."""
    places = sweep.lay_out(folder, job, manifest)
    for place in places:
        if sweep.is_done(place):
            continue
        try:
            if _run(place, options, None).status == "stopped":
                return Outcome("stopped")
        except JobError as error:
            sweep.leave_failure(place, str(error))
    reason = sweep.leave_result(folder, job, manifest, places)
    return Outcome("failed", reason) if reason else Outcome("done")


def _run(folder: Path, options: Options, upcoming: Path | None) -> Outcome:
    started = time.perf_counter()
    memory.reset_peak()
    job = Job.load(folder)
    manifest = Manifest.model_validate(job.manifest)
    if manifest.sweep:
        return _run_sweep(folder, options, job, manifest)
    parameters = manifest.parameters
    stylizer, weights, precision = _stylizer(options, parameters.precision)
    _require_memory(job, parameters, precision)
    given = _take_inputs(folder, job, options.max_pixels)
    from pipeline.engine.targets import Style

    styles = [Style(*style) for style in given.styles]
    asked = parameters.model_copy(update=given.chosen)
    parameters = stylizer.settled(given.content.rgb, styles, asked)
    chosen = {**given.chosen, **changes(asked, parameters)}
    if upcoming is not None:
        _decoded_ahead[upcoming.name] = _decoder.submit(inputs.load, upcoming, options.max_pixels)
    valid_with = _fingerprint(job, parameters, weights, precision)
    resumed = _resume(folder, job, valid_with)
    setup_seconds = time.perf_counter() - started

    steps = stylizer.run(given.content.rgb, styles, parameters, _as_state(resumed), given.start)
    reached = _optimize(folder, steps, resumed, valid_with, options.checkpoint_seconds)
    if reached is None:
        return Outcome("stopped")
    state, optimize_seconds = reached
    picture = dataclasses.replace(given.photo, rgb=stylizer.picture(state, parameters))
    if parameters.color == "content":
        picture = dataclasses.replace(picture, rgb=color.with_luminance(given.photo.rgb, picture.rgb))
    write_result(
        folder,
        images.encode(picture, parameters.output_format),
        {
            "engine": {
                "tensorflow": importlib.metadata.version("tensorflow"),
                "device": _device(),
                "precision": precision,
                "weights": {"source": weights.source, "sha256": weights.sha256},
            },
            "timing": {
                "setup_seconds": round(setup_seconds, 4),
                "optimize_seconds": round(optimize_seconds, 4),
                "seconds_per_step": round(optimize_seconds / state.step, 6),
            },
            "peak_memory_bytes": memory.peak(),
            "chosen": chosen,
            "output": {
                "file": job.name + images.SUFFIXES[parameters.output_format],
                "width": picture.rgb.shape[1],
                "height": picture.rgb.shape[0],
            },
        },
    )
    return Outcome("done")


def _optimize(
    folder: Path, steps: Iterator[Step], resumed: Checkpoint | None, valid_with: str, checkpoint_seconds: float
) -> tuple[State, float] | None:
    """Make the steps, logging each; the last state and the seconds spent in all, or None when told to stop."""
    state = _as_state(resumed)
    earlier_seconds = resumed.optimize_seconds if resumed else 0.0
    begun = saved = time.perf_counter()
    if _stop.is_set():
        return None
    with _loss_log(folder, resumed) as losses:
        for step in steps:
            state = step.state
            losses.write(_loss_line(step))
            losses.flush()
            if state.step > step.number:  # more records of the same call follow
                continue
            now = time.perf_counter()
            if _stop.is_set() or now - saved >= checkpoint_seconds:
                os.fsync(losses.fileno())
                checkpoint.save(folder, _as_checkpoint(state, earlier_seconds + now - begun), valid_with)
                saved = now
            if _stop.is_set():
                return None
    assert state is not None, "a job has at least one step"
    return state, earlier_seconds + time.perf_counter() - begun


@functools.cache
def _weights(file: Path | None, cache: Path) -> Weights:
    from pipeline.engine import weights

    return weights.load(file, cache)


@contextlib.contextmanager
def quiet_native_code() -> Iterator[None]:
    """Send what C++ writes to standard error away: TensorFlow greets with a page that no setting silences."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@functools.cache
def _stylizer(options: Options, precision: str) -> tuple[Stylizer, Weights, str]:
    with quiet_native_code():
        import tensorflow as tf

        from pipeline.engine.extractor import Extractor, best_precision
        from pipeline.engine.stylize import Stylizer

        tf.get_logger().setLevel("ERROR")  # it counts new graphs as a mistake
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
            tf.config.experimental.enable_op_determinism()
    chosen = best_precision() if precision == "auto" else precision
    if chosen != precision:
        return _stylizer(options, chosen)
    weights = _weights(options.weights, options.cache)
    return Stylizer(Extractor(weights.kernels, chosen), STEPS_PER_GPU_CALL if gpus else 1), weights, chosen


def _take_inputs(folder: Path, job: Job, max_pixels: int) -> Inputs:
    """The job's inputs: the last job's if they are the same, loaded ahead where this job was expected."""
    key = inputs.key(job)
    expected = _decoded_ahead.pop(folder.name, None)
    _decoded_ahead.clear()
    if key not in _last_inputs and expected is not None:
        with contextlib.suppress(Exception):  # it moved to running/ meanwhile, or is at fault: find out below
            _keep_inputs(key, expected.result())
    if key not in _last_inputs:
        _keep_inputs(key, inputs.load(folder, max_pixels))
    return _last_inputs[key]


def _keep_inputs(key: str, given: Inputs) -> None:
    _last_inputs.clear()
    _last_inputs[key] = given


def _require_memory(job: Job, parameters: Parameters, precision: str) -> None:
    """Refuse what the machine's memory cannot hold: the kernel would end the whole process for it."""
    import tensorflow as tf

    from pipeline.engine.stylize import bytes_needed

    available, content = memory.available(), job.images["content"]
    if available is None or tf.config.list_physical_devices("GPU"):
        return
    longest = max(content.width, content.height)

    def needed(side: int) -> int:
        height, width = (max(1, round(length * side / longest)) for length in (content.height, content.width))
        return bytes_needed(height, width, precision, parameters)

    if needed(parameters.image_size) > available:
        fits = next((side for side in range(parameters.image_size, 0, -16) if needed(side) <= available), 0)
        raise JobError(
            f"a picture of {parameters.image_size} pixels takes about {needed(parameters.image_size) / 1e9:.1f} GB of"
            f" memory, and {available / 1e9:.1f} GB are free.",
            f"image_size {fits} would fit.",
        )


def _fingerprint(job: Job, parameters: Parameters, weights: Weights, precision: str) -> str:
    return checkpoint.fingerprint(
        parameters=parameters.model_dump(mode="json"),
        inputs={part: image.sha256 for part, image in job.images.items()},
        weights=weights.sha256,
        precision=precision,
        stylistic=importlib.metadata.version("stylistic"),
        tensorflow=importlib.metadata.version("tensorflow"),
    )


def _resume(folder: Path, job: Job, valid_with: str) -> Checkpoint | None:
    found = checkpoint.load(folder, valid_with)
    if isinstance(found, Checkpoint) and len(_logged_lines(folder)) < found.step:
        found = "the loss log ends before the checkpoint"
    if isinstance(found, str):
        log.warning("%s: %s; starting over.", job.id, found)
        return None
    return found


def _as_state(found: Checkpoint | None) -> State | None:
    from pipeline.engine.stylize import State

    return State(found.step, found.scale, tuple(found.arrays)) if found else None


def _as_checkpoint(state: State, optimize_seconds: float) -> Checkpoint:
    return Checkpoint(state.step, state.scale, [tensor.numpy() for tensor in state.tensors], optimize_seconds)


@contextlib.contextmanager
def _loss_log(folder: Path, resumed: Checkpoint | None) -> Iterator[IO[str]]:
    """The job's loss log, open for more, cut to the steps that the checkpoint knows of."""
    path = folder / LOSSES
    kept = _logged_lines(folder)[: resumed.step] if resumed else []
    storage.write_atomic(path, "".join(kept).encode("ascii"))
    with path.open("a", encoding="ascii") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _logged_lines(folder: Path) -> list[str]:
    try:
        return (folder / LOSSES).read_text(encoding="ascii").splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _loss_line(step: Step) -> str:
    record = {
        "step": step.number,
        "scale": step.scale,
        "total": step.total,
        "content": step.content,
        "style": step.style,
        "total_variation": step.total_variation,
    }
    return json.dumps(record) + "\n"


def _device() -> str:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
    return "CPU"


def _is_out_of_memory(error: Exception) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    exhausted = tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)
    return exhausted or isinstance(error, MemoryError)


def _request_stop(*_: Any) -> None:
    _stop.set()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
