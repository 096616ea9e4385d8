"""A network's blocks over a picture in horizontal strips: sums over all positions and their gradient, exactly, in
memory that grows by some tens of bytes a pixel.

A strip reads some rows more above and below than it owns, one for each convolution of the block, as far as the picture
reaches; each convolution leaves one less. What it computes is what the whole picture would have there; of the rows that
it owns alone it adds up sums and hands on activations. Between forward and backward only the blocks' inputs are kept.
Backward each strip is computed again, and what it says of its input's rows, those that it does not own included, is
added up: by linearity this is the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from pipeline.engine.roots import Tensor

LEAST_PIXELS = 2**20  # of an image in strips: a smaller one takes less than some strips do
LEAST_ROWS = 32  # of a strip: of fewer the rows beside them would be a large part
PIXELS = 2**17  # of a strip in the first block; deeper ones have as many numbers
BYTES_PER_PIXEL = {"float32": 8000, "bfloat16": 4000}  # of a strip, about
ON_HOST = "CPU:0"  # where a GPU's kernels read integers from; it selects between them in its own memory


class Strip(NamedTuple):
    """The rows ``[first, end)`` of a block's input of a height."""

    first: Tensor
    end: Tensor
    height: Tensor

    def reach(self, margin: int) -> tuple[Tensor, Tensor]:
        """The first row and the end with a margin above and below, as far as the picture goes."""
        return tf.maximum(self.first - margin, 0), tf.minimum(self.end + margin, self.height)

    def owned(self, rows: Tensor, margin: int) -> Tensor:
        """Of rows that reach over the strip by a margin its own. The gradient of a strided slice would take longer."""
        if not margin:
            return rows
        found = tf.slice(rows, [0, self.first - self.reach(margin)[0], 0, 0], [1, self.end - self.first, -1, -1])
        found.set_shape([1, None, None, rows.shape[3]])
        return found

    def edges(self, margin: int) -> tuple[Tensor, Tensor]:
        """How many rows are missing, 0 or 1, above and below those of a margin for each row of the next narrower margin
        to have a neighbour."""
        (top, bottom), (next_top, next_bottom) = self.reach(margin), self.reach(margin - 1)
        return top - next_top + 1, next_bottom - bottom + 1


class Block(NamedTuple):
    """A part of a network that ends where rows are halved, or that is the last.

    ``run`` takes rows ``[1, h, W, C]`` of its input, a strip with the halo (None: the whole picture), and gives
    lists of activations of the rows owned, ``[1, h', W', C']`` in the block's precision, and of sums over their
    positions, float32. The first activations are what the next block goes on with.
    """

    run: Callable[[Tensor, Strip | None], tuple[list[Tensor], list[Tensor]]]
    halo: int  # rows of the input that a row of the result depends on, above and below


