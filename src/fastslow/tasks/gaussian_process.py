"""Streams of values of one unknown function, drawn from a Gaussian process whose settings are fixed and known.

The regression of mann section 4.3. The true process is at hand to compare with: `posterior` is what it says of any
place after some values, `sequential_nll` minus the log density of each value of a stream, given those before it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from .._checks import Described, bad, check_choice, check_positive, check_size
from .._typing import Key
from ..metrics import LOG_LIKELIHOOD, Axis
from .base import AbstractTask, AbstractTaskConfig, Inputs, SequenceEpisode, TaskSpec, TaskSplits
from .digest import QUICK, SCHEME, draws_digest, reference
from .targets import Gaussian

SPLITS = ("train", "validation", "test")
SCALES = {1: 0.5, 2: 1.5, 3: 3.0}
"""Length scale of the kernel by the number of dimensions, where none is asked for."""
SEEN = (0, 10, 20, 50, 99)
"""Values seen before one is predicted, at which results give the log likelihood."""
_REFERENCE = 5
"""Key of the reference draws, such that none is near to a place where rounding changes."""
EPSILON = float(jnp.finfo(jnp.float32).eps)


@dataclass(frozen=True)
class GaussianProcessConfig(AbstractTaskConfig):
    """The process and the stream. The paper states none of it, so all of it is our choice.

    By default 20 values leave much of the range open in one dimension, as in the paper's Figure 5, and 100 values leave
    little of it open in two or three: the true posterior's deviation, as a mean over the range, is 0.24, 0.49, 0.46
    after 20 values and 0.04, 0.08, 0.11 after 100, for one, two and three dimensions and functions of deviation 1.
    """

    dimensions: int = 1
    """Numbers of an input: 1, 2 or 3."""
    length: int = 100
    """Steps of an episode, each with an input of its own."""
    scale: float | None = None
    """Length scale of the kernel; without it 0.5 in one dimension, 1.5 in two, 3 in three."""
    variance: float = 1.0
    """Variance of a function's values over all functions."""
    jitter: float = 1e-3
    """Variance of the noise on each value. It also keeps the covariance of near inputs from being singular."""
    reach: float = 5.0
    """Inputs are uniform in [-reach, reach] in each dimension."""
    kind: Literal["gaussian-process"] = "gaussian-process"
    """Values of an unknown function, one after the other."""

    @property
    def spec(self) -> TaskSpec:
        """What is known of the task before it is built."""
        check_sizes(self)
        seen = Axis("seen", tuple(k for k in SEEN if k < self.length))
        metrics = (LOG_LIKELIHOOD, LOG_LIKELIHOOD.along(seen))
        return TaskSpec(self.kind, "sequence", (self.dimensions,), Gaussian(), label=1, metrics=metrics)

    def build(self) -> TaskSplits:
        """Builds the tasks over three streams of functions.

        Raises:
            UserError: a size not above 0, dimensions other than 1 to 3, or a jitter too small for the length.
        """
        train, validation, test = (GaussianProcessTask(self, split) for split in SPLITS)
        numbers = (self.length_scale, self.variance, self.jitter, self.reach)
        digest = draws_digest(reference_draws(), (int(self.dimensions), *map(float, numbers)))
        return TaskSplits(train, validation, test, self.kind, "a stream of keys each", digest, SCHEME)

    @property
    def length_scale(self) -> float:
        """The kernel's length scale, asked for or not."""
        return SCALES[self.dimensions] if self.scale is None else self.scale


class GaussianProcessTask(AbstractTask[SequenceEpisode]):
    """Episodes of one function each: inputs in random places, and what the function is there.

    There are no classes that a split could hold back. Each split folds a number of its own into every key, so that no
    two of them draw from the same stream of random numbers.

    Attributes:
        config: the process and the stream.
        split: `train`, `validation` or `test`.
    """

    sequential: ClassVar[bool] = True

    config: GaussianProcessConfig = eqx.field(static=True)
    split: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        _check(self.config, self.config.length)

    def sample(self, key: Key, step: Int[Array, ""]) -> SequenceEpisode:
        """Draws a function and the places at which it is shown.

        Args:
            key: randomness of this episode alone.
            step: not used; there is no curriculum.

        Returns:
            Inputs `[time, dimensions]` with the value before each, zero at first; targets `[time, 1]`. The labelled
            axis counts the values seen before.
        """
        del step
        config = self.config
        input_key, value_key = jax.random.split(jax.random.fold_in(key, SPLITS.index(self.split)))
        shape = (config.length, config.dimensions)
        xs = jax.random.uniform(input_key, shape, minval=-config.reach, maxval=config.reach)
        # L n has the covariance L Lᵀ where n is white
        white = jax.random.normal(value_key, (config.length, 1))
        values = jnp.matmul(_factor(config, xs), white, precision=jax.lax.Precision.HIGHEST)
        before = jnp.concatenate([jnp.zeros_like(values[:1]), values[:-1]])
        steps = jnp.arange(config.length)
        return SequenceEpisode(Inputs(xs, before), values, mask=steps >= 0, axis_index=steps)


def kernel(
    config: GaussianProcessConfig, a: Float[Array, "seen dimensions"], b: Float[Array, "asked dimensions"]
) -> Float[Array, "seen asked"]:
    """Squared-exponential covariance `v exp(−‖a − b‖² / 2s²)` of the function at two sets of places."""
    squares = jnp.sum((a[:, None] - b[None]) ** 2, axis=2)
    return config.variance * jnp.exp(-0.5 * squares / config.length_scale**2)


