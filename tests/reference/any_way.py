"""The network for any number of classes, item by item; labels are class numbers."""

import numpy as np

FLOOR, ABSENT = 1e-4, -1e9


def lstm(weights, x):
    """One step from zeros: gates in the order input, forget, cell, output."""
    enter, _, new, out = np.split(weights["in"] @ x + weights["bias"], 4)
    logistic = lambda v: 1 / (1 + np.exp(-v))
    return logistic(out) * np.tanh(logistic(enter) * np.tanh(new))


def kept(labels, slots, balanced):
    """Writes one item after the other into free slots, else over the oldest item (of the class with most slots)."""
    held = []
    for item, label in enumerate(labels):
        held.append(item)
        if len(held) > slots:
            count = lambda i: sum(labels[j] == labels[i] for j in held)
            most = max(count(i) for i in held) if balanced else None
            held.remove(next(i for i in held if not balanced or count(i) == most))
        del label
    return held


def written(fast, queries, labels, codes, slots, balanced):
    """Slots `(key, value, label, item)`."""
    memory = []
    for item in kept(labels, slots, balanced):
        q = queries[item]
        m = lstm(fast["output"], np.concatenate([np.zeros_like(q), q]))
        value = lstm(fast["write"], np.concatenate([m, codes[labels[item]]]))
        memory.append((q, value, labels[item], item))
    return memory


def answer(net, fast, memory, query, classes, without=None):
    """Logits and log votes of one item."""
    read = [slot for slot in memory if slot[3] != without]
    content, vote = np.zeros_like(query), np.zeros(classes)
    if read:
        similar = [q @ query / (np.linalg.norm(q) * np.linalg.norm(query)) for q, *_ in read]
        powers = np.exp(net["temperature"] * (np.array(similar) - max(similar)))
        for share, (_, value, label, _) in zip(powers / powers.sum(), read, strict=True):
            content = content + share * value
            vote[label] += share
    m = lstm(fast["output"], np.concatenate([content, query]))
    there = {label for _, _, label, _ in read}
    log_vote = np.array([np.log(vote[j] + FLOOR) if j in there else net["absent"] for j in range(classes)])
    return np.array([fast["decoder"][j] @ m for j in range(classes)]) + net["gain"] * log_vote, log_vote


def support_logits(net, fast, queries, labels, codes, classes, slots, balanced):
    """Logits and log votes of each support item, read without its own slot."""
    memory = written(fast, queries, labels, codes, slots, balanced)
    found = [answer(net, fast, memory, q, classes, item) for item, q in enumerate(queries)]
    return np.array([logits for logits, _ in found]), np.array([vote for _, vote in found])


def softmax(logits, present):
    powers = np.where(present, np.exp(logits - max(logits[present])), 0)
    return powers / powers.sum()


def predicted(layers, logits, label, log_vote, present):
    """The predictor's answer for one item."""
    p, count, found = softmax(logits, present), present.sum(), np.zeros(len(logits))
    mean = sum(logits[j] for j in range(len(logits)) if present[j]) / count
    for j in np.flatnonzero(present):
        y = float(j == label)
        row = np.array([logits[j] - mean, y, p[j], p[j] - y, log_vote[j]])
        for weight, bias in layers[:-1]:
            row = np.maximum(weight @ row + bias, 0)
        found[j] = (layers[-1][0] @ row + layers[-1][1])[0]
    return np.where(present, found - found.sum() / count, 0)
