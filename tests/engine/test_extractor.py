from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.engine import objective, strips
from pipeline.engine.extractor import MEAN, Extractor, Head, best_precision, depth
from pipeline.manifest.fields import VGG19_LAYERS
from pipeline.manifest.schedule import smallest_side
from tests.conftest import tiny_kernels

IMAGE = np.random.default_rng(0).random((1, 37, 50, 3)).astype(np.float32)


def test_it_has_the_sixteen_convolutions_of_vgg19() -> None:
    assert len(VGG19_LAYERS) == 16
    assert VGG19_LAYERS[0] == "block1_conv1"
    assert VGG19_LAYERS[-1] == "block5_conv4"


def test_features_halve_with_every_block() -> None:
    layers = ("block1_conv2", "block2_conv1", "block3_conv4", "block5_conv1")
    features = Extractor(tiny_kernels(), "float32").features(tf.constant(IMAGE), layers)
    assert {layer: tuple(f.shape[1:3]) for layer, f in features.items()} == {
        "block1_conv2": (37, 50),
        "block2_conv1": (18, 25),
        "block3_conv4": (9, 12),
        "block5_conv1": (2, 3),
    }


def test_the_first_layer_sees_bgr_minus_the_mean() -> None:
    kernels = tiny_kernels()
    kernel = np.zeros_like(kernels["block1_conv1"][0])
    kernel[1, 1, [0, 1, 2], [0, 1, 2]] = 1.0  # passes blue, green, red through
    kernels["block1_conv1"] = (kernel, np.full(6, 200.0, np.float32))
    features = Extractor(kernels, "float32").features(tf.constant(IMAGE), ["block1_conv1"])["block1_conv1"]
    np.testing.assert_allclose(features[..., :3], (IMAGE * 255 - MEAN)[..., ::-1] + 200, rtol=1e-5)


def test_nothing_is_computed_beyond_the_deepest_layer() -> None:
    assert depth(["block1_conv1", "block3_conv2"]) == 6
    extractor = Extractor(tiny_kernels(), "float32")
    graph = tf.function(lambda x: extractor.features(x, ["block3_conv2"])).get_concrete_function(
        tf.TensorSpec([1, None, None, 3])
    )
    assert sum(op.type == "Conv2D" for op in graph.graph.get_operations()) == 6


@pytest.mark.parametrize(("layer", "side"), [("block1_conv2", 1), ("block3_conv1", 4), ("block5_conv2", 16)])
def test_the_smallest_side_is_what_pooling_leaves_a_pixel_of(layer: str, side: int) -> None:
    assert smallest_side([layer]) == side
    features = Extractor(tiny_kernels(), "float32").features(tf.zeros([1, side, side, 3]), [layer])[layer]
    assert features.shape[1:3] == (1, 1)


def test_bfloat16_follows_float32() -> None:
    layers = ["block5_conv2"]
    exact, rough = (
        tf.cast(Extractor(tiny_kernels(), p).features(tf.constant(IMAGE), layers)[layers[0]], tf.float32).numpy()
        for p in ("float32", "bfloat16")
    )
    assert np.linalg.norm(exact - rough) < 0.03 * np.linalg.norm(exact)


def test_the_best_precision_is_one_that_can_be_asked_for() -> None:
    assert best_precision() in ("float32", "bfloat16")


