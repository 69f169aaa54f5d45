"""MetaNet, image by image and coordinate by coordinate; gradients by hand.

Weights of a network are a dictionary: `kernels`, a list of `[3, 3, in, out]`; `hidden` and `readout`, `[out, in]`.
"""

import numpy as np
from tests.reference.conv import convolve
from tests.reference.lstm import LSTMWeights, lstm_step

Network = dict
Rule = dict
"""An MLP: `layers`, pairs of weight and bias. An LSTM: `lstm`, its gates; `last`, a pair."""


def relu(x):
    return np.maximum(x, 0.0)


def pool(x):
    """2×2 windows of one image `[h, w, c]`, those at an odd edge cut off."""
    height, columns, channels = x.shape
    found = np.zeros(((height + 1) // 2, (columns + 1) // 2, channels))
    for i, j, c in np.ndindex(found.shape):
        found[i, j, c] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].max()
    return found


def unpool(x, to_pooled):
    """The gradient at the inputs of `pool`: all of it to the largest of each window."""
    found = np.zeros_like(x)
    for i, j, c in np.ndindex(to_pooled.shape):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        a, b = np.unravel_index(window.argmax(), window.shape)
        found[2 * i + a, 2 * j + b, c] = to_pooled[i, j, c]
    return found


def conv(x, kernel):
    return convolve(x[None], kernel)[0]


def unconv(x, kernel, to_outputs):
    """The gradients of `conv` at its inputs and at its kernel."""
    to_x, to_kernel = np.zeros_like(x), np.zeros_like(kernel)
    height, columns, _ = x.shape
    for i, j, a, b in np.ndindex(height, columns, 3, 3):
        row, column = i + a - 1, j + b - 1
        if 0 <= row < height and 0 <= column < columns:
            to_x[row, column] += kernel[a, b] @ to_outputs[i, j]
            to_kernel[a, b] += np.outer(x[row, column], to_outputs[i, j])
    return to_x, to_kernel


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def gradient(net: Network, image, label) -> Network:
    """`∇ CE` of one image by the slow weights, backwards through every layer."""
    x, inputs, before = image[..., None], [], []
    for kernel in net["kernels"]:
        inputs.append(x)
        before.append(conv(x, kernel))
        x = pool(relu(before[-1]))
    z = x.reshape(-1)
    hidden = net["hidden"] @ z
    to_logits = softmax(net["readout"] @ relu(hidden))
    to_logits[label] -= 1
    to_hidden = (net["readout"].T @ to_logits) * (hidden > 0)
    to_x, to_kernels = (net["hidden"].T @ to_hidden).reshape(x.shape), []
    for x, y, kernel in zip(inputs[::-1], before[::-1], net["kernels"][::-1], strict=True):
        to_x, to_kernel = unconv(x, kernel, unpool(relu(y), to_x) * (y > 0))
        to_kernels.insert(0, to_kernel)
    return {
        "kernels": to_kernels,
        "hidden": np.outer(to_hidden, z),
        "readout": np.outer(to_logits, relu(hidden)),
    }


def mean_gradient(net: Network, images, labels) -> Network:
    each = [gradient(net, image, label) for image, label in zip(images, labels, strict=True)]
    mean = lambda name: sum(g[name] for g in each) / len(each)
    kernels = [sum(g["kernels"][i] for g in each) / len(each) for i in range(len(net["kernels"]))]
    return {"kernels": kernels, "hidden": mean("hidden"), "readout": mean("readout")}


def pre(g: float) -> np.ndarray:
    return np.array([max(np.log(abs(g) + 1.2e-7) / 7, -1.0), min(max(np.exp(7) * g, -1.0), 1.0)])


def by_mlp(rule: Rule, g: float) -> float:
    (w1, b1), (w2, b2), (w3, b3) = rule["layers"]
    return (w3 @ relu(w2 @ relu(w1 @ pre(g) + b1) + b2) + b3)[0]


def by_lstm(rule: Rule, gs: list[float]) -> float:
    weights: LSTMWeights = rule["lstm"]
    hidden = cell = np.zeros(len(weights.enter.bias))
    for g in gs:
        hidden, cell = lstm_step(weights, hidden, cell, pre(g))
    w, b = rule["last"]
    return (w @ hidden + b)[0]


def mapped(rule, tensors: list[np.ndarray], function) -> np.ndarray:
    """A rule on each coordinate of tensors of one shape, one after the other."""
    found = np.zeros(tensors[0].shape)
    for place in np.ndindex(found.shape):
        found[place] = function(rule, [t[place] for t in tensors])
    return found


def fast_weights(rules: dict, gradients: list[Network], function) -> Network:
    """Fast weights of a sequence of gradients; `rules` has one rule for `convolutions` and one for `dense` layers."""
    kernels = [
        mapped(rules["convolutions"], [g["kernels"][i] for g in gradients], function)
        for i in range(len(gradients[0]["kernels"]))
    ]
    dense = {n: mapped(rules["dense"], [g[n] for g in gradients], function) for n in ("hidden", "readout")}
    return {"kernels": kernels, **dense}


def fast_key(net: Network, rules: dict, images, labels, chunks: list[list[int]]) -> Network:
    """`Q*`."""
    gradients = [mean_gradient(net, images[chunk], labels[chunk]) for chunk in chunks]
    return fast_weights(rules, gradients, by_lstm)


def memory(net: Network, rules: dict, images, labels) -> list[Network]:
    """`θ*_i` of each item."""
    one = lambda rule, gs: by_mlp(rule, gs[0])
    return [fast_weights(rules, [gradient(net, x, y)], one) for x, y in zip(images, labels, strict=True)]


def features(net: Network, fast: Network, image) -> np.ndarray:
    x = image[..., None]
    for slow, added in zip(net["kernels"], fast["kernels"], strict=True):
        x = pool(relu(conv(x, slow)) + relu(conv(x, added)))
    return x.reshape(-1)


def key(net: Network, fast: Network, image) -> np.ndarray:
    """`k = Q_{fc1} z + Q*_{fc1} z`."""
    z = features(net, fast, image)
    return net["hidden"] @ z + fast["hidden"] @ z


def answer(net: Network, weights: list[Network], keys, query_key, image) -> np.ndarray:
    """Logits of one query, by its own mixture of the items' fast weights."""
    similar = [q @ query_key / np.sqrt((q @ q) * (query_key @ query_key) + 1e-6) for q in keys]
    shares = softmax(np.array(similar))
    mixed = {n: sum(a * w[n] for a, w in zip(shares, weights, strict=True)) for n in ("hidden", "readout")}
    mixed["kernels"] = [
        sum(a * w["kernels"][i] for a, w in zip(shares, weights, strict=True)) for i in range(len(net["kernels"]))
    ]
    z = features(net, mixed, image)
    z = relu(net["hidden"] @ z) + relu(mixed["hidden"] @ z)
    return net["readout"] @ z + mixed["readout"] @ z
