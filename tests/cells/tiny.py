"""Networks small enough for loops, and their weights in the form that the NumPy twins take."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from tests.reference.lstm import Gate, LSTMWeights
from tests.reference.memory import KeyValueMemory, SoftMemory
from tests.reference.nmn import NetworkWeights, Passage, walk

from fastslow.cells.context import ContextAndQueries
from fastslow.cells.lstm import LSTM
from fastslow.cells.nmn import NMN, NMNConfig
from fastslow.memory.slots import KeyValueSlots, KeyValueSlotsConfig, SoftSlots, SoftSlotsConfig

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


SLOTS_CONFIGS = {"soft": SoftSlotsConfig, "key-value": KeyValueSlotsConfig}


def slots(kind: str, initial: str = "learned", seed: int = 1):
    return SLOTS_CONFIGS[kind](SLOTS, initial).build(WIDTH, key=jax.random.key(seed))


def nmn(kind: str = "soft", compose: str = "query", label_input: str = "none", initial: str = "learned", seed: int = 0):
    """A network whose weights are large enough for every path to matter."""
    config = NMNConfig(WIDTH, SLOTS_CONFIGS[kind](SLOTS, initial), compose, label_input)
    cell = config.build(FEATURES, WAY, key=jax.random.key(seed))
    grown = jax.tree.map(lambda w: 2 * w, cell.controllers)
    cell = eqx.tree_at(lambda c: c.controllers, cell, grown)
    return cell if initial == "constant" else eqx.tree_at(lambda c: c.memory, cell, _louder(cell.memory))


def _louder(memory):
    """A memory whose slots differ, so that attention has something to choose from."""
    if isinstance(memory, SoftSlots):
        return eqx.tree_at(lambda m: m.initial, memory, 10 * memory.initial)
    where = lambda m: (m.initial_keys, m.initial_values, m.log_temperature)
    return eqx.tree_at(where, memory, (10 * memory.initial_keys, 10 * memory.initial_values, jnp.log(jnp.asarray(3.0))))


def head(seed: int = 5) -> eqx.nn.Linear:
    return eqx.nn.Linear(WIDTH, WAY, key=jax.random.key(seed))


def shots(support: int, queries: int, seed: int = 2) -> tuple[ContextAndQueries, ContextAndQueries]:
    """Rows for the cell and one-hot labels; a support item has its label beside it, a query zeros."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(support + queries, FEATURES))
    classes = np.arange(support + queries) % WAY
    labels = np.eye(WAY)[classes]
    shown = np.where(np.arange(support + queries)[:, None] < support, labels, 0)
    rows = jnp.asarray(np.concatenate([features, shown], axis=1))
    labels = jnp.asarray(labels)
    return ContextAndQueries(rows[:support], rows[support:]), ContextAndQueries(labels[:support], labels[support:])


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


def network_twin(cell: NMN, decoder: Any) -> NetworkWeights:
    """Of a cell and a decoder, a linear layer or a head that holds one."""
    linear = getattr(decoder, "linear", decoder)
    return NetworkWeights(
        {name: lstm_twin(getattr(cell.controllers, name)) for name in ("input", "output", "write")},
        memory_twin(cell.memory),
        np.array(linear.weight, np.float64),
        np.array(linear.bias, np.float64),
        cell.compose,
        cell.label_input,
    )


def pairs(rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cell inputs cut into features and label."""
    rows = np.array(rows, np.float64)
    return [(row[:FEATURES], row[FEATURES:]) for row in rows]


def twin_walk(net: NetworkWeights, inputs: ContextAndQueries, **options) -> Passage:
    return walk(net, pairs(inputs.context), pairs(inputs.queries), **options)
