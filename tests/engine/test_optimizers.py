from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.engine import optimizers
from pipeline.engine.optimizers import OPTIMIZERS, Rates
from pipeline.manifest import schedule

RNG = np.random.default_rng(1)
TARGET = RNG.uniform(-0.3, 1.3, (1, 6, 5, 3)).astype(np.float32)  # partly out of reach
CURVATURE = RNG.uniform(1.0, 400.0, TARGET.shape).astype(np.float32)


def quadratic(image: Any) -> tuple[Any, Any]:
    distance = image - TARGET
    loss = 0.5 * tf.reduce_sum(CURVATURE * distance**2)
    return tf.stack([loss, loss, 0.0, 0.0]), CURVATURE * distance


def rates(learning_rate: float = 0.02, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> Rates:
    return Rates(*(tf.constant(v, tf.float32) for v in (learning_rate, beta_1, beta_2, epsilon)))


def descend(name: str, steps: int, **settings: float) -> tuple[Any, list[float]]:
    optimizer = OPTIMIZERS[name]
    state = optimizer.start(tf.fill(TARGET.shape, 0.5), 50)
    losses = []
    for _ in range(steps):
        state, values = optimizer.step(quadratic, state, rates(**settings))
        losses.append(float(values[0]))
    return optimizer.result(state), losses


def test_adam_is_kerass_adam() -> None:
    import keras

    variable = keras.Variable(np.full(TARGET.shape, 0.5, np.float32))
    reference = keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, beta_2=0.999, epsilon=0.1)
    optimizer = OPTIMIZERS["adam"]
    state = optimizer.start(tf.fill(TARGET.shape, 0.5), 50)
    for _ in range(12):
        reference.apply([quadratic(variable.value)[1]], [variable])
        variable.assign(np.clip(variable.numpy(), 0, 1))
        state, _losses = optimizer.step(quadratic, state, rates(beta_1=0.99, epsilon=0.1))
    np.testing.assert_allclose(optimizer.result(state), variable.numpy(), atol=2e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_loss_is_the_one_before_the_first_update(name: str) -> None:
    _, losses = descend(name, 1)
    assert losses[0] == float(quadratic(tf.fill(TARGET.shape, 0.5))[0][0])


@pytest.mark.parametrize(("name", "steps"), [("adam", 300), ("lbfgs", 80)])
def test_the_minimum_within_the_bounds_is_found(name: str, steps: int) -> None:
    result, _ = descend(name, steps)
    np.testing.assert_allclose(result, np.clip(TARGET, 0, 1), atol=2e-3)


def test_lbfgs_accepts_no_rise_beyond_the_noise() -> None:
    optimizer = OPTIMIZERS["lbfgs"]
    state = optimizer.start(tf.fill(TARGET.shape, 0.5), 50)
    accepted = []
    for _ in range(30):
        state, _ = optimizer.step(quadratic, state, rates(learning_rate=0.5))  # a first step that overshoots
        accepted.append(float(quadratic(optimizer.result(state))[0][0]))
        assert accepted[-1] <= min(accepted) * (1 + optimizers.LBFGS.NOISE)
    assert accepted[-1] < 0.5 * accepted[0]


def test_lbfgs_goes_on_where_rounding_hides_the_decrease() -> None:
    def rounded(image: Any) -> tuple[Any, Any]:
        losses, gradient = quadratic(image)
        noise = 1e-4 * tf.sin(1e5 * tf.reduce_sum(image))
        return losses * (1.0 + noise), tf.cast(tf.cast(gradient, tf.bfloat16), tf.float32)

    optimizer = OPTIMIZERS["lbfgs"]
    state = optimizer.start(tf.fill(TARGET.shape, 0.5), 50)
    for _ in range(100):
        state, _ = optimizer.step(rounded, state, rates())
    np.testing.assert_allclose(optimizer.result(state), np.clip(TARGET, 0, 1), atol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_made_of_arrays_goes_on_as_if_nothing_had_been(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    state = optimizer.start(tf.fill(TARGET.shape, 0.5), 50)
    for step in range(16):
        if step == 9:
            state = optimizer.restore([tf.constant(part.numpy()) for part in state])
        state, _ = optimizer.step(quadratic, state, rates())
    np.testing.assert_array_equal(optimizer.result(state), descend(name, 16)[0])


def test_lbfgs_mends_what_is_smooth_as_soon_as_what_is_sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tf.image.resize(RNG.uniform(0.2, 0.8, (1, 3, 4, 3)).astype(np.float32), (48, 64), "bicubic")

    def bending(image: Any) -> tuple[Any, Any]:
        """Less curvature in what is smooth: the sum of the squared differences of neighbours, and a little of all."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            off = image - wanted
            down, right = off[:, 1:] - off[:, :-1], off[:, :, 1:] - off[:, :, :-1]
            loss = tf.reduce_sum(down**2) + tf.reduce_sum(right**2) + 1e-3 * tf.reduce_sum(off**2)
        return tf.stack([loss, loss, 0.0, 0.0]), tape.gradient(loss, image)

    def steps_to_a_thousandth() -> int:
        optimizer = optimizers.LBFGS()
        state = optimizer.start(tf.fill(wanted.shape, 0.5), 50)
        step = tf.function(lambda state: optimizer.step(bending, state, rates()))
        first = float(bending(state.image)[0][0])
        for count in range(1, 200):
            state, losses = step(state)
            if losses[0] < 1e-3 * first:
                return count
        return 200

    taken = steps_to_a_thousandth()
    monkeypatch.setattr(optimizers.LBFGS, "COARSER_WEIGHT", 0.0)
    assert taken < 0.7 * steps_to_a_thousandth() < 140


def test_lbfgs_mends_what_is_easy_to_bend_as_if_nothing_were_stiff() -> None:
    """Where a tenth bends a hundred times as much, and is said to."""
    wanted = tf.constant(np.random.default_rng(0).uniform(0.2, 0.8, (1, 40, 48, 3)).astype(np.float32))
    stiff = np.zeros((1, 40, 48, 1), np.float32)
    stiff[:, :12, :16] = 1.0

    def bending(image: Any) -> tuple[Any, Any]:
        off = image - wanted
        loss = 0.5 * tf.reduce_sum((1.0 + 99.0 * stiff) * off**2)
        return tf.stack([loss, loss, 0.0, 0.0]), (1.0 + 99.0 * stiff) * off

    def left_of_the_rest(mobility: list[Any]) -> float:
        """After twenty steps, of what there was to mend."""
        optimizer = optimizers.LBFGS()
        state = optimizer.start(tf.fill(wanted.shape, 0.5), 50)
        step = tf.function(lambda state: optimizer.step(bending, state, rates()._replace(mobility=mobility)))
        for _ in range(20):
            state, _ = step(state)
        found, before = (tf.reduce_sum((1.0 - stiff) * (i - wanted) ** 2) for i in (optimizer.result(state), 0.5))
        return float(found / before)

    assert left_of_the_rest([tf.constant(1.0 - 0.9 * stiff)]) < 0.1 * left_of_the_rest([])


@pytest.mark.parametrize("pairs", [schedule.FEWER_PAIRS, 1])
def test_a_large_pictures_lbfgs_copies_less_and_makes_the_same_steps(
    monkeypatch: pytest.MonkeyPatch, pairs: int
) -> None:
    monkeypatch.setattr(optimizers, "lbfgs_pairs", lambda height, width, steps: pairs)

    def states() -> list[Any]:
        optimizer = optimizers.LBFGS()
        step = tf.function(lambda state: optimizer.step(quadratic, state, rates(learning_rate=0.5)))
        found = [optimizer.start(tf.fill(TARGET.shape, 0.5), 50)]
        for _ in range(12):
            found.append(step(found[-1])[0])
        return found

    forwarded = states()
    assert {bool(after.loss < before.loss) for before, after in itertools.pairwise(forwarded)} == {True, False}
    shared = [np.shares_memory(after.accepted, before.image) for before, after in itertools.pairwise(forwarded)]
    assert shared == [bool(after.loss < before.loss) for before, after in itertools.pairwise(forwarded)]
    monkeypatch.setattr(optimizers, "_forwarded", tf.where)
    for one, other in zip(forwarded, states(), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def two_loops(direction: Any, pairs: list[tuple[Any, Any]], first_guess: Any) -> Any:
    """Algorithm 7.4 as it is written (Nocedal and Wright); pairs of a move and a turn, oldest first."""
    factors = []
    for move, turn in reversed(pairs):
        factors.append(np.sum(move * direction) / np.sum(move * turn))
        direction = direction - factors[-1] * turn
    direction = first_guess(direction)
    for (move, turn), factor in zip(pairs, reversed(factors), strict=True):
        direction = direction + (factor - np.sum(turn * direction) / np.sum(move * turn)) * move
    return direction


@pytest.mark.parametrize("pairs", [schedule.PAIRS, schedule.FEWER_PAIRS, 1])
def test_lbfgs_by_products_is_the_two_loops_over_fifty_steps(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr(optimizers, "lbfgs_pairs", lambda height, width, steps: pairs)
    compared = []
    by_products = optimizers._inverse_hessian

    def beside(direction: Any, moves: Any, turns: Any, oldest: Any, first_guess: Any) -> Any:
        found = by_products(direction, moves, turns, oldest, first_guess)
        begins = int(np.argmax(oldest))
        order = [(begins + rank) % pairs for rank in range(pairs)]
        exact = [np.asarray(history, np.float64).reshape(-1, *TARGET.shape) for history in (moves, turns)]
        remembered = [(exact[0][slot], exact[1][slot]) for slot in order if np.any(exact[0][slot])]

        def guess(image: Any) -> Any:
            return np.asarray(first_guess(tf.constant(image, tf.float32)), np.float64)

        expected = two_loops(np.asarray(direction, np.float64), remembered, guess)
        compared.append((len(remembered), np.linalg.norm(found - expected) / np.linalg.norm(expected)))
        return found

    monkeypatch.setattr(optimizers, "_inverse_hessian", beside)

    def bent(image: Any) -> tuple[Any, Any]:
        """No quadratic, whose minimum would be reached before the fifty steps are done."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            off = image - TARGET
            loss = tf.reduce_sum(CURVATURE * off**2) + tf.reduce_sum(tf.sin(9.0 * image)) + 99 * tf.reduce_sum(off**4)
        return tf.stack([loss, loss, 0.0, 0.0]), tape.gradient(loss, image)

    optimizer = optimizers.LBFGS()
    state = optimizer.start(tf.fill(TARGET.shape, 0.5), 50)
    for _ in range(50):
        state, _losses = optimizer.step(bent, state, rates())
    assert [count for count, _ in compared[:3]] == [0, 1, min(2, pairs)]
    assert sum(count == pairs for count, _ in compared) >= 25
    assert max(error for _, error in compared) < 1e-3, compared


def test_lbfgs_takes_up_grain_last() -> None:
    """Its first guess moves a pattern of single pixels less than a third as far as one of eight pixels."""
    y, x = np.mgrid[0:32, 0:48]

    def gain(pattern: Any) -> float:
        pixels = tf.constant(np.repeat(pattern[None, ..., None], 3, -1), tf.float32)
        return float(tf.reduce_sum(optimizers._preconditioned(pixels) * pixels) / tf.reduce_sum(pixels * pixels))

    checkerboard = gain((-1.0) ** (x + y))
    assert 0.1 < checkerboard < gain(np.sin(2 * np.pi * x / 8)) / 3
