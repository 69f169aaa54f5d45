"""The fast path read literally: a synthetic gradient reaches its own controller's weights and nothing else."""

import jax

from ..cells.context import Forked, walk
from ..cells.lstm import LSTM
from ..cells.nmn import NMNRecord, PerController


def local_gradients(controllers: PerController, record: Forked, synthetic: Forked) -> PerController:
    """`Σ_t SG_C(c_t, y_t) · ∂c_t/∂θ_C` for each controller (fast-slow eq. 10, without the −α).

    Each controller is run again on the inputs it was given and pulled back with the synthetic gradient as cotangent:
    its inputs are constants of that pull, its own recurrence is part of it. The result is an ordinary function of
    weights, inputs and predictors, so an outer loop can differentiate through it.

    Args:
        controllers: the three LSTMs, `θ_C`.
        record: `NMNRecord` rows of a passage that those controllers walked from a fresh state.
        synthetic: rows of what is brought in, such as `α · SG_C`.

    Returns:
        A gradient shaped as `controllers`.
    """
    return PerController(
        *(_pull(getattr(controllers, name), record, synthetic, name) for name in ("input", "output", "write"))
    )


def _pull(controller: LSTM, record: Forked, synthetic: Forked, name: str) -> LSTM:
    def given(part: NMNRecord) -> jax.Array:
        return getattr(part.inputs, name)

    def run(weights: LSTM) -> Forked:
        # W u + b over all steps at once: only what follows is sequential
        projected = Forked(
            trunk=jax.vmap(weights.project)(given(record.trunk)),
            branches=jax.vmap(weights.project)(given(record.branches)),
        )
        return walk(weights.advance, weights.init_state(), projected)[1]

    _, pull = jax.vjp(run, controller)
    cotangent = Forked(trunk=getattr(synthetic.trunk, name), branches=getattr(synthetic.branches, name))
    return pull(cotangent)[0]
