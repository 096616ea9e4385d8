"""A reader of PyTorch's file format before 1.6, for plain tensors, without PyTorch and without running anything."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt


def read_tensors(file: io.BytesIO) -> dict[str, npt.NDArray[Any]]:
    """The dictionary of tensors in ``file``, as arrays of uint8 or float32.

    The format: five pickles (magic number, protocol, system, the dictionary, the order of the storages), then each
    storage as a count (int64) and its values.

    Raises:
        pickle.UnpicklingError: the file names anything but plain tensors.
        ValueError: a tensor reaches outside its storage.
    """
    for _ in range(3):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        count = int.from_bytes(file.read(8), "little")
        storage.values = np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype)
    return {name: tensor.array() for name, tensor in tensors.items()}


class _Storage:
    """Bytes that tensors look into; filled after the pickle that names them has been read."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.values: npt.NDArray[Any] = np.empty(0, self.dtype)


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[Any]:
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides) < 0 or last >= self.storage.values.size:
            raise ValueError("a tensor reaches outside its storage")
        size = self.storage.dtype.itemsize
        view = np.lib.stride_tricks.as_strided(
            self.storage.values[self.offset :], self.shape, [step * size for step in self.strides]
        )
        return view.copy()


class _Unpickler(pickle.Unpickler):
    """Admits the four names that PyTorch's legacy format needs for plain tensors, none of which runs code."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            ),
            ("torch", "ByteStorage"): "uint8",
            ("torch", "FloatStorage"): "<f4",
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in allowed:
            _refuse(f"it names {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), _, int(), None):
                return self.storages.setdefault(key, _Storage(dtype))
            case _:
                _refuse("it refers to something that is no storage")


def _refuse(reason: str) -> NoReturn:
    raise pickle.UnpicklingError(f"the weights' data file is not plain tensors: {reason}")
