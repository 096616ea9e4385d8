"""What tests share: the reference material, tiny weights, pictures, and folders for the installed command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import matplotlib
import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.manifest.fields import VGG19_LAYERS

ROOT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("stylistic")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Photos, paintings and reference values that every developer has beside the checkout."""
    folder = Path(os.environ.get("STYLISTIC_SHARED", ROOT.parent / "shared"))
    if not (folder / "reference" / "objective.json").exists():
        pytest.skip(f"no reference material in {folder}; name its folder with STYLISTIC_SHARED")
    return folder


@pytest.fixture(scope="session")
def real_kernels(shared: Path) -> dict[str, Any]:
    """VGG-19 from the 8-bit archive beside the checkout: the weights that the reference was computed with."""
    with np.load(shared / "weights" / "vgg19_convolutions_8bit.npz") as codes:
        return {
            layer: (codes[f"{layer}/kernel_codebook"][codes[f"{layer}/kernel_codes"]], codes[f"{layer}/bias"])
            for layer in VGG19_LAYERS
        }


def per_position(sums: Any, features: Any, weights: Any = None) -> Any:
    """A style loss's sums over features ``[1, H, W, C]``, over the sum of the positions' weights."""
    whole = features.shape[1] * features.shape[2] if weights is None else np.sum(weights)
    return sums(features, weights) / whole


def tiny_kernels(channels: int = 6) -> dict[str, tuple[Any, Any]]:
    """A VGG-19 of few channels: the same layers, random kernels that keep the signal's size."""
    rng = np.random.default_rng(3)
    kernels = {}
    before = 3
    for layer in VGG19_LAYERS:
        spread = np.sqrt(2.0 / (9 * before))
        kernels[layer] = (
            rng.normal(0, spread, (3, 3, before, channels)).astype(np.float32),
            rng.normal(0, 0.1, channels).astype(np.float32),
        )
        before = channels
    return kernels


def keras_file(path: Path, kernels: dict[str, tuple[Any, Any]]) -> Path:
    """Write kernels as the HDF5 file that Keras has of them."""
    with h5py.File(path, "w") as file:
        for layer, (kernel, bias) in kernels.items():
            file.create_group(layer)
            file[layer]["kernel:0"] = kernel
            file[layer]["bias:0"] = bias
    return path


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny VGG-19 as a Keras HDF5 file, for tests of the pipeline around the engine."""
    return keras_file(tmp_path_factory.mktemp("weights") / "tiny.h5", tiny_kernels())


@pytest.fixture(scope="session")
def real_weights(tmp_path_factory: pytest.TempPathFactory, real_kernels: dict[str, Any]) -> Path:
    """VGG-19 as a Keras HDF5 file, for promises about pictures that no tiny one can keep."""
    return keras_file(tmp_path_factory.mktemp("weights") / "vgg19.h5", real_kernels)


def picture(width: int = 80, height: int = 64, seed: int = 0) -> Image.Image:
    """A picture with soft shapes and some texture."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))


def opened(path: Path) -> Image.Image:
    """A picture from a file, which is closed again."""
    with Image.open(path) as image:
        image.load()
        return image


STAYING = (".lock", ".report.json", ".gitkeep", ".painted")  # dot-names that are there at rest


