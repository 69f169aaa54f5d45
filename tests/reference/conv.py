"""A convolution block in the order the paper gives it: convolution, batch normalisation, ReLU, max-pooling."""

import numpy as np


def convolve(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """3×3 cross-correlation with a border of zeros. `images` `[n, h, w, in]`, `kernel` `[3, 3, in, out]`."""
    count, height, columns, _ = images.shape
    result = np.zeros((count, height, columns, kernel.shape[3]))
    for n, y, x, c in np.ndindex(result.shape):
        for dy in range(3):
            for dx in range(3):
                row, column = y + dy - 1, x + dx - 1
                if 0 <= row < height and 0 <= column < columns:
                    for k in range(images.shape[3]):
                        result[n, y, x, c] += images[n, row, column, k] * kernel[dy, dx, k, c]
    return result


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (biased) variance of each channel over images and places."""
    means, variances = [], []
    for c in range(x.shape[3]):
        values = [x[n, i, j, c] for n, i, j in np.ndindex(x.shape[:3])]
        mean = sum(values) / len(values)
        means.append(mean)
        variances.append(sum((v - mean) ** 2 for v in values) / len(values))
    return np.array(means), np.array(variances)


def conv_block(
    images: np.ndarray,
    kernel: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray] | None,
    epsilon: float,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Features, and the moments they were normalised with: those given, or the batch's."""
    x = convolve(images, kernel)
    means, variances = channel_moments(x) if moments is None else moments
    for n, i, j, c in np.ndindex(x.shape):
        normal = scale[c] * (x[n, i, j, c] - means[c]) / np.sqrt(variances[c] + epsilon) + shift[c]
        x[n, i, j, c] = max(normal, 0.0)
    count, height, columns, channels = x.shape
    pooled = np.zeros((count, height // 2, columns // 2, channels))
    for n, i, j, c in np.ndindex(pooled.shape):
        pooled[n, i, j, c] = max(x[n, 2 * i + a, 2 * j + b, c] for a in range(2) for b in range(2))
    return pooled, (means, variances)


def embed(
    images: np.ndarray,
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    weight: np.ndarray,
    bias: np.ndarray,
    moments: list[tuple[np.ndarray, np.ndarray]] | None,
    epsilon: float,
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Blocks `(kernel, scale, shift)`, flattening, a linear layer, then vectors of length √features."""
    x, used = images[..., None], []
    for i, (kernel, scale, shift) in enumerate(blocks):
        x, seen = conv_block(x, kernel, scale, shift, None if moments is None else moments[i], epsilon)
        used.append(seen)
    features = np.zeros((len(images), len(bias)))
    for n in range(len(images)):
        flat = x[n].reshape(-1)
        for f in range(len(bias)):
            features[n, f] = bias[f] + sum(weight[f, k] * flat[k] for k in range(len(flat)))
        features[n] /= np.sqrt(sum(v * v for v in features[n]) / len(bias) + epsilon)
    return features, used
