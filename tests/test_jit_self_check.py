"""The compiler itself: one released jaxlib gives wrong results under `jit` on CPUs, without a word.

Each case is compiled by JAX and computed again by a plain loop in NumPy, at sizes odd enough to leave remainders in
vectorised loops.
"""

import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.smoke

BROKEN = "0.10.2"


@pytest.fixture(scope="module", autouse=True)
def _optimised() -> Iterator[None]:
    """Here programs are compiled as users compile them."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (7, 13, 5), (33, 65, 17), (128, 40, 200)])
def test_matrix_product(rows: int, inner: int, columns: int) -> None:
    a, b = normal(0, rows, inner), normal(1, inner, columns)
    expected = np.zeros((rows, columns))
    for k in range(inner):
        expected += np.outer(a[:, k].astype(np.float64), b[k])
    np.testing.assert_allclose(jax.jit(jnp.matmul)(a, b), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", [1, 5, 16, 30, 67])
def test_gated_recurrence(width: int) -> None:
    """A gated recurrence through `scan`, its gates stacked in one product as in an LSTM."""
    weights, inputs = normal(2, 4 * width, width) / np.sqrt(np.float32(width)), normal(3, 19, 4 * width)

    @jax.jit
    def compiled(weights: jax.Array, inputs: jax.Array) -> jax.Array:
        def step(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            h, c = carry
            i, f, g, o = jnp.split(x + weights @ h, 4)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        return jax.lax.scan(step, (jnp.zeros(width), jnp.zeros(width)), inputs)[1]

    h, c, expected = np.zeros(width), np.zeros(width), []
    for x in inputs:
        i, f, g, o = np.split(x + weights @ h, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        expected.append(h)
    np.testing.assert_allclose(compiled(weights, inputs), np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("slots", [3, 10, 129])
def test_soft_overwrite_recurrence(slots: int) -> None:
    """A memory that reads by softmax and overwrites what it read: reductions and outer products in one step."""
    memory, queries = normal(4, slots, 11), normal(5, 23, 11)

    @jax.jit
    def compiled(memory: jax.Array, queries: jax.Array) -> jax.Array:
        def step(memory: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
            z = jax.nn.softmax(memory @ q)[:, None]
            return memory * (1 - z) + z * q[None], (z * memory).sum(0)

        memory, reads = jax.lax.scan(step, memory, queries)
        return jnp.concatenate([memory, reads])

    rows, reads = memory.astype(np.float64), []
    for q in queries:
        scores = np.exp(rows @ q - (rows @ q).max())
        z = (scores / scores.sum())[:, None]
        reads.append((z * rows).sum(0))
        rows = rows * (1 - z) + z * q
    np.testing.assert_allclose(compiled(memory, queries), np.concatenate([rows, reads]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 9, 31, 200])
def test_scatter_and_gather(size: int) -> None:
    """Adds into repeated places, overwrites one row, and reads back in another order."""
    random = np.random.default_rng(6)
    places, order = random.integers(0, size, 3 * size), random.permutation(size)
    values, least = normal(7, 3 * size, 4), int(random.integers(size))

    @jax.jit
    def compiled(values: jax.Array, places: jax.Array, order: jax.Array, least: jax.Array) -> jax.Array:
        table = jnp.zeros((size, 4)).at[places].add(values)
        return table.at[least].set(0.5)[order]

    expected = np.zeros((size, 4))
    for place, value in zip(places, values, strict=True):
        expected[place] += value
    expected[least] = 0.5
    np.testing.assert_allclose(compiled(values, places, order, jnp.int32(least)), expected[order], **TOLERANCE)


def test_gradient_of_a_compiled_recurrence() -> None:
    """Backward through `scan`: h ← a ∘ h + x has the gradient Σ_t a^t, known in closed form."""
    a, steps = np.float32(0.9), 37

    def total(x: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, x: (a * h + x, None), jnp.zeros(3), x)[0].sum()

    gradient = jax.jit(jax.grad(total))(jnp.ones((steps, 3)))
    expected = [0.9 ** (steps - 1 - t) for t in range(steps)]
    np.testing.assert_allclose(gradient, np.tile(np.array(expected)[:, None], 3), rtol=1e-4)


@pytest.mark.parametrize("package", ["jax", "jaxlib"])
def test_broken_release_is_not_what_runs_here(package: str) -> None:
    assert version(package) != BROKEN


def test_pyproject_excludes_the_broken_release() -> None:
    path = Path(__file__).resolve().parents[1] / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    ranges = [r for group in groups for r in map(Requirement, group) if r.name in {"jax", "jaxlib"}]
    assert {r.name for r in ranges} == {"jax", "jaxlib"}
    for requirement in ranges:
        assert not requirement.specifier.contains(BROKEN), f"{requirement} allows {BROKEN}"
