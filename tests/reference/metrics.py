"""Figures of a batch of sequences with loops, and the linearised ratio of two means."""

import numpy as np


def by_label(scores, mask, labels, values):
    """Sum and number of the scores of each sequence and label."""
    total = np.zeros((len(scores), len(values)))
    count = np.zeros((len(scores), len(values)))
    for b in range(scores.shape[0]):
        for t in range(scores.shape[1]):
            for j, value in enumerate(values):
                if mask[b, t] and labels[b, t] == value:
                    total[b, j] += scores[b, t]
                    count[b, j] += 1
    return total, count


def over_steps(scores, mask):
    """Sum and number of the scores of each sequence."""
    total, count = [], []
    for row, counted in zip(scores, mask, strict=True):
        total.append(sum(float(score) for score, counts in zip(row, counted, strict=True) if counts))
        count.append(sum(1.0 for counts in counted if counts))
    return np.array(total), np.array(count)


def linearised(total, count):
    """r + (t - r c) * d(t/c)/dt at the means, written with the two partial derivatives of the ratio."""
    n = total.size
    mean_total = sum(float(x) for x in total.flat) / n
    mean_count = sum(float(x) for x in count.flat) / n
    found = np.zeros(total.shape)
    for s in range(total.shape[0]):
        for e in range(total.shape[1]):
            by_total = (total[s, e] - mean_total) / mean_count
            by_count = -(count[s, e] - mean_count) * mean_total / mean_count**2
            found[s, e] = mean_total / mean_count + by_total + by_count
    return found
