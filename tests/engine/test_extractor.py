from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.engine.extractor import MEAN, Extractor, best_precision, depth
from pipeline.engine.objective import gram_matrix
from pipeline.manifest.parameters import VGG19_LAYERS
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


def test_recomputed_activations_give_the_same_gradient() -> None:
    extractor = Extractor(tiny_kernels(), "float32")
    heads = [("block2_conv1", gram_matrix), ("block4_conv2", tf.identity), ("block2_conv1", tf.identity)]
    heads += [("block1_conv1", gram_matrix), ("block1_conv2", gram_matrix)]

    def gradient(recompute: bool) -> Any:
        image = tf.constant(IMAGE)
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = tf.add_n([tf.reduce_sum(tf.square(s)) for s in extractor.summaries(image, heads, recompute)])
        return tape.gradient(loss, image)

    kept, computed_again = (tf.function(gradient)(again).numpy() for again in (False, True))
    assert np.abs(kept).max() > 0
    np.testing.assert_allclose(computed_again, kept, rtol=1e-5, atol=1e-5 * np.abs(kept).max())


def test_activations_are_computed_again_and_the_first_layers_once_more() -> None:
    extractor = Extractor(tiny_kernels(), "float32")

    def convolutions(recompute: bool) -> int:
        def gradient(image: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(image)
                loss = tf.add_n(extractor.summaries(image, [("block3_conv1", tf.reduce_sum)], recompute))
            return tape.gradient(loss, image)

        graph = tf.function(gradient).get_concrete_function(tf.constant(IMAGE)).graph
        return sum(operation.type == "Conv2D" for operation in graph.get_operations())

    assert convolutions(False) == 5
    assert convolutions(True) == 2 * 5 + 1
