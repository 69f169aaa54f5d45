"""A supervised predictor of paths: an encoder LSTM, and a decoder LSTM with attention over the encoder's outputs.

fast-slow names a predictor "built for trajectories" that its text does not define; all of this is our choice. The
decoder runs on its own predictions in training and in tests.
"""

from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from .._checks import bad
from .._typing import Key
from ..cells.base import AbstractCell
from ..cells.feedforward import NoState as NoCellState
from ..cells.lstm import LSTM, LSTMState
from ..tasks.base import TaskSpec
from ..tasks.paths import Path
from ..tasks.targets import AbstractTarget
from .base import AbstractModelConfig
from .embedding import AbstractEmbedding
from .flatten import NoState
from .head import AbstractHead
from .network import Network


class Encoded(eqx.Module):
    """What the encoder makes of a path.

    Attributes:
        outputs: at each frame.
        state: after the last one.
        position: the last observed.
    """

    outputs: Float[Array, "observed hidden"]
    state: LSTMState
    position: Float[Array, " 2"]


class PathEncoder(AbstractEmbedding[NoState]):
    """`E_t = LSTM_e(x_t, E_{t−1})`, all that a decoder needs in one row. Attributes: `lstm`; `observed`, frames."""

    lstm: LSTM
    observed: int = eqx.field(static=True)

    @property
    def out_size(self) -> int:
        return (self.observed + 2) * self.lstm.out_size + 2

    def __call__(
        self, x: Num[Array, "items observed 2"], given: NoState | None
    ) -> tuple[Float[Array, "items features"], NoState]:
        return jax.vmap(self._row)(x), NoState()

    def neutral(self) -> NoState:
        return NoState()

    def _row(self, path: Float[Array, "observed 2"]) -> Float[Array, " features"]:
        state, outputs = jax.lax.scan(lambda state, x: self.lstm(state, x), self.lstm.init_state(), path)
        return jnp.concatenate([outputs.reshape(-1), state.hidden, state.cell, path[-1]])


class Through(AbstractCell[NoCellState]):
    """Returns the features, without the label. Attributes: `features`, how many."""

    features: int = eqx.field(static=True)

    @property
    def out_size(self) -> int:
        return self.features

    def init_state(self) -> NoCellState:
        return NoCellState()

    def __call__(self, state: NoCellState, x: Float[Array, " in"]) -> tuple[NoCellState, Float[Array, " out"]]:
        return state, x[: self.features]


class AttentionDecoder(AbstractHead):
    """The decoder.

    `s_{τt} = vᵀ tanh(W_a d_{τ−1} + U_a E_t)`, `a_τ = softmax_t s_{τt}`, `c_τ = Σ_t a_{τt} E_t`,
    `d_τ = LSTM_d([ŷ_{τ−1}; c_τ], d_{τ−1})`, `ŷ_τ = ŷ_{τ−1} + W_o [d_τ; c_τ] + b_o`. It starts at the encoder's last
    state and at the last observed position; with `W_o = 0` and `b_o = 0` it stays there.

    Attributes:
        lstm: `LSTM_d`.
        of_state: `W_a`.
        of_frame: `U_a`.
        score: `v`.
        step: `W_o` and `b_o`.
        target: the path.
        frames: that are predicted.
    """

    lstm: LSTM
    of_state: Float[Array, "hidden hidden"]
    of_frame: Float[Array, "hidden hidden"]
    score: Float[Array, " hidden"]
    step: eqx.nn.Linear
    target: AbstractTarget
    frames: int = eqx.field(static=True)

    def __init__(self, hidden: int, target: Path, *, key: Key):
        keys = jax.random.split(key, 5)
        bound = hidden**-0.5
        uniform = lambda key, *shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        self.lstm = LSTM(2 + hidden, hidden, key=keys[0])
        self.of_state, self.of_frame = uniform(keys[1], hidden, hidden), uniform(keys[2], hidden, hidden)
        self.score = uniform(keys[3], hidden)
        self.step = eqx.nn.Linear(2 * hidden, 2, key=keys[4])
        self.target, self.frames = target, target.frames

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " outputs"]:
        encoded = self._encoded(x)
        frames = encoded.outputs @ self.of_frame.T

        def frame(carry: tuple[LSTMState, Array], _: None) -> tuple[tuple[LSTMState, Array], Array]:
            state, position = carry
            scores = jnp.tanh((self.of_state @ state.hidden)[None] + frames) @ self.score
            context = jax.nn.softmax(scores) @ encoded.outputs
            state, hidden = self.lstm(state, jnp.concatenate([position, context]))
            position = position + self.step(jnp.concatenate([hidden, context]))
            return (state, position), position

        start = (encoded.state, encoded.position)
        return jax.lax.scan(frame, start, None, length=self.frames)[1].reshape(-1)

    def _encoded(self, x: Float[Array, " in"]) -> Encoded:
        size = self.lstm.out_size
        rows = x[:-2].reshape(-1, size)
        return Encoded(rows[:-2], LSTMState(rows[-2], rows[-1]), x[-2:])


@dataclass(frozen=True)
class PathPredictorConfig(AbstractModelConfig):
    """An encoder and a decoder with attention, for paths."""

    hidden: int = 30
    """Units of each LSTM."""
    kind: Literal["path-predictor"] = "path-predictor"
    """Encoder and decoder LSTM with attention, for paths."""

    def build(self, spec: TaskSpec, *, key: Key) -> Any:
        """Builds the predictor of a task.

        Raises:
            UserError: the task's targets are no paths, or a size that is none.
        """
        if not isinstance(spec.target, Path):
            raise bad("model", got=self.kind, expected=f"another one, as task {spec.kind} has no paths to predict")
        key_encoder, key_decoder = jax.random.split(key)
        encoder = PathEncoder(LSTM(2, self.hidden, key=key_encoder), spec.shape[0])
        decoder = AttentionDecoder(self.hidden, spec.target, key=key_decoder)
        return Network(encoder, Through(encoder.out_size), decoder, spec.label)


__all__ = ["AttentionDecoder", "PathEncoder", "PathPredictorConfig", "Through"]
