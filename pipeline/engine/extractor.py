"""VGG-19's convolutions (Simonyan and Zisserman 2014), run up to the deepest layer that is asked for."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from pipeline.engine.roots import Tensor
from pipeline.manifest.parameters import VGG19_LAYERS
from pipeline.manifest.schedule import block

if TYPE_CHECKING:
    from pipeline.engine.weights import Kernel

Head = Callable[[Tensor], Tensor]

# The mean of ImageNet's pixels that VGG-19 was trained with, in RGB order.
MEAN = np.array([123.68, 116.779, 103.939], np.float32)


def depth(layers: Collection[str]) -> int:
    """How many convolutions the deepest of ``layers`` needs, itself included."""
    deepest: int = max(VGG19_LAYERS.index(layer) for layer in layers)
    return deepest + 1


class Extractor:
    """Features of images, from kernels held once in the working precision.

    Args:
        kernels: for each layer of ``VGG19_LAYERS`` a 3×3 kernel ``[3, 3, in, out]`` and a bias ``[out]``, float32; the
            first layer's are for BGR.
        precision: ``"float32"`` or ``"bfloat16"``.
    """

    def __init__(self, kernels: Mapping[str, Kernel], precision: str) -> None:
        self.precision = precision
        self.dtype = tf.as_dtype(precision)
        self._kernels = {
            layer: (tf.cast(kernel, self.dtype), tf.cast(bias, self.dtype)) for layer, (kernel, bias) in kernels.items()
        }
        kernel, bias = self._kernels[VGG19_LAYERS[0]]
        self._kernels[VGG19_LAYERS[0]] = kernel[:, :, ::-1], bias

    def features(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Activations (after ReLU) of ``layers`` for an RGB image ``[1, H, W, 3]`` in [0, 1].

        Returns a tensor ``[1, H / 2^(block - 1), W / 2^(block - 1), C]`` a layer, in the extractor's precision.
        """
        return dict(zip(layers, self.summaries(image, [(layer, tf.identity) for layer in layers]), strict=True))

    def summaries(self, image: Tensor, heads: Sequence[tuple[str, Head]], recompute: bool = False) -> list[Tensor]:
        """What each head makes of the activations of its layer, such as their Gram matrix; in the order of ``heads``.

        Args:
            image: as for ``features``.
            heads: pairs of a layer and a function of its activations.
            recompute: for the gradient compute each block's activations again instead of keeping them (Chen et al.
                2016, https://arxiv.org/abs/1604.06174): half the memory and half as much time again, the same result.
        """
        deepest = depth([layer for layer, _ in heads])
        order = sorted(range(len(heads)), key=lambda index: VGG19_LAYERS.index(heads[index][0]))
        x = tf.cast(image * 255.0 - MEAN, self.dtype)
        summaries: list[Tensor] = []
        for _, of_block in itertools.groupby(VGG19_LAYERS[:deepest], block):
            layers = tuple(of_block)
            heads_of_block = [heads[index] for index in order if heads[index][0] in layers]
            is_last = layers[-1] == VGG19_LAYERS[deepest - 1]
            run = functools.partial(self._block, layers, heads_of_block, not is_last, recompute)
            x, *found = tf.recompute_grad(run)(x) if recompute else run(x)
            summaries += found
        by_index = dict(zip(order, summaries, strict=True))
        return [by_index[index] for index in range(len(heads))]

    def _block(
        self, layers: Sequence[str], heads: Sequence[tuple[str, Head]], pool: bool, recompute: bool, x: Tensor
    ) -> list[Tensor]:
        """The last activations of a block, pooled or not, and what the heads make of each layer's, in their order."""
        summaries: list[Tensor] = []
        for layer in layers:
            run = functools.partial(self._convolution, layer, [head for of, head in heads if of == layer])
            # The first activations are as large as any and the cheapest: what follows goes on without them.
            x, *found = tf.recompute_grad(run)(x) if recompute and layer == VGG19_LAYERS[0] else run(x)
            summaries += found
        return [tf.nn.max_pool2d(x, 2, 2, "VALID") if pool else x, *summaries]

    def _convolution(self, layer: str, heads: Sequence[Head], x: Tensor) -> list[Tensor]:
        """The activations of a layer, and what the heads make of them."""
        kernel, bias = self._kernels[layer]
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        return [x, *(head(x) for head in heads)]


def best_precision() -> str:
    """``"bfloat16"`` where the device computes in it (AMX, AVX512-BF16, compute capability 8.0), else ``"float32"``."""
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float32"
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return "float32"
    return "bfloat16" if {"amx_bf16", "avx512_bf16"} & set(flags) else "float32"
