"""The interval of a mean over episodes and seeds."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from .._checks import Described, bad

CONFIDENCE = 0.95


def interval(
    values: Float[np.ndarray, "seeds episodes"], *, bounds: tuple[float, float] | None
) -> tuple[float, float, float]:
    """Mean and 95 % confidence interval where every seed was measured on the same episodes.

    Seeds and episodes are crossed, so the mean has two sources of error: which seeds were trained and which episodes
    were drawn. With `S` seeds and `E` episodes its squared standard error is taken as

        se² = var(means of the seeds) / S + var(means of the episodes) / E

    and the quantile is Student's, with the degrees of freedom of Welch and Satterthwaite (B. L. Welch, 1947). Both
    terms hold the noise within a cell, so the interval is slightly too wide rather than too narrow. With one seed, the
    interval excludes variation between runs; with one episode, variation between episodes.

    Args:
        values: one for each seed and episode, see `Metric.reduce`.
        bounds: range that the metric cannot leave; the interval is cut to it. None where it has none.

    Returns:
        The mean, and the lower and upper end of the interval.

    Raises:
        UserError: where there is a single value, or one that is not finite.
    """
    seeds, episodes = values.shape
    if values.size < 2:
        raise bad("values", got=values.shape, expected="at least two episodes or two seeds")
    if not np.isfinite(values).all():
        raise bad(
            "values", got=Described("one that is not finite"), expected="finite values; leave out seeds that diverged"
        )
    exact = values.astype(np.float64)
    mean = float(exact.mean())
    # Each term: variance of the mean, and its degrees of freedom.
    terms = [
        (means.var(ddof=1) / count, count - 1)
        for count, means in ((seeds, exact.mean(axis=1)), (episodes, exact.mean(axis=0)))
        if count > 1
    ]
    variance = sum(term for term, _ in terms)
    if variance == 0:
        return mean, mean, mean
    freedom = variance**2 / sum(term**2 / degrees for term, degrees in terms)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance))
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    return mean, max(mean - reach, low), min(mean + reach, high)
