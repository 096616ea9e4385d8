"""The optimization loop: coarse to fine, one record a step. It knows nothing of files or progress bars."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.engine import balance, objective, scales
from pipeline.engine.extractor import Extractor, Head
from pipeline.engine.objective import STYLE_LOSSES
from pipeline.engine.optimizers import OPTIMIZERS, Rates
from pipeline.engine.roots import Tensor
from pipeline.engine.scales import Image
from pipeline.engine.targets import MASK, Style, Targets, TargetStore, any_size, require_size
from pipeline.errors import JobError
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.schedule import schedule

STEPS_A_CALL = 100  # at most


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on, so everything that a checkpoint must hold."""

    step: int  # steps done, over all scales
    scale_index: int  # in the schedule
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
    temporal: float
    state: State  # after the last step of the same call


class _LossWeights(NamedTuple):
    content: Tensor
    style: Tensor
    total_variation: Tensor
    content_layers: Tensor
    style_layers: Tensor
    content_limit: Tensor


class Stylizer:
    """Paints content images in the manner of style images with one extractor, and keeps what can be used again: graphs
    by the layers, optimizer and style loss they are for, and targets.

    Args:
        extractor: where features come from.
        call_seconds: about how long one call of a graph may take, as a run can be left between calls only. With 0 each
            call makes one step. More is for a GPU, whose steps are shorter than the way through Python; the result
            is the same.
    """

    def __init__(self, extractor: Extractor, call_seconds: float = 0.0) -> None:
        self._extractor = extractor
        self._call_seconds = call_seconds
        self._graphs: dict[Any, Any] = {}
        self._targets = TargetStore(extractor)

    def run(
        self,
        content: Image,
        styles: Sequence[Style],
        parameters: Parameters,
        resume: State | None = None,
        start: Image | None = None,
        protected: Image | None = None,
        anchor: tuple[Image, Image] | None = None,
    ) -> Iterator[Step]:
        """Optimize an image; yield a record after every step.

        Args:
            content: RGB ``[H, W, 3]`` in [0, 1], at the size of the result.
            styles: at least one. The statistics of those without a region are averaged by weight; one with a region has
                a loss of its own there (Gatys et al. 2017, https://arxiv.org/abs/1611.07865, section 4).
            parameters: of the objective and the optimizer; sizes have been applied to the images already.
            resume: the state of an earlier step, with which the run goes on to the same bytes.
            start: the picture to start from, RGB ``[H, W, 3]`` of any size; default: as ``parameters.init`` says.
            protected: where content counts more (``objective.content_distance``), ``[H, W]`` float32 in [0, 1], as high
                and wide as the content image; None for nowhere.
            anchor: a picture ``[H, W, 3]`` to stay near to, and how much, ``[H, W]`` float32: the weight of
                ``objective.temporal_loss``; None for none.

        Raises:
            ImageError: an image is too small for the deepest layer.
            JobError: the loss, or the picture, overflowed.
        """
        parameters = self.settled(content, styles, parameters)
        optimizer = OPTIMIZERS[parameters.optimizer]
        full_side = max(content.shape[:2])
        number = resume.step if resume else 0
        image: Tensor = None
        done_before = 0
        for index, (side, steps) in enumerate(schedule(parameters, *content.shape[:2])):
            done_before += steps
            if resume and index < resume.scale_index:
                continue
            scaled = scales.resize(content, side / full_side)
            require_size(scaled[0], "the content image", parameters.layers)
            if resume and index == resume.scale_index:
                tensors = optimizer.restore([tf.convert_to_tensor(t) for t in resume.tensors])
            else:
                image = scales.start(scaled, start, parameters) if image is None else scales.enlarge(image, scaled)
                tensors = optimizer.start(image, steps)
            targets = self._targets.at(content, scaled, styles, side / full_side, parameters, protected, anchor)
            strip_pixels = self._extractor.strip_pixels(scaled.shape[1:3], content.shape[:2])
            graph = self._graph(tensors, targets, parameters, strip_pixels)
            image = scaled = None  # a print has no room for them beside its steps
            for state, records in self._calls(graph, State(number, index, tensors), done_before, targets, parameters):
                tensors = state.tensors
                for total, content_part, style_part, variation, temporal in records:
                    number += 1
                    if not math.isfinite(total):
                        raise _overflowed(f"the loss is {total} at step {number}")
                    yield Step(number, side, total, content_part, style_part, variation, temporal, state)
            image = optimizer.result(tensors)
        if not tf.reduce_all(tf.math.is_finite(image)):  # after the last step no loss tells
            raise _overflowed(f"the picture is not finite after step {number}")

    def _calls(
        self, advance: Any, state: State, last: int, targets: Targets, parameters: Parameters
    ) -> Iterator[tuple[State, list[list[float]]]]:
        """The calls of a scale's graph up to its last step: the state after each, and the losses of its steps."""
        weights, rates = _loss_weights(parameters), _rates(parameters)
        count = 1  # the first call of a size takes longer than its steps
        while state.step < last:
            # A call ends where a picture is wanted: only its last state is known.
            every = parameters.steps_per_frame or last
            count = min(count, last - state.step, every - state.step % every)
            begun = time.perf_counter()
            tensors, records = advance(tf.constant(count), state.tensors, targets, weights, rates)
            found = records.numpy()[:count].tolist()  # waits for the device
            state = State(state.step + count, state.scale_index, tensors)
            count = self._next_count(count, time.perf_counter() - begun)
            yield state, found

    def stages(self, height: int, width: int, parameters: Parameters) -> list[tuple[int, list[tuple[int, ...]]]]:
        """Of each scale of a run at this size: its last step, and the shapes of the tensors of a state there."""
        found, last = [], 0
        for side, steps in schedule(parameters, height, width):
            last += steps
            with tf.Graph().as_default():  # nothing is computed there
                image = tf.zeros([1, *scales.size(height, width, side / max(height, width)), 3])
                state = OPTIMIZERS[parameters.optimizer].start(image, steps)
            found.append((last, [tuple(tensor.shape) for tensor in state]))
        return found

    def settled(self, content: Image, styles: Sequence[Style], parameters: Parameters) -> Parameters:
        """Parameters with a value in place of every `auto` of the objective, chosen by the images at full size; the
        targets that this takes are kept for the run's last scale. Images and errors are as for ``run``."""
        if not balance.is_auto(parameters):
            return parameters
        if parameters.style_weight != "auto":
            return parameters.model_copy(update=balance.fixed(parameters))
        require_size(content, "the content image", parameters.layers)
        found = balance.chosen(parameters, *self._targets.scales_of(content, styles, parameters))
        return parameters.model_copy(update=found)

    def picture(self, state: State, parameters: Parameters) -> Image:
        """The picture ``[H, W, 3]`` float32 in [0, 1] that a state stands for."""
        optimizer = OPTIMIZERS[parameters.optimizer]
        result: Image = np.asarray(optimizer.result(optimizer.restore(list(state.tensors))), np.float32)[0]
        return result

    def _next_count(self, count: int, seconds: float) -> int:
        """How many steps the next call makes after one of ``count``: at most twice as many, as what came first may have
        waited for something."""
        return max(1, min(2 * count, int(count * self._call_seconds / seconds), STEPS_A_CALL))

    def _graph(self, tensors: tuple[Tensor, ...], targets: Targets, parameters: Parameters, strip_pixels: int) -> Any:
        """Any number of steps up to ``STEPS_A_CALL`` as a graph, traced once for images of any size and weights of any
        value. Nothing of the device is looked at within it: it would have to wait for all that was begun."""
        content_layers, style_layers = map(tuple, balance.layers(parameters))
        regions, masks = len(targets.style), len(targets.masks)
        is_limited = parameters.content_limit != "off"
        of_what = (parameters.optimizer, parameters.style_loss, content_layers, style_layers, is_limited)
        of_state = tf.nest.map_structure(lambda t: any_size(t.shape), tensors)
        key = (*of_what, regions, masks, strip_pixels, len(targets.protected), len(targets.anchor), *of_state)
        if key in self._graphs:
            return self._graphs[key]
        optimizer = OPTIMIZERS[parameters.optimizer]

        def advance(
            count: Tensor, state: tuple[Tensor, ...], targets: Targets, weights: _LossWeights, rates: Rates
        ) -> tuple[tuple[Tensor, ...], Tensor]:
            limit = weights.content_limit if is_limited else None
            rates = rates._replace(mobility=[objective.mobility(mask, limit) for mask in targets.protected])
            heads = _heads(targets, parameters)  # once a call: masks are made smaller on the CPU, whatever the device

            def evaluate(image: Tensor) -> tuple[Tensor, Tensor]:
                with tf.GradientTape() as tape:
                    tape.watch(image)
                    losses = self._losses(image, targets, heads, weights, parameters, strip_pixels)
                return tf.stack(losses), tape.gradient(losses[0], image)

            def step(done: Tensor, state: tuple[Tensor, ...], records: Tensor) -> tuple[Tensor, Any, Tensor]:
                state, losses = optimizer.step(evaluate, state, rates)
                return done + 1, state, tf.where(rows == done, losses, records)

            rows = tf.range(STEPS_A_CALL)[:, None]
            start = (tf.constant(0), state, tf.zeros([STEPS_A_CALL, 5]))
            if not self._call_seconds:
                return step(tf.constant(0), *start[1:])[1:]
            _, state, records = tf.while_loop(lambda done, *_: done < count, step, start, parallel_iterations=1)
            return state, records

        number, vector = tf.TensorSpec([]), tf.TensorSpec([None])
        signature = [
            tf.TensorSpec([], tf.int32),
            of_state,
            Targets(
                [tf.TensorSpec([1, None, None, target.shape[3]], target.dtype) for target in targets.content],
                [tf.TensorSpec(whole.shape) for whole in targets.whole_content],
                tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape), targets.style),
                [MASK] * masks,
                vector,
                [MASK] * len(targets.protected),
                [any_size([1, 1, 1, 3]), MASK] if targets.anchor else [],
            ),
            _LossWeights(number, number, number, vector, vector, number),
            Rates(number, number, number, number),
        ]
        self._graphs[key] = tf.function(advance, input_signature=signature, autograph=False)
        return self._graphs[key]

    def _losses(
        self,
        image: Tensor,
        targets: Targets,
        heads: tuple[list[Head], list[Head]],
        weights: _LossWeights,
        parameters: Parameters,
        strip_pixels: int,
    ) -> list[Tensor]:
        """Total, content, style, total variation and temporal loss; of the parameters what names a graph counts."""
        limit = None if parameters.content_limit == "off" else weights.content_limit
        loss, (of_content, of_style) = STYLE_LOSSES[parameters.style_loss], heads
        variation = objective.total_variation_loss(image)
        with tf.control_dependencies([variation] if strip_pixels else []):  # what it takes is free again for the strips
            found = self._extractor.sums(tf.identity(image), [*of_content, *of_style], strip_pixels)
        content = objective.weighted_mean(
            [
                objective.content_distance(sums / tf.cast(tf.size(target, tf.int64), tf.float32), whole, limit)
                for sums, target, whole in zip(found, targets.content, targets.whole_content, strict=False)
            ],
            weights.content_layers,
        )
        statistics = objective.style_statistics(of_style, found[len(of_content) :], image)
        aims = list(itertools.chain.from_iterable(targets.style))
        distances = loss.distances(statistics, aims)
        by_region = tf.reduce_mean(weights.style_layers * tf.reshape(distances, [len(targets.style), -1]), 1)
        style = tf.reduce_sum(targets.shares * by_region)
        temporal = objective.temporal_loss(image, *targets.anchor) if targets.anchor else tf.constant(0.0)
        parts = [weights.content * content, weights.style * style, weights.total_variation * variation, temporal]
        return [tf.add_n(parts), *parts]


