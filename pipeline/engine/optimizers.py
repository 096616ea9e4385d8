"""Optimizers of an image in [0, 1]: pure functions from one state of tensors to the next, one evaluation a step.

Each has ``start(image)``, ``step(evaluate, state, rates)`` and ``result(state)``. A state is a tuple of float32 tensors
(``image`` first), so a checkpoint is the list of its arrays. ``evaluate(image)`` gives ``(losses, gradient)``, where
``losses[0]`` is the total.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from pipeline.engine.objective import Tensor

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


class Rates(NamedTuple):
    """Float32 scalars that steer a step; tensors, so that other values need no other graph."""

    learning_rate: Tensor
    beta_1: Tensor
    beta_2: Tensor
    epsilon: Tensor


class Optimizer(Protocol):
    """What ``stylize`` needs of an optimizer. A state is a tuple of its own kind."""

    def start(self, image: Tensor) -> Any:
        """The state before the first step, from an image ``[1, H, W, 3]``."""

    def restore(self, arrays: list[Tensor]) -> Any:
        """A state from the list of its tensors."""

    def step(self, evaluate: Evaluate, state: Any, rates: Rates) -> tuple[Any, Tensor]:
        """The next state, and the losses at the image of ``state``."""

    def result(self, state: Any) -> Tensor:
        """The picture that ``state`` stands for."""


class AdamState(NamedTuple):
    """The image, the decaying means of its gradient and of the squares, and the steps done."""

    image: Tensor
    first_moment: Tensor
    second_moment: Tensor
    count: Tensor


class Adam:
    """Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980) in Keras's form, where ε is added to √v̂ before the
    bias correction; the image is clipped to [0, 1] after each update."""

    def start(self, image: Tensor) -> AdamState:
        return AdamState(image, tf.zeros_like(image), tf.zeros_like(image), tf.zeros([], tf.float32))

    def restore(self, arrays: list[Tensor]) -> AdamState:
        return AdamState(*arrays)

    def step(self, evaluate: Evaluate, state: AdamState, rates: Rates) -> tuple[AdamState, Tensor]:
        losses, gradient = evaluate(state.image)
        count = state.count + 1.0
        first = state.first_moment + (gradient - state.first_moment) * (1.0 - rates.beta_1)
        second = state.second_moment + (tf.square(gradient) - state.second_moment) * (1.0 - rates.beta_2)
        correction = tf.sqrt(1.0 - tf.pow(rates.beta_2, count)) / (1.0 - tf.pow(rates.beta_1, count))
        update = rates.learning_rate * correction * first / (tf.sqrt(second) + rates.epsilon)
        image = tf.clip_by_value(state.image - update, 0.0, 1.0)
        return AdamState(image, first, second, count), losses

    def result(self, state: AdamState) -> Tensor:
        return state.image


class LBFGSState(NamedTuple):
    """A line search under way, and the history that its direction came from."""

    image: Tensor  # the trial point, evaluated by the next step
    accepted: Tensor  # the newest point that was kept, with its gradient
    gradient: Tensor
    loss: Tensor  # the lowest so far
    direction: Tensor
    length: Tensor
    moves: Tensor  # [PAIRS, 1, H, W, 3], newest last
    turns: Tensor  # the gradient's changes over these moves


class LBFGS:
    """L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.4) with backtracking, projected on [0, 1].

    A trial point that lowers the loss enough is accepted and gives a new direction; another halves the step. Each step
    is one evaluation either way. Pixels that are held by a bound do not move. Enough is Armijo's condition, less
    ``NOISE`` times the loss (Berahas, Byrd and Nocedal 2019, https://arxiv.org/abs/1803.10173): bfloat16's rounding
    hides the last small decreases, and a search that insisted on them would halve its step for ever.

    The first guess of the inverse Hessian is a sum over coarser scales (Bramble, Pasciak and Xu 1990,
    https://doi.org/10.2307/2008789), as the loss bends less in a coarse detail of the image than in a fine one. Of
    details of single pixels a fifth is left in it: most of what the gradient says of them is grain.
    """

    PAIRS = 10
    SUFFICIENT_DECREASE = 1e-4
    NOISE = 1e-3
    COARSER_SCALES = 4
    COARSER_WEIGHT = 1.5  # 1 to 2 serve about as well; 3 is worse than none
    GRAIN = 0.8  # of single pixels' details, which is held back

    def start(self, image: Tensor) -> LBFGSState:
        zeros = tf.zeros_like(image)
        history = tf.zeros([self.PAIRS, *image.shape], tf.float32)
        infinity = tf.constant(float("inf"))
        return LBFGSState(image, image, zeros, infinity, zeros, tf.zeros([]), history, history)

    def restore(self, arrays: list[Tensor]) -> LBFGSState:
        return LBFGSState(*arrays)

    def step(self, evaluate: Evaluate, state: LBFGSState, rates: Rates) -> tuple[LBFGSState, Tensor]:
        losses, gradient = evaluate(state.image)
        move = state.image - state.accepted
        # Infinite before the first evaluation, which is accepted as it comes.
        bound = state.loss * (1.0 + self.NOISE) + self.SUFFICIENT_DECREASE * _dot(state.gradient, move)
        state = tf.cond(
            losses[0] <= bound,
            lambda: self._accept(state, losses[0], gradient, move, rates.learning_rate),
            lambda: self._retreat(state),
        )
        return state, losses

    def result(self, state: LBFGSState) -> Tensor:
        return state.accepted

    def _accept(
        self, state: LBFGSState, loss: Tensor, gradient: Tensor, move: Tensor, learning_rate: Tensor
    ) -> LBFGSState:
        turn = gradient - state.gradient
        bends_upward = tf.logical_and(
            tf.math.is_finite(state.loss), _dot(move, turn) > 1e-6 * tf.sqrt(_dot(move, move) * _dot(turn, turn))
        )
        moves, turns = tf.cond(
            bends_upward,
            lambda: (tf.concat([state.moves[1:], move[None]], 0), tf.concat([state.turns[1:], turn[None]], 0)),
            lambda: (state.moves, state.turns),
        )
        held = ((state.image <= 0.0) & (gradient > 0.0)) | ((state.image >= 1.0) & (gradient < 0.0))
        free = tf.cast(~held, tf.float32)
        steepest = -gradient * free
        direction = _two_loop(steepest, moves, turns) * free
        has_history = _dot(moves[-1], moves[-1]) > 0.0
        descends = _dot(direction, gradient) < 0.0
        direction = tf.where(descends, direction, steepest)
        # Without curvature nothing tells the length: move the pixels by the learning rate on average.
        first = learning_rate / (tf.reduce_mean(tf.abs(direction)) + 1e-30)
        length = tf.where(tf.logical_and(has_history, descends), 1.0, first)
        image = tf.clip_by_value(state.image + length * direction, 0.0, 1.0)
        lowest = tf.minimum(state.loss, loss)
        return LBFGSState(image, state.image, gradient, lowest, direction, length, moves, turns)

    def _retreat(self, state: LBFGSState) -> LBFGSState:
        length = state.length * 0.5
        image = tf.clip_by_value(state.accepted + length * state.direction, 0.0, 1.0)
        return state._replace(image=image, length=length)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return tf.reduce_sum(a * b)


def _two_loop(direction: Tensor, moves: Tensor, turns: Tensor) -> Tensor:
    """The inverse Hessian's estimate from (move, turn) pairs, times ``direction``; pairs of zeros count for nothing."""
    pairs = [(moves[i], turns[i]) for i in range(LBFGS.PAIRS)]
    factors = []
    for move, turn in reversed(pairs):
        inverse_curvature = tf.math.divide_no_nan(1.0, _dot(move, turn))
        factor = inverse_curvature * _dot(move, direction)
        direction = direction - factor * turn
        factors.append((inverse_curvature, factor))
    newest_move, newest_turn = pairs[-1]
    direction, preconditioned_turn = _preconditioned(direction), _preconditioned(newest_turn)
    scale = tf.math.divide_no_nan(_dot(newest_move, newest_turn), _dot(newest_turn, preconditioned_turn))
    direction = direction * tf.where(scale > 0.0, scale, 1.0)
    for (move, turn), (inverse_curvature, factor) in zip(pairs, reversed(factors), strict=True):
        direction = direction + move * (factor - inverse_curvature * _dot(turn, direction))
    return direction


def _preconditioned(image: Tensor) -> Tensor:
    """The first guess of the inverse Hessian, times ``image``."""
    return _with_coarser_scales(image) - LBFGS.GRAIN * (image - _smoothed(image))


def _smoothed(image: Tensor) -> Tensor:
    """Each pixel's mean with its neighbours, weighed 1 : 2 : 1 in x and y."""
    padded = tf.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return tf.nn.avg_pool2d(tf.nn.avg_pool2d(padded, 2, 1, "VALID"), 2, 1, "VALID")


def _with_coarser_scales(image: Tensor, scales: int = LBFGS.COARSER_SCALES) -> Tensor:
    """``x + w·U(A x + w·U(A …))``: with averages A over 2×2 pixels, enlarged again by U; the coarser, the heavier."""
    if scales == 0:
        return image
    coarser = _with_coarser_scales(tf.nn.avg_pool2d(image, 2, 2, "SAME"), scales - 1)
    return image + LBFGS.COARSER_WEIGHT * tf.image.resize(coarser, tf.shape(image)[1:3], "bilinear")


OPTIMIZERS: dict[str, Optimizer] = {"adam": Adam(), "lbfgs": LBFGS()}