def posterior(
    config: GaussianProcessConfig,
    seen_x: Float[Array, "seen dimensions"],
    seen_y: Float[Array, " seen"],
    asked_x: Float[Array, "asked dimensions"],
) -> tuple[Float[Array, " asked"], Float[Array, " asked"]]:
    """What the true process says of other places, each by itself, after some values.

    `μ = kᵀ (K + jI)⁻¹ y` and `σ² = v + j − kᵀ (K + jI)⁻¹ k` with variance `v` and jitter `j`. The deviation is that of
    a value as a stream shows it, noise included, so that a value of a stream has this density.

    Args:
        config: the process.
        seen_x: places of known values; there may be none.
        seen_y: the values.
        asked_x: places asked about.

    Returns:
        Mean and standard deviation at each place asked about.

    Raises:
        UserError: settings that are none, among them a jitter too small for so many values.
    """
    _check(config, seen_x.shape[0], seen_x, asked_x)
    factor = _factor(config, seen_x)
    explained = solve_triangular(factor, kernel(config, seen_x, asked_x), lower=True)
    white = solve_triangular(factor, seen_y, lower=True)
    mean = jnp.matmul(white, explained, precision=jax.lax.Precision.HIGHEST)
    # at least the jitter, which `_check` keeps well above what rounding takes away
    variance = config.variance + config.jitter - jnp.sum(explained**2, axis=0)
    return mean, jnp.sqrt(variance)


def sequential_nll(
    config: GaussianProcessConfig, xs: Float[Array, "time dimensions"], ys: Float[Array, " time"]
) -> Float[Array, " time"]:
    """`−log p(y_t | x_{1:t}, y_{1:t−1})` of the true process at each step, in nats; on average no learner has less.

    One Cholesky factor gives all of them. With `K + jI = L Lᵀ` and `n = L⁻¹ y`, row `t` of `y = L n` says
    `y_t = Σ_{s<t} L_ts n_s + L_tt n_t`. The sum is fixed by the values before `t`, and `n_t` is a standard normal
    number independent of them, so the sum is the mean and `L_tt` the deviation of `y_t` given its past.

    Args:
        config: the process.
        xs: the inputs of a stream.
        ys: its values, in the same order.

    Raises:
        UserError: settings that are none, among them a jitter too small for so many values.
    """
    _check(config, xs.shape[0], xs)
    factor = _factor(config, xs)
    white = solve_triangular(factor, ys, lower=True)
    return 0.5 * white**2 + jnp.log(jnp.diagonal(factor)) + 0.5 * math.log(2 * math.pi)


def _factor(config: GaussianProcessConfig, xs: Float[Array, "time dimensions"]) -> Float[Array, "time time"]:
    """Lower Cholesky factor of the covariance of noisy values."""
    return _cholesky(kernel(config, xs, xs) + config.jitter * jnp.eye(xs.shape[0], dtype=xs.dtype))


@jax.custom_batching.sequential_vmap
def _cholesky(matrix: Float[Array, "time time"]) -> Float[Array, "time time"]:
    """Cholesky factor; of a batch one after the other.

    On a CPU a batch at once hands its matrices to the threads that run the devices and waits for them. With as many
    devices as threads all of them wait, for ever.
    """
    return jnp.linalg.cholesky(matrix)


def check_sizes(config: GaussianProcessConfig) -> None:
    """Raises `UserError` for sizes that streams of functions cannot have."""
    if config.dimensions not in SCALES:
        raise bad("dimensions", got=config.dimensions, expected="1, 2 or 3")
    check_size("length", config.length)


def _check(config: GaussianProcessConfig, values: int, *places: Float[Array, "_ dimensions"]) -> None:
    """Refuses settings that are none, and those with which so many values cannot be told apart from fewer."""
    check_sizes(config)
    for name in ("variance", "jitter", "reach"):
        check_positive(name, getattr(config, name))
    check_positive("scale", config.length_scale)
    # Rounding moves eigenvalues by about `variance · values · EPSILON`; a few times that keep the factor finite and
    # densities right to a hundredth of a nat, however smooth the functions are.
    least = 4 * EPSILON * config.variance * values
    if config.jitter < least:
        expected = f"at least {least:.2g}, as less makes the covariance of {values} values singular in single precision"
        raise bad("jitter", got=config.jitter, expected=expected, hint=f"try {2 * least:.1g}")
    for place in places:
        if place.shape[1] != config.dimensions:
            raise bad(
                "inputs",
                got=Described(f"places of {place.shape[1]} numbers"),
                expected=f"{config.dimensions} numbers each",
            )


@reference
def reference_draws() -> Float[np.ndarray, " numbers"]:
    """Inputs and values of one short stream of each split, in one, two and three dimensions.

    So few values at places far apart that rounding errors of the covariance's factor stay small.
    """
    tasks = [
        GaussianProcessTask(GaussianProcessConfig(dimensions=dimensions, length=6), split)
        for dimensions, split in zip(SCALES, SPLITS, strict=True)
    ]
    drawn = jax.jit(lambda key: [task.sample(key, jnp.int32(0)) for task in tasks], compiler_options=QUICK)
    episodes = drawn(jax.random.key(_REFERENCE))
    return np.concatenate([np.ravel(array) for e in episodes for array in (e.inputs.x, e.targets)])


__all__ = [
    "GaussianProcessConfig",
    "GaussianProcessTask",
    "kernel",
    "posterior",
    "sequential_nll",
]