def _overflowed(what: str) -> JobError:
    return JobError(f"{what}: the numbers have overflowed.", "Lower learning_rate, or the weights of the losses.")


def _heads(targets: Targets, parameters: Parameters) -> tuple[list[Head], list[Head]]:
    """What is added up of the layers for the content loss, and for the style loss of each region."""
    content_layers, style_layers = balance.layers(parameters)
    of_content = [
        Head(layer, objective.content_sums, [target, *(objective.shares(mask, layer) for mask in targets.protected)])
        for layer, target in zip(content_layers, targets.content, strict=True)
    ]
    loss = STYLE_LOSSES[parameters.style_loss]
    masks = [None] * (len(targets.style) - len(targets.masks)) + targets.masks
    return of_content, [head for mask in masks for head in objective.style_heads(loss, style_layers, mask)]


def _loss_weights(parameters: Parameters) -> _LossWeights:
    return _LossWeights(
        _scalar(parameters.content_weight),
        _scalar(float(parameters.style_weight)),
        _scalar(float(parameters.total_variation_weight)),
        _vector(parameters.content_layers),
        _vector(parameters.style_layers),
        _scalar(math.inf if parameters.content_limit == "off" else float(parameters.content_limit)),
    )


def _rates(parameters: Parameters) -> Rates:
    return Rates(*map(_scalar, (parameters.learning_rate, parameters.beta_1, parameters.beta_2, parameters.epsilon)))


def _vector(layers: Mapping[str, float] | str) -> Tensor:
    assert not isinstance(layers, str), "settled parameters have numbers"
    return tf.constant(list(layers.values()), tf.float32)


def _scalar(value: float) -> Tensor:
    return tf.constant(value, tf.float32)
