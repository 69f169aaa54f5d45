"""Convolutions with a kernel for all images, and with a kernel for each task under `vmap`."""

import itertools
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fastslow.models.convolution import convolve, correlate

pytestmark = pytest.mark.usefixtures("double")

TASKS, IMAGES, SIZE, IN, OUT = 3, 2, 5, 2, 4


def arrays(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def naive(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The sum as it stands in the docstring, pixel by pixel."""
    images, height, width, _ = x.shape
    y = np.zeros((images, height, width, kernel.shape[3]))
    for n, i, j, a, b in np.ndindex(images, height, width, 3, 3):
        row, column = i + a - 1, j + b - 1
        if 0 <= row < height and 0 <= column < width:
            y[n, i, j] += x[n, row, column] @ kernel[a, b]
    return y


def naive_gradient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    images, height, width, _ = x.shape
    kernel = np.zeros((3, 3, x.shape[3], y.shape[3]))
    for n, i, j, a, b in np.ndindex(images, height, width, 3, 3):
        row, column = i + a - 1, j + b - 1
        if 0 <= row < height and 0 <= column < width:
            kernel[a, b] += np.outer(x[n, row, column], y[n, i, j])
    return kernel


X, KERNEL, Y = arrays(0, (TASKS, IMAGES, SIZE, SIZE, IN), (TASKS, 3, 3, IN, OUT), (TASKS, IMAGES, SIZE, SIZE, OUT))
PAIRS: dict[str, tuple[Callable, Callable, np.ndarray, np.ndarray]] = {
    "convolve": (convolve, naive, X, KERNEL),
    "correlate": (correlate, naive_gradient, X, Y),
}


@pytest.mark.parametrize("name", PAIRS)
def test_sums_are_those_of_loops_over_pixels(name: str) -> None:
    function, twin, left, right = PAIRS[name]
    np.testing.assert_allclose(
        function(jnp.asarray(left[0]), jnp.asarray(right[0])), twin(left[0], right[0]), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
def test_each_task_gets_its_own_sums(name: str, axes: tuple[int | None, int | None]) -> None:
    function, twin, left, right = PAIRS[name]
    given = [array if axis == 0 else array[0] for array, axis in zip((left, right), axes, strict=True)]
    found = jax.vmap(function, axes)(*map(jnp.asarray, given))
    for task in range(TASKS):
        one = [array[task] if axis == 0 else array for array, axis in zip(given, axes, strict=True)]
        np.testing.assert_allclose(found[task], twin(*one), rtol=1e-10, atol=1e-10)


def test_seeds_of_tasks_get_their_own_sums() -> None:
    """A `vmap` within a `vmap`: kernels differ along the outer one, along the inner one, or along both."""
    x = jnp.stack([X, 2 * X])
    for outer, inner in itertools.product((None, 0), repeat=2):
        kernel = KERNEL if inner == 0 else KERNEL[0]
        kernel = jnp.stack([kernel, -kernel]) if outer == 0 else jnp.asarray(kernel)
        found = jax.vmap(jax.vmap(convolve, (0, inner)), (0, outer))(x, kernel)
        for seed, task in np.ndindex(2, TASKS):
            one = kernel[seed] if outer == 0 else kernel
            one = one[task] if inner == 0 else one
            np.testing.assert_allclose(found[seed, task], naive(x[seed, task], one), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("tasks", [False, True], ids=["shared", "each"])
def test_gradients_of_gradients_are_finite_differences(name: str, tasks: bool) -> None:
    function, _, left, right = PAIRS[name]
    given = (jnp.asarray(left), jnp.asarray(right)) if tasks else (jnp.asarray(left[0]), jnp.asarray(right[0]))
    whole = jax.jit(jax.vmap(function) if tasks else function)
    bent = lambda a, b: jnp.tanh(0.3 * whole(a, b))
    check_grads(bent, given, order=2, modes=["rev"], rtol=1e-6, eps=1e-5)


def test_steps_on_kernels_have_the_gradient_of_unrolled_tasks() -> None:
    """As MAML takes them: one inner step in each task, from kernels that all share."""
    plain = partial(jax.lax.conv_general_dilated, window_strides=(1, 1), padding="SAME")

    def lax(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return plain(x, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def loss(conv: Callable, kernel: jax.Array, x: jax.Array) -> jax.Array:
        inner = lambda k: jnp.mean(jnp.tanh(conv(x, k)) ** 2)
        return inner(kernel - 0.3 * jax.grad(inner)(kernel))

    xs, kernel = jnp.asarray(X), jnp.asarray(KERNEL[0])
    batched = jax.grad(lambda k: jnp.mean(jax.vmap(partial(loss, convolve, k))(xs)))(kernel)
    unrolled = jax.grad(lambda k: jnp.mean(jnp.stack([loss(lax, k, x) for x in xs])))(kernel)
    np.testing.assert_allclose(batched, unrolled, rtol=1e-10, atol=1e-10)
