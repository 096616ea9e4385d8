"""The chain to a GPU, on machines that a test makes up: each broken link is told in its words, with what to do."""

from __future__ import annotations

import ctypes
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.worker import gpu
from pipeline.worker.finding import Finding
from pipeline.worker.gpu import System

BUILD = {"is_cuda_build": True, "cuda_version": "12.5.1", "cudnn_version": "9"}
REQUIREMENTS = (
    "numpy>=1.26",
    'nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"',
    'nvidia-cufft-cu12<12.0,>=11.2.3.61; extra == "and-cuda"',
)
INSTALLED = {"nvidia-cudnn-cu12": "9.3.0.75", "nvidia-cufft-cu12": "11.2.3.61"}


class Cuda:
    """libcuda, as far as the chain asks it."""

    def __init__(self, code: int = 0, cards: int = 1, version: int = 12050) -> None:
        self._code, self._cards, self._version = code, cards, version

    def cuInit(self, flags: int) -> int:  # noqa: N802 - its name
        return self._code

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._cards
        return 0

    def cuGetErrorString(self, code: int, message: Any) -> int:  # noqa: N802
        message._obj.value = b"words of the driver"
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = self._version
        return 0


class Cudnn:
    def __init__(self, version: int) -> None:
        self._version = version

    def cudnnGetVersion(self) -> int:  # noqa: N802
        return self._version


@pytest.fixture
def healthy(tmp_path: Path) -> System:
    """A machine on which every link holds."""
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidiactl"):
        (tmp_path / "dev" / name).touch()
    return System("linux", "x86_64", tmp_path, None, loader(), (), REQUIREMENTS, INSTALLED.get)


def loader(cuda: Cuda | None = None, cudnn: int = 90300) -> Callable[[str], Any]:
    libraries = {"libcuda.so.1": cuda or Cuda(), "libcudnn.so.9": Cudnn(cudnn)}
    return lambda name: libraries.get(name, object())


def broken(system: System, build: dict[str, Any] = BUILD) -> list[Finding]:
    return [found for found in gpu.links(system, build) if found.state == "broken"]


def test_a_machine_in_order_has_no_broken_link(healthy: System) -> None:
    found = list(gpu.links(healthy, BUILD))
    assert {one.state for one in found} == {"ok"}
    names = [one.name for one in found]
    assert names[:6] == ["platform", "devices", "CUDA_VISIBLE_DEVICES", "driver", "driver version", "nvidia-* packages"]
    assert names[6:] == [
        "libcudart.so.12",
        "libnvJitLink.so.12",
        "libcublasLt.so.12",
        "libcublas.so.12",
        "libcufft.so.11",
        "libcusparse.so.12",
        "libcusolver.so.11",
        "libcudnn.so.9",
    ]


def test_a_library_that_does_not_load_is_told_in_the_loader_s_words(healthy: System, tmp_path: Path) -> None:
    (tmp_path / "libcufft.so.11").write_bytes(b"no library at all" * 100)

    def load(name: str) -> Any:
        return ctypes.CDLL(name) if name.startswith(str(tmp_path)) else healthy.load(name)

    (found,) = broken(dataclasses.replace(healthy, load=load, folders=(tmp_path,)))
    assert found.name == "libcufft.so.11"
    assert re.search(r"libcufft\.so\.11: (invalid ELF header|file too short)", found.what)
    assert 'pip install "stylistic[gpu]"' in found.remedy


def test_a_library_is_taken_from_its_package_before_the_system_s(healthy: System, tmp_path: Path) -> None:
    (tmp_path / "libcublas.so.12").touch()
    loaded: list[str] = []

    def load(name: str) -> Any:
        loaded.append(name)
        return healthy.load(name)

    assert gpu.library(dataclasses.replace(healthy, load=load, folders=(tmp_path,)), "libcublas.so.12").state == "ok"
    assert loaded == [str(tmp_path / "libcublas.so.12")]


