"""The optimization loop: coarse to fine, one record a step. It knows nothing of files or progress bars."""

from __future__ import annotations

import functools
import itertools
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.engine import balance, objective, scales
from pipeline.engine.extractor import Extractor, Head, smallest_side
from pipeline.engine.objective import STYLE_LOSSES, Tensor
from pipeline.engine.optimizers import OPTIMIZERS, Rates
from pipeline.engine.scales import Image
from pipeline.errors import ImageError, JobError
from pipeline.parameters import Parameters

MASK = tf.TensorSpec([1, None, None, 1])
RECOMPUTE_FROM_BYTES = 10_000_000  # pixels × bytes of a number: 2.5 megapixels in float32, 5 in bfloat16
# Bytes that a step of Adam takes for each pixel, its activations kept or computed again; measured by
# benchmarks/memory.py.
BYTES_PER_PIXEL = {
    ("gram", "float32"): (2300, 1100),
    ("gram", "bfloat16"): (1250, 620),
    ("wasserstein", "float32"): (2650, 1550),
    ("wasserstein", "bfloat16"): (1750, 1550),
}
BYTES_PER_PIXEL_OF_LBFGS = 300  # its history
KEPT_STYLES = 16  # (style, size) pairs whose statistics stay in memory; 2.4 MB each for VGG-19's five blocks