def pixels_within(memory: int, precision: str) -> int:
    """Of a strip in the first block, where a device has so many bytes for strips and works on much at a time: a power
    of two, ``PIXELS`` at least."""
    return max(PIXELS, 1 << max(1, memory // BYTES_PER_PIXEL[precision]).bit_length() - 1)


def rows(strip_pixels: int, width: Tensor) -> Tensor:
    """How many rows a strip of about so many pixels has: an even number, as pooling takes two."""
    return tf.maximum(LEAST_ROWS, strip_pixels // width // 2 * 2)


def sums(blocks: Sequence[Block], image: Tensor, strip_pixels: int) -> list[Tensor]:
    """The sums of all blocks over an image ``[1, H, W, 3]``, with their gradient. The last block has no activations."""
    height_of_strip = rows(strip_pixels, tf.shape(image)[2])

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(image: Tensor) -> Any:
        x, inputs, found = image, [], []
        for block in blocks:
            inputs.append(x)
            activations, of_block = forward(block, x, height_of_strip)
            found.append(of_block)
            x = activations[0] if activations else None

        def gradient(*upstream: Tensor) -> Tensor:
            of_sums, of_activations = list(upstream), list[Tensor]()
            for block, x, of_block in zip(reversed(blocks), reversed(inputs), reversed(found), strict=True):
                of_block = [of_sums.pop() for _ in of_block][::-1]
                of_activations = [_backward(block, x, height_of_strip, of_activations, of_block)]
            return of_activations[0]

        return [one for of_block in found for one in of_block], gradient

    return list(compute(image))


def forward(block: Block, x: Tensor, height_of_strip: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The activations and the sums of a block over its whole input ``[1, H, W, C]``, strip by strip."""
    count, strip_at = _layout(x, height_of_strip)

    def run(index: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        strip = strip_at(index)
        top, bottom = strip.reach(block.halo)
        return block.run(x[:, top:bottom], strip)

    def step(index: Tensor, arrays: list[Any], totals: list[Tensor]) -> Any:
        activations, found = run(index)
        arrays = [array.write(index, one[0]) for array, one in zip(arrays, activations, strict=True)]
        return index + 1, arrays, [total + one for total, one in zip(totals, found, strict=True)]

    activations, found = run(tf.constant(0))  # for their kinds and shapes: nothing is computed
    start = [_rows_array(count, one) for one in activations], [tf.zeros(one.shape) for one in found]
    _, arrays, totals = tf.while_loop(
        lambda index, *_: index < count, step, (tf.constant(0), *start), parallel_iterations=1
    )
    return [array.concat()[None] for array in arrays], totals


def _backward(
    block: Block, x: Tensor, height_of_strip: Tensor, of_activations: list[Tensor], of_sums: list[Tensor]
) -> Tensor:
    """The gradient by a block's input: rows that the next strip reads, too, wait for what it adds."""
    count, strip_at = _layout(x, height_of_strip)

    def step(index: Tensor, done: Any, waiting: Tensor) -> Any:
        strip = strip_at(index)
        top, bottom = strip.reach(block.halo)
        part = x[:, top:bottom]
        with tf.GradientTape() as tape:
            tape.watch(part)
            activations, found = block.run(part, strip)
        halves = [
            g[:, strip.first // 2 : strip.first // 2 + tf.shape(a)[1]]
            for g, a in zip(of_activations, activations, strict=True)
        ]
        slope = tape.gradient([*activations, *found], part, [*halves, *of_sums])
        missing = bottom - top - tf.shape(waiting)[1]
        slope += tf.pad(waiting, [[0, 0], [0, missing], [0, 0], [0, 0]])
        with tf.device(ON_HOST):
            whole = tf.where(index + 1 == count, bottom, strip.end - block.halo) - top
        return index + 1, done.write(index, slope[0, :whole]), slope[:, whole:]

    def shape(one: Tensor) -> tf.TensorShape:
        return tf.TensorShape([1, None, None, one.shape[3]])

    done = _rows_array(count, x)
    _, done, _ = tf.while_loop(
        lambda index, *_: index < count,
        step,
        (tf.constant(0), done, x[:, :0]),
        shape_invariants=(tf.TensorShape([]), tf.TensorSpec(None, tf.variant), shape(x)),
        parallel_iterations=1,
    )
    return done.concat()[None]


def _layout(x: Tensor, height_of_strip: Tensor) -> tuple[Tensor, Callable[[Tensor], Strip]]:
    """How many strips there are, and each by its index. A last row alone goes to the strip above it, as pooling would
    leave nothing of it."""
    height = tf.shape(x)[1]
    count = tf.maximum(1, -(-(height - 1) // height_of_strip))

    def strip(index: Tensor) -> Strip:
        first = index * height_of_strip
        with tf.device(ON_HOST):
            end = tf.where(index + 1 == count, height, first + height_of_strip)
        return Strip(first, end, height)

    return count, strip


def _rows_array(count: Tensor, like: Tensor) -> Any:
    return tf.TensorArray(like.dtype, count, infer_shape=False, element_shape=[None, None, like.shape[3]])
