"""The chain from an NVIDIA card to TensorFlow, link by link, as TensorFlow itself does not say which one is broken."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import platform as platforms
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from pipeline.worker.finding import Finding, broken, ok, warning

NVIDIA = "0x10de"  # the vendor's number on the PCI bus
INSTALL = 'Install TensorFlow with CUDA: pip install "stylistic[gpu]".'
DRIVER = (
    "Install NVIDIA's driver on the host. In a container: start it with `--gpus all` (docker) or"
    " `--device nvidia.com/gpu=all` (podman), which needs the NVIDIA Container Toolkit."
)
# What TensorFlow loads before it lists a GPU (MaybeTryDlopenGPULibraries in tsl/platform/default/dso_loader.cc), each
# after those that it needs itself, with the number in its name by CUDA's major version.
LIBRARIES = {
    "cudart": {12: 12, 13: 13},
    "nvJitLink": {12: 12, 13: 13},
    "cublasLt": {12: 12, 13: 13},
    "cublas": {12: 12, 13: 13},
    "cufft": {12: 11, 13: 12},
    "cusparse": {12: 12, 13: 12},
    "cusolver": {12: 11, 13: 12},
}
CUINIT_REMEDIES = {
    100: "The driver finds no card that this process may use: `nvidia-smi` should list it. " + DRIVER,
    802: "Start nvidia-fabricmanager: the card is part of an NVSwitch system.",
    803: "Driver and libcuda.so.1 are of different versions: restart the machine after an upgrade of the driver.",
    804: "The CUDA compatibility package does not serve this card: remove it from LD_LIBRARY_PATH.",
    999: "Load the module nvidia_uvm (`nvidia-modprobe -u -c=0`), or restart the machine.",
}
# Where TensorFlow lists no GPU though nothing is broken.
UNKNOWN = broken(
    "TensorFlow",
    "driver and libraries are in order, yet it lists no GPU",
    "Its reason: TF_CPP_MIN_LOG_LEVEL=0 python -c \"import tensorflow as tf; tf.config.list_physical_devices('GPU')\"",
)


def _nvidia_folders() -> tuple[Path, ...]:
    """Where the nvidia-* wheels put their libraries, beside TensorFlow."""
    found = importlib.util.find_spec("tensorflow")
    root = Path(found.origin).parents[1] if found and found.origin else Path()
    return tuple(sorted((root / "nvidia").glob("*/lib")))


def _requirements() -> tuple[str, ...]:
    try:
        return tuple(importlib.metadata.requires("tensorflow") or ())
    except importlib.metadata.PackageNotFoundError:
        return ()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class System:
    """Where the links are looked for: this machine, or what a test makes of it."""

    platform: str = sys.platform
    machine: str = field(default_factory=platforms.machine)
    root: Path = Path("/")
    visible: str | None = field(default_factory=lambda: os.environ.get("CUDA_VISIBLE_DEVICES"))
    load: Callable[[str], Any] = ctypes.CDLL
    folders: Sequence[Path] = field(default_factory=_nvidia_folders)  # looked into before the system's own
    requirements: Sequence[str] = field(default_factory=_requirements)  # of the package tensorflow
    version: Callable[[str], str | None] = _version  # of an installed package


def has_none(system: System) -> bool:
    """Whether nothing of an NVIDIA card can be seen here: no device, no driver, no card on the PCI bus."""
    driver = system.root / "proc/driver/nvidia/version"
    return not (_device_files(system) or driver.exists() or _has_card(system))


def links(system: System, build: Mapping[str, Any]) -> Iterator[Finding]:
    """Every link in its order. After a broken one those that can be looked at without it are still told.

    Args:
        system: where to look.
        build: ``tf.sysconfig.get_build_info()``.
    """
    found = supported(system, build)
    yield found
    if found.state == "broken":
        return
    yield device_files(system)
    yield from _driver(system, build)
    yield wheels(system)
    for soname in sonames(build):
        yield library(system, soname)
    yield cudnn(system, build)


def _driver(system: System, build: Mapping[str, Any]) -> Iterator[Finding]:
    # Before cuInit, which says "no device" of those that are hidden.
    yield visible_devices(system.visible)
    try:
        cuda = system.load("libcuda.so.1")
    except OSError as error:
        yield broken("libcuda", f"libcuda.so.1 does not load: {error}", DRIVER)
        return
    found = initialised(cuda)
    yield found
    if found.state == "ok":
        yield driver_version(cuda, build)


def cards(system: System) -> list[str]:
    """Names, as CUDA_VISIBLE_DEVICES has them, of the cards that this process may use."""
    try:
        cuda = system.load("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    named = system.visible.split(",") if system.visible else map(str, range(count.value))
    return [name.strip() for name in named][: count.value]


def supported(system: System, build: Mapping[str, Any]) -> Finding:
    """Whether this platform's TensorFlow has CUDA at all."""
    name = "platform"
    if system.platform == "win32":
        return broken(name, "TensorFlow for native Windows has no CUDA since 2.11", "Use WSL 2.")
    if system.platform == "darwin":
        return broken(name, "there is no CUDA on macOS", "None: jobs run on the CPU.")
    if not build.get("is_cuda_build"):
        what = f"this TensorFlow ({system.platform}, {system.machine}) was built without CUDA"
        remedy = (
            "Linux wheels for aarch64 have none: use NVIDIA's container of TensorFlow, or an x86_64 machine."
            if system.machine == "aarch64"
            else INSTALL
        )
        return broken(name, what, remedy)
    return ok(name, f"{system.platform}, {system.machine}; TensorFlow is built for CUDA {build.get('cuda_version')}")


