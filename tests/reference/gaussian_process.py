"""A Gaussian process: one matrix inverse for each question (Rasmussen, Williams 2006, eq. 2.23, 2.24)."""

import numpy as np
from scipy.stats import norm


def covariance(a: np.ndarray, b: np.ndarray, variance: float, scale: float) -> np.ndarray:
    """Squared-exponential kernel of every pair of places, `[len(a), len(b)]`."""
    result = np.zeros((len(a), len(b)))
    for i, j in np.ndindex(result.shape):
        square = sum((a[i, d] - b[j, d]) ** 2 for d in range(a.shape[1]))
        result[i, j] = variance * np.exp(-square / (2 * scale**2))
    return result


def posterior(
    seen_x: np.ndarray, seen_y: np.ndarray, asked_x: np.ndarray, *, variance: float, scale: float, jitter: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of a noisy value at each place asked about."""
    inverse = np.linalg.inv(covariance(seen_x, seen_x, variance, scale) + jitter * np.eye(len(seen_x)))
    means, deviations = [], []
    for place in asked_x:
        k = covariance(seen_x, place[None], variance, scale)[:, 0]
        means.append(k @ inverse @ seen_y)
        deviations.append(np.sqrt(variance + jitter - k @ inverse @ k))
    return np.array(means), np.array(deviations)


def sequential_nll(xs: np.ndarray, ys: np.ndarray, **process: float) -> np.ndarray:
    """Each value asked about after those before it, with a posterior of its own."""
    nll = []
    for t in range(len(xs)):
        mean, deviation = posterior(xs[:t], ys[:t], xs[t : t + 1], **process)
        nll.append(-norm.logpdf(ys[t], mean[0], deviation[0]))
    return np.array(nll)