@dataclass(frozen=True)
class Style:
    """A style image: RGB ``[H, W, 3]`` float32 in [0, 1], its share among several, and a key that names its pixels.

    Masks are float32 in [0, 1]: ``region`` (of the content's height and width) is where the style paints,
    ``part`` (of its own height and width) is what of it counts; None for all.
    """

    image: Image
    weight: float
    key: str
    region: Image | None = None
    part: Image | None = None


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on, so everything that a checkpoint must hold."""

    step: int  # steps done, over all scales
    scale: int  # index of the scale in the schedule
    tensors: tuple[Tensor, ...]  # the optimizer's


@dataclass(frozen=True)
class Step:
    """One step done: its number from 1, the long side in pixels it ran at, and the losses before its update."""

    number: int
    scale: int
    total: float
    content: float
    style: float
    total_variation: float
    state: State  # after the last step of the same call


class _Targets(NamedTuple):
    content: list[Tensor]
    style: list[list[Tensor]]  # of each region, by layer
    masks: list[Tensor]  # [1, H, W, 1], of the regions that have one
    shares: Tensor  # of each region in the style loss


class _Weights(NamedTuple):
    content: Tensor
    style: Tensor
    total_variation: Tensor
    content_layers: Tensor
    style_layers: Tensor
    content_limit: Tensor


def bytes_needed(height: int, width: int, precision: str, parameters: Parameters) -> int:
    """About how much memory a run takes beyond the extractor, in bytes."""
    kept, recomputed = BYTES_PER_PIXEL[parameters.style_loss, precision]
    each = recomputed if _is_large(height, width, precision) else kept
    return height * width * (each + (BYTES_PER_PIXEL_OF_LBFGS if parameters.optimizer == "lbfgs" else 0))


def _is_large(height: int, width: int, precision: str) -> bool:
    """Whether activations are computed twice rather than kept. By size alone: the same job gives the same bytes."""
    return bool(height * width * tf.as_dtype(precision).size > RECOMPUTE_FROM_BYTES)


class Stylizer:
    """Paints content images in the manner of style images with one extractor, and keeps what can be used again:
    graphs by the layers, optimizer and style loss they are for, a style's statistics by its pixels, size and layers.

    Args:
        extractor: where features come from.
        steps_per_call: how many steps one call of a graph makes. More than one is for a GPU, whose steps are shorter
            than the way through Python; the result is the same.
    """

    def __init__(self, extractor: Extractor, steps_per_call: int = 1) -> None:
        self._extractor = extractor
        self._steps_per_call = steps_per_call
        self._graphs: dict[Any, Any] = {}
        self._styles: OrderedDict[Any, list[Tensor]] = OrderedDict()
        self._content: Image | None = None  # the last one, whose targets are kept by its size and layers
        self._content_targets: dict[Any, list[Tensor]] = {}

    def run(
        self,
        content: Image,
        styles: Sequence[Style],
        parameters: Parameters,
        resume: State | None = None,
        start: Image | None = None,
    ) -> Iterator[Step]:
        """Optimize an image; yield a record after every step.

        Args:
            content: RGB ``[H, W, 3]`` in [0, 1], at the size of the result.
            styles: at least one. The statistics of those without a region are averaged by weight; one with a region has
                a loss of its own there (Gatys et al. 2017, https://arxiv.org/abs/1611.07865, section 4).
            parameters: of the objective and the optimizer; sizes have been applied to the images already.
            resume: the state of an earlier step, with which the run goes on to the same bytes.
            start: the picture to start from, RGB ``[H, W, 3]`` of any size; default: as ``parameters.init`` says.

        Raises:
            ImageError: an image is too small for the deepest layer.
            JobError: the loss overflowed.
        """
        parameters = self.settled(content, styles, parameters)
        _require_size(content, "the content image", parameters.layers)
        optimizer = OPTIMIZERS[parameters.optimizer]
        rates = Rates(
            *map(_scalar, (parameters.learning_rate, parameters.beta_1, parameters.beta_2, parameters.epsilon))
        )
        weights = _Weights(
            _scalar(parameters.content_weight),
            _scalar(float(parameters.style_weight)),
            _scalar(float(parameters.total_variation_weight)),
            _vector(parameters.content_layers),
            _vector(parameters.style_layers),
            _scalar(math.inf if parameters.content_limit == "off" else float(parameters.content_limit)),
        )
        full_side = max(content.shape[:2])
        number = resume.step if resume else 0
        image: Tensor = None
        done_before = 0
        for index, (side, steps) in enumerate(scales.schedule(parameters, *content.shape[:2])):
            done_before += steps
            if resume and index < resume.scale:
                continue
            scaled = scales.resize(content, side / full_side)
            if resume and index == resume.scale:
                tensors = optimizer.restore([tf.convert_to_tensor(t) for t in resume.tensors])
            else:
                image = scales.start(scaled, start, parameters) if image is None else scales.enlarge(image, scaled)
                tensors = optimizer.start(image)
            targets = self._targets(content, scaled, styles, side / full_side, parameters)
            while number < done_before:
                count = self._steps_per_call if number + self._steps_per_call <= done_before else 1
                advance = self._graph(count, tensors, targets, parameters)
                tensors, records = advance(tensors, targets, weights, rates)
                state = State(number + count, index, tensors)
                for total, content_part, style_part, variation in records.numpy().tolist():
                    number += 1
                    if not math.isfinite(total):
                        raise JobError(
                            f"the loss is {total} at step {number}: the numbers have overflowed.",
                            "Lower learning_rate, or the weights of the losses.",
                        )
                    yield Step(number, side, total, content_part, style_part, variation, state)
            image = optimizer.result(tensors)

    def settled(self, content: Image, styles: Sequence[Style], parameters: Parameters) -> Parameters:
        """Parameters with a value in place of every `auto` of the objective, chosen by the images at full size; the
        targets that this takes are kept for the run's last scale. Images and errors are as for ``run``."""
        if not balance.is_auto(parameters):
            return parameters
        if parameters.style_weight != "auto":
            return parameters.model_copy(update=balance.fixed(parameters))
        _require_size(content, "the content image", parameters.layers)
        content_layers, style_layers = balance.layers(parameters)
        targets = self._targets(content, scales.resize(content, 1.0), styles, 1.0, parameters)
        of_content = [float(tf.reduce_mean(tf.square(target))) for target in targets.content]
        nothing = [tf.zeros([1, 1, 1, target.shape[-1]]) for target in targets.style[0]]
        distance = STYLE_LOSSES[parameters.style_loss].distance
        of_style = [
            [float(distance(features, target)) for features, target in zip(nothing, of_region, strict=True)]
            for of_region in targets.style
        ]
        shared = np.asarray(targets.shares) @ np.array(of_style)
        scale_of = dict(zip(style_layers, shared.tolist(), strict=True))
        found = balance.chosen(parameters, dict(zip(content_layers, of_content, strict=True)), scale_of)
        return parameters.model_copy(update=found)

    def picture(self, state: State, parameters: Parameters) -> Image:
        """The picture ``[H, W, 3]`` float32 in [0, 1] that a state stands for."""
        optimizer = OPTIMIZERS[parameters.optimizer]
        result: Image = np.asarray(optimizer.result(optimizer.restore(list(state.tensors))), np.float32)[0]
        return result

    def _targets(
        self, photo: Image, content: Tensor, styles: Sequence[Style], ratio: float, parameters: Parameters
    ) -> _Targets:
        """Of a photo, which at this ratio is ``content``, and of the styles at the same ratio."""
        if photo is not self._content:
            self._content, self._content_targets = photo, {}
        content_layers, layers = map(tuple, balance.layers(parameters))
        loss = STYLE_LOSSES[parameters.style_loss]
        everywhere = [style for style in styles if style.region is None]
        regions = [everywhere] if everywhere else []
        regions += [[style] for style in styles if style.region is not None]
        targets, masks = [], []
        for group in regions:
            share = sum(style.weight for style in group)
            statistics = [self._style_statistics(style, ratio, layers, parameters.style_loss) for style in group]
            mixed = [
                tf.add_n([found * (style.weight / share) for found, style in zip(of_layer, group, strict=True)])
                for of_layer in zip(*statistics, strict=True)
            ]
            targets.append([loss.target(of_layer) for of_layer in mixed])
            if group[0].region is not None:
                masks.append(scales.resize_mask(group[0].region, content))
        shares = tf.constant([sum(style.weight for style in group) for group in regions], tf.float32)
        key = (content.shape, content_layers)
        if key not in self._content_targets:
            self._content_targets[key] = self._content_graph(key[1])(content)
        return _Targets(self._content_targets[key], targets, masks, shares / tf.reduce_sum(shares))

    def _style_statistics(self, style: Style, ratio: float, layers: tuple[str, ...], loss: str) -> list[Tensor]:
        key = (style.key, style.image.shape, ratio, layers, loss)
        if key not in self._styles:
            scaled = scales.resize(style.image, ratio)
            _require_size(scaled[0], "the style image", layers)
            masks = [] if style.part is None else [scales.resize_mask(style.part, scaled)]
            self._styles[key] = self._statistics_graph(layers, loss, bool(masks))(scaled, masks)
            if len(self._styles) > KEPT_STYLES:
                self._styles.popitem(last=False)
        self._styles.move_to_end(key)
        return self._styles[key]

    def _content_graph(self, layers: tuple[str, ...]) -> Any:
        key = ("content", layers)
        if key not in self._graphs:

            def targets(image: Tensor) -> list[Tensor]:
                features = self._extractor.features(image, layers)
                return [tf.cast(features[layer], tf.float32) for layer in layers]

            self._graphs[key] = tf.function(targets, input_signature=[_any_size([1, 1, 1, 3])], autograph=False)
        return self._graphs[key]

    def _statistics_graph(self, layers: tuple[str, ...], loss: str, is_masked: bool) -> Any:
        key = (loss, layers, is_masked)
        if key not in self._graphs:

            def targets(image: Tensor, masks: list[Tensor]) -> list[Tensor]:
                head = functools.partial(STYLE_LOSSES[loss].statistics, mask=masks[0] if masks else None)
                return self._extractor.summaries(image, [(layer, head) for layer in layers])

            signature = [_any_size([1, 1, 1, 3]), [MASK] if is_masked else []]
            self._graphs[key] = tf.function(targets, input_signature=signature, autograph=False)
        return self._graphs[key]

    def _graph(self, count: int, tensors: tuple[Tensor, ...], targets: _Targets, parameters: Parameters) -> Any:
        """``count`` steps as a graph, traced once for images of any size and weights of any value."""
        content_layers, style_layers = map(tuple, balance.layers(parameters))
        regions, masks = len(targets.style), len(targets.masks)
        recompute = _is_large(tensors[0].shape[1], tensors[0].shape[2], self._extractor.precision)
        is_limited = parameters.content_limit != "off"
        of_what = (parameters.optimizer, parameters.style_loss, content_layers, style_layers, is_limited)
        key = (count, *of_what, regions, masks, recompute)
        if key in self._graphs:
            return self._graphs[key]
        optimizer = OPTIMIZERS[parameters.optimizer]

        def advance(
            state: tuple[Tensor, ...], targets: _Targets, weights: _Weights, rates: Rates
        ) -> tuple[tuple[Tensor, ...], Tensor]:
            def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
                with tf.GradientTape() as tape:
                    tape.watch(image)
                    losses = self._losses(image, targets, weights, parameters, recompute)
                return tf.stack(losses), tape.gradient(losses[0], image)

            records = []
            for _ in range(count):
                state, losses = optimizer.step(evaluate, state, rates)
                records.append(losses)
            return state, tf.stack(records)

        number, vector = tf.TensorSpec([]), tf.TensorSpec([None])
        signature = [
            tf.nest.map_structure(lambda t: _any_size(t.shape), tensors),
            _Targets(
                [tf.TensorSpec([1, None, None, None])] * len(content_layers),
                [[tf.TensorSpec([None, None])] * len(style_layers)] * regions,
                [MASK] * masks,
                vector,
            ),
            _Weights(number, number, number, vector, vector, number),
            Rates(number, number, number, number),
        ]
        self._graphs[key] = tf.function(advance, input_signature=signature, autograph=False)
        return self._graphs[key]

    def _losses(
        self, image: Tensor, targets: _Targets, weights: _Weights, parameters: Parameters, recompute: bool
    ) -> list[Tensor]:
        """Total, content, style and total variation loss; of the parameters only what names a graph counts."""
        content_layers, style_layers = balance.layers(parameters)
        limit = None if parameters.content_limit == "off" else weights.content_limit
        heads: list[tuple[str, Head]] = [
            (layer, functools.partial(objective.content_distance, target=target, limit=limit))
            for layer, target in zip(content_layers, targets.content, strict=True)
        ]
        masks = [None] * (len(targets.style) - len(targets.masks)) + targets.masks
        distance = STYLE_LOSSES[parameters.style_loss].distance
        for of_region, mask in zip(targets.style, masks, strict=True):
            for layer, target in zip(style_layers, of_region, strict=True):
                heads.append((layer, functools.partial(distance, target=target, mask=mask)))
        found = iter(self._extractor.summaries(image, heads, recompute))
        distances = list(itertools.islice(found, len(content_layers)))
        content = objective.weighted_mean(distances, weights.content_layers)
        style = 0.0
        for share in tf.unstack(targets.shares, len(targets.style)):
            distances = list(itertools.islice(found, len(style_layers)))
            style += share * objective.weighted_mean(distances, weights.style_layers)
        variation = objective.total_variation_loss(image)
        parts = [weights.content * content, weights.style * style, weights.total_variation * variation]
        return [tf.add_n(parts), *parts]


def _any_size(shape: Sequence[int]) -> tf.TensorSpec:
    """float32 ``[..., 1, H, W, 3]`` with H and W left open; scalars stay scalars."""
    return tf.TensorSpec([*shape[:-3], None, None, 3] if len(shape) >= 3 else shape)


def _vector(layers: Mapping[str, float] | str) -> Tensor:
    assert not isinstance(layers, str), "settled parameters have numbers"
    return tf.constant(list(layers.values()), tf.float32)


def _scalar(value: float) -> Tensor:
    return tf.constant(value, tf.float32)


def _require_size(image: Any, what: str, layers: Sequence[str]) -> None:
    height, width = image.shape[0], image.shape[1]
    needed = smallest_side(layers)
    if min(height, width) < needed:
        raise ImageError(
            f"{what} is {width}×{height} pixels at the size it would run at, too small for the layers chosen.",
            f"Its short side needs at least {needed} pixels: use a larger image_size or style_size, a picture that is"
            " less narrow, or shallower layers.",
        )
