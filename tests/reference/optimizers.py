"""Optimizers in NumPy, one parameter array and one number at a time, from the papers' equations."""

import numpy as np


def adam(gradients: list, rates: list, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> list[np.ndarray]:
    """Steps of Adam (Kingma and Ba 2015, algorithm 1)."""
    m, v, steps = np.zeros_like(gradients[0]), np.zeros_like(gradients[0]), []
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        steps.append(-rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps))
    return steps


def nadam(gradients: list, rates: list, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> list[np.ndarray]:
    """Steps of Nadam (Dozat 2016), with a constant decay: the momentum of the next update and this gradient."""
    m, v, steps = np.zeros_like(gradients[0]), np.zeros_like(gradients[0]), []
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        steps.append(-rate * ahead / (np.sqrt(v / (1 - b2**t)) + eps))
    return steps


def rmsprop(
    gradients: list, rates: list, decay: float = 0.95, momentum: float = 0.9, eps: float = 1e-8
) -> list[np.ndarray]:
    """Steps of RMSProp with momentum: `v ← ρ v + (1 − ρ) g²`, `m ← μ m + r g / √(v + ε)`, `θ ← θ − m`."""
    m, v, steps = np.zeros_like(gradients[0]), np.zeros_like(gradients[0]), []
    for g, rate in zip(gradients, rates, strict=True):
        v = decay * v + (1 - decay) * g**2
        m = momentum * m + rate * g / np.sqrt(v + eps)
        steps.append(-m)
    return steps


def muon(gradients: list, rates: list, momentum: float = 0.95, rms: float = 0.2) -> list[np.ndarray]:
    """Steps of Muon (Jordan 2024) for one matrix, with the root mean square of Liu and others (2025)."""
    m, steps = np.zeros_like(gradients[0]), []
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = momentum * m + (1 - momentum) * g
        ahead = momentum * m / (1 - momentum ** (t + 1)) + (1 - momentum) * g / (1 - momentum**t)
        steps.append(-rate * rms * np.sqrt(max(g.shape)) * orthogonal(ahead))
    return steps


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """Five steps of the iteration of Newton and Schulz; the singular values of the result are near one."""
    a, b, c = 3.4445, -4.775, 2.0315
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (np.linalg.norm(x) + 1e-8)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if is_tall else x


def clipped(gradient: np.ndarray, norm: float) -> np.ndarray:
    """The gradient, scaled down to a norm if it is longer."""
    return gradient * min(1.0, norm / np.linalg.norm(gradient))
