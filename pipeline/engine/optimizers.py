"""Optimizers of an image in [0, 1]: pure functions from one state of tensors to the next, one evaluation a step.

Each has ``start(image, steps)``, ``step(evaluate, state, rates)`` and ``result(state)``. A state is a tuple of float32
tensors (``image`` first), so a checkpoint is the list of its arrays. ``evaluate(image)`` gives ``(losses, gradient)``,
where ``losses[0]`` is the total.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from pipeline.engine.roots import Tensor
from pipeline.manifest.schedule import PAIRS, lbfgs_pairs

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
FirstGuess = Callable[[Tensor], Tensor]


class Rates(NamedTuple):
    """Float32 scalars that steer a step, and maps; tensors, so that other values need no other graph."""

    learning_rate: Tensor
    beta_1: Tensor
    beta_2: Tensor
    epsilon: Tensor
    mobility: Sequence[Tensor] = ()  # [1, H, W, 1] in (0, 1], ``objective.mobility``; empty where all are as mobile


class Optimizer(Protocol):
    """What ``stylize`` needs of an optimizer. A state is a tuple of its own kind."""

    def start(self, image: Tensor, steps: int) -> Any:
        """The state before the first of so many steps, from an image ``[1, H, W, 3]``."""

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

    def start(self, image: Tensor, steps: int) -> AdamState:
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
    moves: Tensor  # [pairs, H·W·3], in a ring
    turns: Tensor  # the gradient's changes over these moves
    oldest: Tensor  # [pairs], 1 for the pair that the next one replaces, 0 for the others
    scale: Tensor  # of the first guess of the inverse Hessian, by the newest pair; 0 before there is one


class LBFGS:
    """L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.4) with backtracking, projected on [0, 1].

    A trial point that lowers the loss enough is accepted and gives a new direction; another halves the step. Each step
    is one evaluation either way, and both ways are computed: a GPU would have to wait for the answer. Of a picture so
    large that its history is short, what is taken is handed on without a copy. Pixels that are held by a bound do not
    move. Enough is Armijo's condition, less ``NOISE`` times the loss (Berahas, Byrd and Nocedal 2019,
    https://arxiv.org/abs/1803.10173): bfloat16's rounding hides the last small decreases, and a search that insisted on
    them would halve its step for ever.

    The first guess of the inverse Hessian is a sum over coarser scales (Bramble, Pasciak and Xu 1990,
    https://doi.org/10.2307/2008789), as the loss bends less in a coarse detail of the image than in a fine one. Of
    details of single pixels a fifth is left in it: most of what the gradient says of them is grain. Where the loss
    bends more it guesses less, by the square of ``Rates.mobility``: the search is that of pixels in larger units.
    """

    SUFFICIENT_DECREASE = 1e-4
    NOISE = 1e-3
    COARSER_SCALES = 4
    COARSER_WEIGHT = 1.5  # 1 to 2 serve about as well; 3 is worse than none
    GRAIN = 0.8  # of single pixels' details, which is held back

    def start(self, image: Tensor, steps: int) -> LBFGSState:
        zeros, zero = tf.zeros_like(image), tf.zeros([])
        pairs = lbfgs_pairs(image.shape[1], image.shape[2], steps)
        history = tf.zeros([pairs, math.prod(image.shape)])
        infinity = tf.constant(float("inf"))
        oldest = tf.one_hot(0, pairs)
        return LBFGSState(image, image, zeros, infinity, zeros, zero, history, history, oldest, zero)

    def restore(self, arrays: list[Tensor]) -> LBFGSState:
        return LBFGSState(*arrays)

    def step(self, evaluate: Evaluate, state: LBFGSState, rates: Rates) -> tuple[LBFGSState, Tensor]:
        either = tf.where if state.oldest.shape[0] == PAIRS else _forwarded
        losses, gradient = evaluate(state.image)

        def preconditioned(image: Tensor) -> Tensor:
            return _scaled(_preconditioned(_scaled(image, rates.mobility)), rates.mobility)

        move, turn = state.image - state.accepted, gradient - state.gradient
        # Infinite before the first evaluation, which is accepted as it comes.
        bound = state.loss * (1.0 + self.NOISE) + self.SUFFICIENT_DECREASE * _dot(state.gradient, move)
        accepts = losses[0] <= bound
        bend = _dot(move, turn)
        bends_upward = bend > 1e-6 * tf.sqrt(_dot(move, move) * _dot(turn, turn))
        remembers = accepts & bends_upward & tf.math.is_finite(state.loss)
        oldest = tf.where(remembers, tf.roll(state.oldest, 1, 0), state.oldest)
        moves = _remembered(state.moves, move, state.oldest, remembers)
        turns = _remembered(state.turns, turn, state.oldest, remembers)
        scale = tf.where(remembers, tf.math.divide_no_nan(bend, _dot(turn, preconditioned(turn))), state.scale)
        factor = tf.where(scale > 0.0, scale, 1.0)

        with tf.control_dependencies([scale]):  # what that took is free again
            held = ((state.image <= 0.0) & (gradient > 0.0)) | ((state.image >= 1.0) & (gradient < 0.0))
            steepest = tf.where(held, 0.0, -gradient)
        found = _inverse_hessian(
            steepest, moves, turns, oldest, first_guess=lambda image: factor * preconditioned(image)
        )
        direction = tf.where(held, 0.0, found)
        descends = _dot(direction, gradient) < 0.0
        direction = either(descends, direction, steepest)
        # Without curvature nothing tells the length: move the pixels by the learning rate on average.
        first = rates.learning_rate / (tf.reduce_mean(tf.abs(direction)) + 1e-30)
        length = tf.where((scale > 0.0) & descends, 1.0, first)

        accepted = either(accepts, state.image, state.accepted)
        direction = either(accepts, direction, state.direction)
        length = tf.where(accepts, length, 0.5 * state.length)
        state = LBFGSState(
            image=tf.clip_by_value(accepted + length * direction, 0.0, 1.0),
            accepted=accepted,
            gradient=either(accepts, gradient, state.gradient),
            loss=tf.where(accepts, tf.minimum(state.loss, losses[0]), state.loss),
            direction=direction,
            length=length,
            moves=moves,
            turns=turns,
            oldest=oldest,
            scale=scale,
        )
        return state, losses

    def result(self, state: LBFGSState) -> Tensor:
        return state.accepted


def _forwarded(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """One of two tensors, and no copy of it, for which a GPU has to wait for the answer."""
    return tf.cond(condition, lambda: yes, lambda: no)


def _remembered(history: Tensor, newest: Tensor, oldest: Tensor, remembers: Tensor) -> Tensor:
    """A history ``[pairs, N]``, in which the newest replaces the oldest if it is to be remembered."""
    row = tf.reshape(newest, [1, -1])
    if history.shape[0] == 1:
        return _forwarded(remembers, row, history)
    return tf.where(((oldest > 0.0) & remembers)[:, None], row, history)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return tf.reduce_sum(a * b)


def _inverse_hessian(
    direction: Tensor, moves: Tensor, turns: Tensor, oldest: Tensor, first_guess: FirstGuess
) -> Tensor:
    """The two loops of algorithm 7.4: the inverse Hessian's estimate from (move, turn) pairs, times ``direction``.

    Each loop is a triangular system of ten numbers, the long vectors being read by products alone (cf. Chen et al.
    2014, "Large-scale L-BFGS using MapReduce"). With s and y the moves and turns, oldest first, R the upper triangle of
    ``s_i·y_j`` and D its diagonal: the first loop leaves ``q = g − Σ a_i y_i`` with ``a = R⁻¹ (s·g)``, the second makes
    ``r + Σ c_i s_i`` of the first guess ``r`` with ``c = R⁻ᵀ (D a − y·r)``. Pairs of zeros count for nothing.

    Args:
        direction: ``[1, H, W, 3]``.
        moves: ``[pairs, H·W·3]``, in a ring.
        turns: likewise.
        oldest: ``[pairs]``, 1 where the ring begins, else 0.
        first_guess: of the inverse Hessian, times an image.
    """
    slots = np.arange(oldest.shape[0])
    # [k, j]: which entry of ``oldest`` is 1 if slot j of the ring has the pair of rank k, the oldest being of rank 0.
    in_order = tf.gather(oldest, (slots - slots[:, None]) % len(slots))
    products = in_order @ tf.matmul(tf.matmul(moves, turns, transpose_b=True), in_order, transpose_b=True)
    bends = tf.linalg.diag_part(products)
    # Of a pair of zeros the row says that nothing is nothing.
    triangle = tf.linalg.band_part(products, 0, -1) + tf.linalg.diag(tf.cast(bends == 0.0, tf.float32))

    def along(history: Tensor, image: Tensor) -> Tensor:
        return in_order @ tf.matmul(history, tf.reshape(image, [-1, 1]))

    def combined(history: Tensor, factors: Tensor) -> Tensor:
        return tf.reshape(tf.matmul(tf.matmul(factors, in_order, transpose_a=True), history), tf.shape(direction))

    first = tf.linalg.triangular_solve(triangle, along(moves, direction), lower=False)
    direction = first_guess(direction - combined(turns, first))
    second = tf.linalg.triangular_solve(
        triangle, bends[:, None] * first - along(turns, direction), lower=False, adjoint=True
    )
    return direction + combined(moves, second)


def _scaled(image: Tensor, mobility: Sequence[Tensor]) -> Tensor:
    return math.prod(mobility, start=image)


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
