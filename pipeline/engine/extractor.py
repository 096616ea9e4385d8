"""VGG-19's convolutions (Simonyan and Zisserman 2014), run up to the deepest layer that is asked for."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.engine import strips
from pipeline.engine.roots import Tensor
from pipeline.engine.strips import Block, Strip
from pipeline.manifest.fields import VGG19_LAYERS
from pipeline.manifest.schedule import block as block_of
from pipeline.manifest.schedule import is_large

if TYPE_CHECKING:
    from pipeline.engine.weights import Kernel

# The mean of ImageNet's pixels that VGG-19 was trained with, in RGB order.
MEAN = np.array([123.68, 116.779, 103.939], np.float32)


class Head(NamedTuple):
    """Sums over the positions of a layer, such as ``FᵀF``."""

    layer: str
    sums: Callable[..., Tensor]  # of activations [1, h, w, C] and what is beside them: float32
    beside: Sequence[Tensor] = ()  # [1, h, w, n] each, of all positions of the layer


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
        bytes_for_strips: of a card's memory, for the strips of a large picture; 0 for low ones.
    """

    def __init__(self, kernels: Mapping[str, Kernel], precision: str, bytes_for_strips: int = 0) -> None:
        self.precision = precision
        self._strip_pixels = strips.pixels_within(bytes_for_strips, precision)
        self.dtype = tf.as_dtype(precision)
        self._kernels = {
            layer: (tf.cast(kernel, self.dtype), tf.cast(bias, self.dtype)) for layer, (kernel, bias) in kernels.items()
        }
        kernel, bias = self._kernels[VGG19_LAYERS[0]]
        self._kernels[VGG19_LAYERS[0]] = kernel[:, :, ::-1], bias

    @functools.cached_property
    def _turned(self) -> dict[str, Tensor]:
        """The kernels with which gradients go back."""
        with tf.init_scope():
            return {
                layer: tf.reverse(tf.transpose(kernel, [0, 1, 3, 2]), [0, 1])
                for layer, (kernel, _) in self._kernels.items()
            }

    def strip_pixels(self, size: tuple[int, int], full: tuple[int, int]) -> int:
        """How many pixels a strip of an image has; 0 where the whole is done at once.

        Args:
            size: its height and width.
            full: those of the picture that is painted, whose coarser scales are to leave no memory behind that its
                finest one has no use for.
        """
        is_of_large = is_large(*full, self.precision) or is_large(*size, self.precision)
        return self._strip_pixels if is_of_large and size[0] * size[1] > strips.LEAST_PIXELS else 0

    def features(self, image: Tensor, layers: Collection[str], strip_pixels: int = 0) -> dict[str, Tensor]:
        """Activations (after ReLU) of ``layers`` for an RGB image ``[1, H, W, 3]`` in [0, 1], in strips if asked for.

        Returns a tensor ``[1, H / 2^(block - 1), W / 2^(block - 1), C]`` a layer, in the extractor's precision.
        """
        found: dict[str, Tensor] = {}
        x = image
        for of_block, block in self._blocks([], layers):
            activations, _ = (
                strips.forward(block, x, strips.rows(strip_pixels, tf.shape(image)[2]))
                if strip_pixels
                else block.run(x, None)
            )
            wanted = [layer for layer in of_block if layer in layers]
            found |= zip(wanted, activations[len(activations) - len(wanted) :], strict=True)
            x = activations[0]
        return {layer: found[layer] for layer in layers}

    def sums(self, image: Tensor, heads: Sequence[Head], strip_pixels: int = 0) -> list[Tensor]:
        """What each head adds up over the positions of its layer; in the order of ``heads``.

        Args:
            image: as for ``features``.
            heads: at least one.
            strip_pixels: run each block over strips of about so many pixels, which are computed again for the
                gradient: in a hundredth of the memory, and half as much time again. 0 for the whole picture at once.
        """
        order = sorted(range(len(heads)), key=lambda index: VGG19_LAYERS.index(heads[index].layer))
        blocks = [block for _, block in self._blocks([heads[index] for index in order], ())]
        if strip_pixels:
            found = strips.sums(blocks, image, strip_pixels)
        else:
            x, found = image, []
            for block in blocks:
                activations, of_block = block.run(x, None)
                x = activations[0] if activations else None
                found += of_block
        by_index = dict(zip(order, found, strict=True))
        return [by_index[index] for index in range(len(heads))]

    def _blocks(self, heads: Sequence[Head], kept: Collection[str]) -> list[tuple[list[str], Block]]:
        """The blocks down to the deepest layer that is asked for, with their layers. Their sums are in the order of
        ``heads``, which is by layer; after what the next block needs, activations of layers that are kept follow."""
        deepest = depth([*kept, *(head.layer for head in heads)])
        found = []
        for _, of_block in itertools.groupby(VGG19_LAYERS[:deepest], block_of):
            layers = list(of_block)
            own = [head for head in heads if head.layer in layers]
            run = functools.partial(self._run, layers, own, kept, layers[-1] != VGG19_LAYERS[deepest - 1])
            found.append((layers, Block(run, len(layers))))
        return found

    def _run(
        self,
        layers: Sequence[str],
        heads: Sequence[Head],
        kept: Collection[str],
        pools: bool,
        x: Tensor,
        strip: Strip | None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """A block as ``strips.Block.run`` has it."""
        activations, sums = [], []
        if layers[0] == VGG19_LAYERS[0]:
            x = tf.cast(x * 255.0 - MEAN, self.dtype)
        for margin, layer in zip(reversed(range(len(layers))), layers, strict=True):
            kernel, bias = self._kernels[layer]
            if strip:
                above, below = strip.edges(margin + 1)
                x = tf.pad(x, [[0, 0], [above, below], [0, 0], [0, 0]])  # no copy where there are none
                x = _narrowed(x, kernel, self._turned[layer])
            else:
                x = tf.nn.conv2d(x, kernel, 1, "SAME")
            x = tf.nn.relu(tf.nn.bias_add(x, bias))
            own = strip.owned(x, margin) if strip else x
            if layer in kept:
                activations.append(own)
            for head in heads:
                if head.layer == layer:
                    beside = [one[:, strip.first : strip.end] if strip else one for one in head.beside]
                    sums.append(head.sums(own, *beside))
        if pools:
            activations.insert(0, tf.nn.max_pool2d(own, 2, 2, "VALID"))
        return activations, sums


def _narrowed(x: Tensor, kernel: Tensor, turned: Tensor) -> Tensor:
    """A 3×3 convolution of rows ``[1, h, W, C]`` that gives ``[1, h - 2, W, C']``, those with neighbours.

    Its gradient is a convolution with the kernel turned; TensorFlow's own takes thirty times as long on a CPU, in
    bfloat16 and with this padding.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(x: Tensor) -> Any:
        return tf.nn.conv2d(x, kernel, 1, [[0, 0], [0, 0], [1, 1], [0, 0]]), lambda upstream: tf.nn.conv2d(
            upstream, turned, 1, [[0, 0], [2, 2], [1, 1], [0, 0]]
        )

    return compute(x)


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
