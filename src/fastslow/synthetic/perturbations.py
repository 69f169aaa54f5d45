"""Probes: the true gradient at every controller's output, for every step, from one backward pass."""

import jax
import jax.numpy as jnp

from ..cells.context import Forked, walk
from ..cells.nmn import NMN, NMNRecord, NMNState, PerController, Tap


def zero_taps(width: int, inputs: Forked) -> Forked:
    """A zero for each controller's output at each step of a passage; `inputs` gives the number of steps."""

    def zeros(xs: jax.Array) -> PerController:
        zero = jnp.zeros((xs.shape[0], width), xs.dtype)
        return PerController(input=zero, output=zero, write=zero)

    return Forked(trunk=zeros(inputs.trunk), branches=zeros(inputs.branches))


def traced_walk(
    cell: NMN, state: NMNState, inputs: Forked, taps: Forked | None = None, tap: Tap = jnp.add
) -> tuple[NMNState, Forked]:
    """Runs a network over a passage and records every step.

    Args:
        cell: the network.
        state: its state before the trunk.
        inputs: rows of cell inputs.
        taps: one `PerController` of rows for each part, or `None`.
        tap: how a tap acts on an output: `jnp.add` makes zeros into probes.

    Returns:
        The state at the fork, and the `NMNRecord` of each step.
    """
    if taps is None:
        return walk(lambda s, x: cell.trace(s, x), state, inputs)
    paired = Forked(trunk=(inputs.trunk, taps.trunk), branches=(inputs.branches, taps.branches))

    def step(state: NMNState, pair: tuple[jax.Array, PerController]) -> tuple[NMNState, NMNRecord]:
        return cell.trace(state, pair[0], pair[1], tap)

    return walk(step, state, paired)
