"""Networks small enough for loops, and their weights in the form that the NumPy twins take."""

from collections.abc import Iterator
from contextlib import contextmanager

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from tests.reference.lstm import Gate, LSTMWeights
from tests.reference.memory import KeyValueMemory, SoftMemory
from tests.reference.nmn import NetworkWeights, Passage, walk

from fastslow.cells.context import Forked
from fastslow.cells.lstm import LSTM
from fastslow.cells.nmn import NMN
from fastslow.memory.slots import KeyValueSlots, SoftSlots
from fastslow.models.heads import Categorical

FEATURES, WIDTH, SLOTS, WAY = 3, 4, 3, 2
NORM_FLOOR = 1e-3
"""The least length that the library's cosine lets a vector have."""


@contextmanager
def as_users_come() -> Iterator[None]:
    """Without the type checks of the tests, which would stop a wrong choice before the library sees it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def slots(kind: str, initial: str = "learned", seed: int = 1):
    build = SoftSlots if kind == "soft" else KeyValueSlots
    return build(SLOTS, WIDTH, initial, key=jax.random.key(seed))


def nmn(kind: str = "soft", compose: str = "query", label_input: str = "none", initial: str = "learned", seed: int = 0):
    """A network whose weights are large enough for every path to matter."""
    memory = slots(kind, initial)
    cell = NMN(FEATURES, WIDTH, memory, labels=WAY, compose=compose, label_input=label_input, key=jax.random.key(seed))
    grown = jax.tree.map(lambda w: 2 * w, cell.controllers)
    cell = eqx.tree_at(lambda c: c.controllers, cell, grown)
    return cell if initial == "constant" else eqx.tree_at(lambda c: c.memory, cell, _louder(memory))


def _louder(memory):
    """A memory whose slots differ, so that attention has something to choose from."""
    if isinstance(memory, SoftSlots):
        return eqx.tree_at(lambda m: m.initial, memory, 10 * memory.initial)
    where = lambda m: (m.initial_keys, m.initial_values, m.log_temperature)
    return eqx.tree_at(where, memory, (10 * memory.initial_keys, 10 * memory.initial_values, jnp.log(jnp.asarray(3.0))))


def head(seed: int = 5) -> Categorical:
    return Categorical(WIDTH, WAY, key=jax.random.key(seed))


def shots(cell: NMN, support: int, queries: int, seed: int = 2) -> tuple[Forked, Forked]:
    """Rows for the cell and one-hot labels; the cell is shown a support item's label if it takes any."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(support + queries, FEATURES))
    classes = np.arange(support + queries) % WAY
    labels = np.eye(WAY)[classes]
    shown = np.where(np.arange(support + queries)[:, None] < support, labels, 0)
    rows = jnp.asarray(np.concatenate([features, shown], axis=1) if cell.labels else features)
    labels = jnp.asarray(labels)
    return Forked(rows[:support], rows[support:]), Forked(labels[:support], labels[support:])


def lstm_twin(lstm: LSTM) -> LSTMWeights:
    parts = [np.split(np.array(w), 4) for w in (lstm.input_weight, lstm.hidden_weight, lstm.bias)]
    enter, forget, new, out = (Gate(*(np.array(part[i], np.float64) for part in parts)) for i in range(4))
    return LSTMWeights(enter, forget, new, out)


def lstm_rows(twin: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays in the order of `LSTMWeights.arrays()`, stacked as the library stacks its gates."""
    return np.concatenate(twin[0::3]), np.concatenate(twin[1::3]), np.concatenate(twin[2::3])


def memory_twin(memory: SoftSlots | KeyValueSlots) -> SoftMemory | KeyValueMemory:
    if isinstance(memory, SoftSlots):
        return SoftMemory(np.array(memory.initial, np.float64))
    return KeyValueMemory(
        np.array(memory.initial_keys, np.float64),
        np.array(memory.initial_values, np.float64),
        np.exp(np.array([memory.log_temperature], np.float64)),
        memory.decay,
        NORM_FLOOR,
    )


def network_twin(cell: NMN, decoder: Categorical) -> NetworkWeights:
    return NetworkWeights(
        {name: lstm_twin(getattr(cell.controllers, name)) for name in ("input", "output", "write")},
        memory_twin(cell.memory),
        np.array(decoder.linear.weight, np.float64),
        np.array(decoder.linear.bias, np.float64),
        cell.compose,
        cell.label_input,
    )


def pairs(rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cell inputs cut into features and label."""
    rows = np.array(rows, np.float64)
    return [(row[:FEATURES], row[FEATURES:]) for row in rows]


def twin_walk(net: NetworkWeights, inputs: Forked, **options) -> Passage:
    return walk(net, pairs(inputs.trunk), pairs(inputs.branches), **options)
