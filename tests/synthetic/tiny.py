"""Library objects and their NumPy twins, side by side, for tests of gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tests.cells.tiny import FEATURES, WAY, WIDTH, lstm_twin, network_twin, nmn, pairs, shots
from tests.reference.nmn import CONTROLLERS, Place
from tests.reference.numeric import ERROR
from tests.reference.synthetic import LSTMPredictorWeights, MLPWeights
from tests.synthetic.paths import Numbers, SegmentTwin

from fastslow.cells.context import ContextAndQueries
from fastslow.models.head import Head
from fastslow.synthetic.predictors import MLPPredictor, SyntheticGradients
from fastslow.synthetic.segment import Segment
from fastslow.tasks.targets import Categorical

CELLS = [("soft", "query", "write"), ("key-value", "query", "write"), ("soft", "memory", "input")]
"""Memory, compose and label input: the rows that gradients are checked on."""


def predictors(kind: str = "mlp", seed: int = 7) -> SyntheticGradients:
    """Predictors of large predictions: the last layer and its bias at full size, and no layer without a live unit."""
    fresh = SyntheticGradients(nmn().controllers, WAY, kind=kind, hidden=5, scale=1.0, key=jax.random.key(seed))
    readouts = lambda s: [getattr(s.predictors, name).readout.bias for name in CONTROLLERS]
    biases = [0.3 * jax.random.normal(k, (WIDTH,)) for k in jax.random.split(jax.random.key(seed + 1), 3)]
    fresh = eqx.tree_at(readouts, fresh, biases)
    if kind == "lstm":
        return fresh
    hidden = lambda s: [getattr(s.predictors, name).hidden.bias for name in CONTROLLERS]
    return eqx.tree_at(hidden, fresh, [bias + jnp.array([0.5, 0.4, 0.3, -0.3, 0.6]) for bias in hidden(fresh)])


def head(seed: int = 5) -> Head:
    return Head(WIDTH, Categorical(WAY), key=jax.random.key(seed))


MASKS = {
    "context": lambda support, queries: (np.ones(support, bool), np.zeros(queries, bool)),
    "queries": lambda support, queries: (np.zeros(support, bool), np.ones(queries, bool)),
    "mixed": lambda support, queries: (np.arange(support) > 0, np.arange(queries) == 0),
}
"""Loss masks for context and queries."""


def segment_of(support: int, queries: int, mask: str = "queries") -> Segment:
    context, asked = MASKS[mask](support, queries)
    return Segment(*shots(support, queries), ContextAndQueries(jnp.asarray(context), jnp.asarray(asked)))


def segment_twin(cell, head, segment: Segment) -> SegmentTwin:
    expected = {}
    for part in ("context", "queries"):
        classes, mask = (np.array(getattr(rows, part)) for rows in (segment.labels, segment.loss_mask))
        expected |= {(part, int(t)): int(np.argmax(classes[t])) for t in np.flatnonzero(mask)}
    return SegmentTwin(network_twin(cell, head), pairs(segment.inputs.context), pairs(segment.inputs.queries), expected)


def by_place(rows: ContextAndQueries) -> dict[Place, np.ndarray]:
    """A `Controllers` of rows for context and queries, taken apart."""
    places = {}
    for part in ("context", "queries"):
        for name in CONTROLLERS:
            for t, row in enumerate(np.array(getattr(getattr(rows, part), name), np.float64)):
                places[name, part, t] = row
    return places


def predictor_twin(predictor) -> MLPWeights | LSTMPredictorWeights:
    readout = [np.array(w, np.float64) for w in (predictor.readout.weight, predictor.readout.bias)]
    if isinstance(predictor, MLPPredictor):
        return MLPWeights(
            *(np.array(w, np.float64) for w in (predictor.hidden.weight, predictor.hidden.bias)), *readout
        )
    return LSTMPredictorWeights(lstm_twin(predictor.recurrence), *readout)


def predicted_twin(twins: dict, outputs: dict[Place, np.ndarray], labels: ContextAndQueries) -> dict[Place, np.ndarray]:
    """Predictions of the predictors' twins at each place; a query comes after the whole context."""
    rows = {}
    for (name, part, t), output in outputs.items():
        rows[name, part, t] = np.concatenate([output, np.array(getattr(labels, part), np.float64)[t]])
    predicted = {}
    for name in CONTROLLERS:
        context = [rows[name, "context", t] for t in range(len(labels.context))]
        for t, prediction in enumerate(twins[name].predict(context)):
            predicted[name, "context", t] = prediction
        for b in range(len(labels.queries)):
            predicted[name, "queries", b] = twins[name].predict([*context, rows[name, "queries", b]])[-1]
    return predicted


def library_numbers(gradients) -> Numbers:
    """The gradients of a `Learnable`, named as the finite differences are."""
    numbers = {}
    for name in CONTROLLERS:
        controller = getattr(gradients.cell.controllers, name)
        for kind in ("input_weight", "hidden_weight", "bias"):
            numbers[f"{name}.{kind}"] = np.array(getattr(controller, kind))
    for name in ("initial", "initial_keys", "initial_values", "log_temperature"):
        if hasattr(gradients.cell.memory, name):
            numbers[f"memory.{name}"] = np.array(getattr(gradients.cell.memory, name))
    numbers["head.weight"] = np.array(gradients.head.linear.weight)
    numbers["head.bias"] = np.array(gradients.head.linear.bias)
    for part in ("context", "queries"):
        numbers[f"inputs.{part}"] = np.array(getattr(gradients.inputs, part))[:, :FEATURES]
    return numbers


def assert_same(got: Numbers, expected: Numbers) -> None:
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=ERROR, atol=ERROR, err_msg=name)