class TestStrips:
    """A picture in strips beside the whole: the same sums, features and gradient, whatever the strips' height."""

    LAYERS = ("block1_conv1", "block2_conv2", "block3_conv1", "block4_conv2", "block5_conv2")

    @pytest.fixture(autouse=True)
    def _low_strips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strips, "LEAST_ROWS", 16)  # so that small pictures have several

    SIZE = ("height", "width", "rows")
    # Odd, a row left over, a picture within one strip, deep layers of one row.
    SIZES = ((97, 33, 16), (113, 17, 16), (40, 90, 60), (24, 24, 16))

    @pytest.mark.parametrize(SIZE, [*SIZES, (64, 40, 16), (75, 50, 18), (99, 40, 32)])
    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_features_are_the_same_to_the_bit(self, height: int, width: int, rows: int, precision: str) -> None:
        extractor, image = Extractor(tiny_kernels(), precision), picture_of(height, width)
        whole, in_strips = (extractor.features(image, self.LAYERS, pixels) for pixels in (0, rows * width))
        for layer in self.LAYERS:
            np.testing.assert_array_equal(in_strips[layer], whole[layer], layer)

    @pytest.mark.parametrize(SIZE, SIZES)
    def test_sums_and_their_gradient_are_the_same_to_rounding(self, height: int, width: int, rows: int) -> None:
        extractor, image = Extractor(tiny_kernels(), "float32"), picture_of(height, width)
        kinds = itertools.product((objective.gram_sums, objective.moment_sums), (False, True), reversed(self.LAYERS))
        heads = [self.head(sums, layer, height, width, is_masked) for sums, is_masked, layer in kinds]
        for layer in ("block4_conv2", "block1_conv1"):
            target = extractor.features(picture_of(height, width, seed=2), [layer])[layer]
            heads.insert(2, Head(layer, objective.content_sums, [target]))

        def evaluate(pixels: int) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(image)
                found = extractor.sums(image, heads, pixels)
                losses = [tf.reduce_sum(tf.square(one)) / tf.size(one, tf.float32) for one in found]
                loss = tf.add_n([one / tf.stop_gradient(one) for one in losses])  # each counts alike
            return found, tape.gradient(loss, image)

        (sums_of_whole, gradient), (sums_of_strips, gradient_of_strips) = map(
            tf.function(evaluate, autograph=False), (0, rows * width)
        )
        for one, other in zip(sums_of_whole, sums_of_strips, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5 * np.abs(one).max())
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(gradient_of_strips, gradient, rtol=1e-4, atol=2e-5 * np.abs(gradient).max())

    @staticmethod
    def head(sums: Any, layer: str, height: int, width: int, is_masked: bool) -> Head:
        mask = tf.constant(np.linspace(0, 1, height * width, dtype=np.float32).reshape(1, height, width, 1))
        return Head(layer, sums, [objective.shares(mask, layer)] if is_masked else [])

    def test_another_size_needs_no_other_graph(self) -> None:
        extractor, traces = Extractor(tiny_kernels(), "float32"), []

        def features(image: Any) -> Any:
            traces.append(image.shape)
            return extractor.features(image, self.LAYERS, 1000)

        graph = tf.function(features, [tf.TensorSpec([1, None, None, 3])], autograph=False)
        for height in (64, 97, 200):
            graph(picture_of(height, 40))
        assert len(traces) == 1

    @pytest.mark.parametrize(
        ("size", "full", "precision", "are_there"),
        [
            ((1500, 1600), (1500, 1600), "float32", False),
            ((2500, 1600), (2500, 1600), "float32", True),
            ((2500, 1600), (2500, 1600), "bfloat16", False),
            ((1500, 1600), (3000, 3200), "bfloat16", True),  # a coarser scale of a large picture
            ((750, 800), (3000, 3200), "bfloat16", False),
            ((3000, 3200), (500, 500), "bfloat16", True),  # a large painting beside a small picture
        ],
    )
    def test_whether_there_are_strips_depends_on_sizes_and_precision_alone(
        self, size: tuple[int, int], full: tuple[int, int], precision: str, are_there: bool
    ) -> None:
        extractor = Extractor(tiny_kernels(), precision)
        assert extractor.strip_pixels(size, full) == (strips.PIXELS if are_there else 0)

    @pytest.mark.parametrize(
        ("precision", "memory", "pixels"),
        [
            ("bfloat16", 0, strips.PIXELS),
            ("bfloat16", 10**8, strips.PIXELS),
            ("bfloat16", 5 * 10**9, 2**20),
            ("float32", 5 * 10**9, 2**19),
        ],
    )
    def test_a_card_with_more_memory_has_higher_strips(self, precision: str, memory: int, pixels: int) -> None:
        large = (3000, 3200)
        assert Extractor(tiny_kernels(), precision, memory).strip_pixels(large, large) == pixels


def picture_of(height: int, width: int, seed: int = 1) -> Any:
    return tf.constant(np.random.default_rng(seed).random((1, height, width, 3), np.float32))
