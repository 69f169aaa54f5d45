"""The neural memory network of fast-slow eq. 2–8, step by step, over a context, then on queries from its last state.

Every controller output passes through `perturb`, which may note it, change it or replace it: with that, the gradient at
an output, the paths that a synthetic gradient takes and the paths that are cut can all be had by finite differences.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .lstm import LSTMWeights, lstm_step
from .memory import KeyValueMemory, SoftMemory, dot, softmax

CONTROLLERS = ("input", "output", "write")
Place = tuple[str, str, int]
"""Controller, part (`context` or `queries`) and step."""
Perturb = Callable[[Place, np.ndarray], np.ndarray]


def untouched(place: Place, output: np.ndarray) -> np.ndarray:
    return output


@dataclass
class NetworkWeights:
    """Attributes: `controllers` by name; `memory` before the first step; the decoder's `head` and `bias`."""

    controllers: dict[str, LSTMWeights]
    memory: SoftMemory | KeyValueMemory
    head: np.ndarray
    bias: np.ndarray
    compose: str
    label_input: str


@dataclass
class State:
    """What is carried from step to step."""

    memory: SoftMemory | KeyValueMemory
    hidden: dict[str, np.ndarray]
    cell: dict[str, np.ndarray]


@dataclass
class Passage:
    """What happened, by place. Attributes: `given` to and `gave` by each controller; `scores`, `memory`, `logits`."""

    given: dict[Place, np.ndarray] = field(default_factory=dict)
    gave: dict[Place, np.ndarray] = field(default_factory=dict)
    scores: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    memory: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    logits: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)


def first_state(net: NetworkWeights) -> State:
    zeros = {name: np.zeros(len(net.controllers[name].enter.bias)) for name in CONTROLLERS}
    return State(net.memory.fresh(), {n: z.copy() for n, z in zeros.items()}, {n: z.copy() for n, z in zeros.items()})


def _step(
    net: NetworkWeights, state: State, x: np.ndarray, label: np.ndarray, seen: Passage, at: tuple, perturb: Perturb
):
    part, t = at

    def control(name: str, given: np.ndarray) -> np.ndarray:
        hidden, cell = lstm_step(net.controllers[name], state.hidden[name], state.cell[name], given)
        state.hidden[name], state.cell[name] = hidden, cell
        place = (name, part, t)
        seen.given[place] = given
        seen.gave[place] = perturb(place, hidden)
        return seen.gave[place]

    q = control("input", np.concatenate([x, label]) if net.label_input == "input" else x)
    content, scores = state.memory.read(q)
    m = control("output", np.concatenate([content, q]) if net.compose == "query" else content)
    update = control("write", np.concatenate([m, label]) if net.label_input == "write" else m)
    state.memory.write(scores, q, update)
    seen.scores[at], seen.memory[at] = scores, state.memory.values().copy()
    seen.logits[at] = np.array([dot(net.head[c], m) + net.bias[c] for c in range(len(net.bias))])


def walk(
    net: NetworkWeights,
    context: list[tuple[np.ndarray, np.ndarray]],
    queries: list[tuple[np.ndarray, np.ndarray]],
    perturb: Perturb = untouched,
) -> Passage:
    """Shows the context step by step, then each query from where the context ended.

    Args:
        net: the weights.
        context: pairs of features and label vector, as the cell is given them.
        queries: the same.
        perturb: sees every controller's output.
    """
    seen = Passage()
    state = first_state(net)
    for t, (x, label) in enumerate(context):
        _step(net, state, x, label, seen, ("context", t), perturb)
    for b, (x, label) in enumerate(queries):
        fork = State(state.memory.fresh(), dict(state.hidden), dict(state.cell))
        _step(net, fork, x, label, seen, ("queries", b), perturb)
    return seen


def cross_entropy(seen: Passage, expected: dict[tuple[str, int], int]) -> float:
    """Mean over the steps whose class is expected, in nats."""
    total = 0.0
    for at, c in expected.items():
        total -= np.log(softmax(seen.logits[at])[c])
    return total / len(expected)