class Place:
    """Folders of one test, and the installed command run on them."""

    def __init__(self, root: Path, weights: Path | None) -> None:
        self.root = root
        self.inbox = root / "inbox"
        self.jobs = root / "jobs"
        self.outbox = root / "outbox"
        self.inbox.mkdir(parents=True)
        self.environment = {**os.environ, "STYLISTIC_SETTLE": "0.3"}
        self.environment.pop("STYLISTIC_WEIGHTS", None)
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile the package again
        if weights is not None:
            self.environment["STYLISTIC_WEIGHTS"] = str(weights)
            # A tiny network's step times are not this machine's; Matplotlib's list of fonts stays where it is.
            self.environment.setdefault("MPLCONFIGDIR", matplotlib.get_cachedir())
            self.environment["XDG_CACHE_HOME"] = str(root.with_name(f"{root.name}-cache"))

    def photo(self, name: str = "photo.png", seed: int = 0, **size: int) -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed=seed, **size).save(path)
        return path

    def manifest(self, name: str = "job.yaml", folder: Path | None = None, **fields: Any) -> Path:
        """Drop a manifest as a careful program would: whole, in one rename."""
        data = {"content": "photo.png", "style": "painting.png", **fields}
        data["parameters"] = {**SMALL, **data.get("parameters", {})}
        path = (folder or self.inbox) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{name}.part")
        beside.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        beside.rename(path)
        return path

    def pair(self) -> None:
        """The images that ``manifest`` names by default."""
        self.photo("photo.png", seed=1)
        self.photo("painting.png", seed=2)

    def start(
        self, *arguments: str, quiet: bool = False, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """The command, running. One that says more than a pipe holds, with nobody to read it, has to be quiet."""
        output = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.root,
            env={**self.environment, **(environment or {})},
            stdout=output,
            stderr=output,
            text=True,
        )

    def run(
        self, *arguments: str, timeout: float = 240, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, environment=environment)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def logs(self) -> list[dict[str, Any]]:
        """Every published log, in the order in which the jobs finished."""
        logs = [json.loads(path.read_text(encoding="utf-8")) for path in self.outbox.glob("[!.]*/*.json")]
        return sorted(logs, key=lambda log: str(log["job"]["finished_at"]))

    def result(self, log: dict[str, Any]) -> Path:
        """The picture of a log."""
        return Path(self.outbox, log["job"]["id"], log["output"]["file"])

    def leftovers(self) -> list[str]:
        """Dot-names that should be gone when nothing runs, and jobs that are in no final state."""
        lingering = []
        for root in (self.inbox, self.jobs, self.outbox):
            for parent, folders, files in os.walk(root):  # which does not mind what vanishes meanwhile
                full = [name for name in folders if next(os.walk(Path(parent, name)), ("", [], []))[1:] != ([], [])]
                lingering += [Path(parent, name) for name in full + files if name.startswith(".")]
        lingering = [path for path in lingering if path.name not in STAYING]
        unfinished = [path for state in ("queued", "running") for path in (self.jobs / state).glob("*")]
        return [str(path.relative_to(self.root)) for path in lingering + unfinished]


# For workers that paint with tests/faults/injected/stand_in.py, where a promise is of folders and commands.
STAND_IN = {"PYTHONPATH": str(ROOT / "tests" / "faults" / "injected"), "ENGINE": "stand-in"}
SMALL = {"image_size": 64, "style_size": 64, "epochs": 1, "steps_per_epoch": 6}


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """Under nohup SIGHUP is ignored, by every process that is started, too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def place(tmp_path: Path, tiny_weights: Path, request: pytest.FixtureRequest) -> Place:
    place = Place(tmp_path, tiny_weights)
    if request.node.get_closest_marker("stand_in"):
        place.environment |= STAND_IN
    return place


@pytest.fixture
def real_place(tmp_path: Path) -> Place:
    """Folders where the command finds the real VGG-19 by itself."""
    return Place(tmp_path, None)


def wait_for(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """The first true value of a condition; fails when it stays false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"still not so after {seconds:g} s")


def wait_until_said(process: subprocess.Popen[str], text: str, seconds: float = 90.0) -> None:
    """Read a process's standard error up to a line with the text; one that never says it is killed."""
    patience = threading.Timer(seconds, process.kill)
    patience.start()
    try:
        assert process.stderr is not None
        assert any(text in line for line in process.stderr), f"never said: {text}"
    finally:
        patience.cancel()


@pytest.fixture
def watching(place: Place) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `stylistic watch`; stops it when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = place.start("watch", *arguments)
        started.append(process)
        wait_for(lambda: (place.jobs / ".runner.json").exists())
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long form of the fault tests (make test-faults)")


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether the fault tests run in their long form."""
    return bool(request.config.getoption("--long"))