@pytest.mark.parametrize(
    ("change", "name", "what", "remedy"),
    [
        ({"platform": "win32"}, "platform", "native Windows has no CUDA", "WSL 2"),
        ({"platform": "darwin"}, "platform", "no CUDA on macOS", "CPU"),
        ({"visible": "-1"}, "CUDA_VISIBLE_DEVICES", "'-1', which hides every card", "unset"),
        ({"visible": ""}, "CUDA_VISIBLE_DEVICES", "'', which hides every card", "unset"),
        ({"load": loader(Cuda(803))}, "driver", "cuInit fails with 803: words of the driver", "restart"),
        ({"load": loader(Cuda(cards=0))}, "driver", "fails with 100: words of the driver", "nvidia-smi"),
        ({"load": loader(Cuda(version=11080))}, "driver version", "knows CUDA 11.8, TensorFlow needs 12.5.1", "newer"),
        ({"load": loader(cudnn=90100)}, "libcudnn.so.9", "cuDNN 9.1.0 is loaded, TensorFlow needs", "pip install"),
    ],
)
def test_each_broken_link_is_told_with_its_remedy(
    healthy: System, change: dict[str, Any], name: str, what: str, remedy: str
) -> None:
    (found,) = broken(dataclasses.replace(healthy, **change))
    assert found.name == name
    assert what in found.what
    assert remedy in found.remedy


def test_wheels_for_aarch64_are_told_to_have_no_cuda(healthy: System) -> None:
    (found,) = broken(dataclasses.replace(healthy, machine="aarch64"), {"is_cuda_build": False})
    assert "built without CUDA" in found.what
    assert "NVIDIA's container" in found.remedy


def test_packages_that_are_missing_or_old_are_named(healthy: System) -> None:
    one = gpu.wheels(dataclasses.replace(healthy, version={"nvidia-cudnn-cu12": "9.1.0.70"}.get))
    assert one.state == "warning"  # what counts is whether the libraries load
    assert "nvidia-cufft-cu12 is missing" in one.what
    assert "nvidia-cudnn-cu12 9.1.0.70 is not" in one.what
    none = gpu.wheels(dataclasses.replace(healthy, version=lambda name: None))
    assert none.what == "none of the 2 that TensorFlow asks for is installed"


def test_a_driver_outside_of_the_container_is_told_from_no_driver(healthy: System, tmp_path: Path) -> None:
    empty = dataclasses.replace(healthy, root=tmp_path / "empty")
    assert gpu.has_none(empty)
    assert "no NVIDIA card" in gpu.device_files(empty).what
    card = tmp_path / "empty/sys/bus/pci/devices/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030200\n")
    assert not gpu.has_none(empty)
    assert "there is an NVIDIA card" in gpu.device_files(empty).what
    version = tmp_path / "empty/proc/driver/nvidia/version"
    version.parent.mkdir(parents=True)
    version.touch()
    found = gpu.device_files(empty)
    assert "the driver is loaded, but there is no /dev/nvidia*" in found.what
    assert "--gpus all" in found.remedy


def test_without_libcuda_the_libraries_are_looked_at_all_the_same(healthy: System) -> None:
    def load(name: str) -> Any:
        if name == "libcuda.so.1":
            raise OSError(f"{name}: cannot open shared object file")
        return healthy.load(name)

    found = list(gpu.links(dataclasses.replace(healthy, load=load), BUILD))
    (first,) = [one for one in found if one.state == "broken"]
    assert first.what == "libcuda.so.1 does not load: libcuda.so.1: cannot open shared object file"
    assert found[-1].name == "libcudnn.so.9"


def test_the_cards_are_those_that_this_process_may_use(healthy: System) -> None:
    two = dataclasses.replace(healthy, load=loader(Cuda(cards=2)), visible=None)
    assert gpu.cards(two) == ["0", "1"]
    assert gpu.cards(dataclasses.replace(two, visible="3, 1")) == ["3", "1"]
    assert gpu.cards(dataclasses.replace(healthy, load=loader(Cuda(100)))) == []

    def load(name: str) -> Any:
        raise OSError(name)

    assert gpu.cards(dataclasses.replace(healthy, load=load)) == []