def device_files(system: System) -> Finding:
    """Whether the driver's devices are there, and may be opened."""
    name = "devices"
    files = _device_files(system)
    if not files:
        if (system.root / "proc/driver/nvidia/version").exists():
            return broken(name, "the driver is loaded, but there is no /dev/nvidia* here", DRIVER)
        if _has_card(system):
            return broken(name, "there is an NVIDIA card, but no /dev/nvidia*: no driver", DRIVER)
        return broken(name, "no NVIDIA card and no /dev/nvidia* here", DRIVER)
    closed = [file.name for file in files if not os.access(file, os.R_OK | os.W_OK)]
    if closed:
        remedy = "Let the user in: commonly a member of the group `video` or `render` (`ls -l /dev/nvidia*`)."
        return broken(name, f"/dev/{', /dev/'.join(closed)} may not be opened", remedy)
    return ok(name, ", ".join(f"/dev/{file.name}" for file in files))


def _device_files(system: System) -> list[Path]:
    devices = system.root / "dev"
    # WSL has one for all of its cards.
    return sorted([*devices.glob("nvidia[0-9]*"), *devices.glob("nvidiactl"), *devices.glob("dxg")])


def _has_card(system: System) -> bool:
    for device in (system.root / "sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == NVIDIA and kind.startswith("0x03"):  # a display or 3D controller
            return True
    return False


def visible_devices(visible: str | None) -> Finding:
    """What CUDA_VISIBLE_DEVICES leaves."""
    name = "CUDA_VISIBLE_DEVICES"
    if visible is None:
        return ok(name, "not set: all cards")
    if visible.strip().startswith("-1") or not visible.strip():
        return broken(name, f"it is set to {visible!r}, which hides every card", f"`unset {name}`, or name one: 0.")
    return ok(name, visible)


def initialised(cuda: Any) -> Finding:
    """Whether the driver starts, and how many cards it gives.

    Args:
        cuda: libcuda, loaded.
    """
    name = "driver"
    code = cuda.cuInit(0)
    count = ctypes.c_int()
    code = code or cuda.cuDeviceGetCount(ctypes.byref(count))
    if code == 0 and count.value:
        return ok(name, f"cuInit gives {count.value} card{'s' * (count.value > 1)}")
    if code == 0:
        code = 100
    message = ctypes.c_char_p()
    cuda.cuGetErrorString(code, ctypes.byref(message))
    words = (message.value or b"no message").decode(errors="replace")
    return broken(name, f"cuInit fails with {code}: {words}", CUINIT_REMEDIES.get(code, DRIVER))


def driver_version(cuda: Any, build: Mapping[str, Any]) -> Finding:
    """Whether the driver knows the CUDA that TensorFlow was built with; within a major version any does.

    Args:
        cuda: libcuda, loaded.
        build: see ``links``.
    """
    name = "driver version"
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    own = f"{number.value // 1000}.{number.value % 1000 // 10}"
    wanted = str(build.get("cuda_version"))
    if number.value // 1000 < cuda_major(build):
        return broken(name, f"the driver knows CUDA {own}, TensorFlow needs {wanted}", "Install a newer driver.")
    return ok(name, f"knows CUDA {own}; TensorFlow is built with {wanted}")


def wheels(system: System) -> Finding:
    """Whether the packages that ``tensorflow[and-cuda]`` asks for are there, in the versions that it asks for."""
    name = "nvidia-* packages"
    wrong = []
    wanted = [Requirement(line) for line in system.requirements if line.startswith("nvidia-")]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": "and-cuda"})]
    for one in wanted:
        installed = system.version(one.name)
        if installed is None:
            wrong.append(f"{one.name} is missing")
        elif not one.specifier.contains(installed, prereleases=True):
            wrong.append(f"{one.name} {installed} is not {one.specifier}")
    if wrong and not any(system.version(one.name) for one in wanted):
        return warning(name, f"none of the {len(wanted)} that TensorFlow asks for is installed", INSTALL)
    if wrong:  # the libraries may have come in another way
        return warning(name, "; ".join(wrong), INSTALL)
    return ok(name, f"{len(wanted)}, as TensorFlow asks")


def cuda_major(build: Mapping[str, Any]) -> int:
    """The major version of CUDA that TensorFlow was built with; 12 where it does not say."""
    return int(str(build.get("cuda_version") or 12).split(".")[0])


def sonames(build: Mapping[str, Any]) -> list[str]:
    """The libraries that TensorFlow loads for a GPU, those that others need first, cuDNN left out."""
    major = cuda_major(build)
    return [f"lib{name}.so.{numbers.get(major, major)}" for name, numbers in LIBRARIES.items()]


def library(system: System, soname: str) -> Finding:
    """Whether a library loads, in the loader's words if not."""
    try:
        _load(system, soname)
    except OSError as error:
        return broken(soname, f"does not load: {error}", INSTALL)
    return ok(soname, "loads")


def cudnn(system: System, build: Mapping[str, Any]) -> Finding:
    """Whether cuDNN loads and is not older than what TensorFlow was built with."""
    soname = f"libcudnn.so.{str(build.get('cudnn_version') or 9).split('.')[0]}"
    try:
        number = int(_load(system, soname).cudnnGetVersion())
    except (OSError, AttributeError) as error:
        return broken(soname, f"does not load: {error}", INSTALL)
    # 9.3.0 is 90300; before 9 it was 8.9.7 for 8907.
    unit = 10_000 if number >= 90_000 else 1000
    version = f"{number // unit}.{number % unit // 100}.{number % 100}"
    asked = [Requirement(line) for line in system.requirements if line.startswith("nvidia-cudnn-")]
    for one in asked:
        if not one.specifier.contains(f"{version}.99999", prereleases=True):  # of a build nothing is said
            return broken(soname, f"cuDNN {version} is loaded, TensorFlow needs {one.specifier}", INSTALL)
    return ok(soname, f"cuDNN {version}")


def _load(system: System, soname: str) -> Any:
    for folder in system.folders:
        if (folder / soname).exists():
            return system.load(str(folder / soname))
    return system.load(soname)
