"""Measures a trained model once more."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ..configs.json import to_json
from ..configs.run import Trained
from ..metrics import ACCURACY
from ..results.measure import measure
from ..results.row import ResultRow
from ..results.statistics import interval
from ..training.fingerprint import SCHEME
from ..training.provenance import environment
from .saved import Saved, with_tasks


def evaluate(model: Trained | Saved, *, episodes: int = 1000, row: str | None = None) -> list[ResultRow]:
    """Measures a trained model, or one that `fastslow.load` gave, on the test task of its configuration.

    Args:
        model: what is measured.
        episodes: test episodes of each seed; the first of them are the same for every model.
        row: the rows' name; None for what the model is.

    Raises:
        UserError: its data cannot be found.
    """
    trained = model if isinstance(model, Trained) else with_tasks(model)
    return measure(trained, experiment="evaluation", row=row or trained.config.describe(), episodes=episodes)


def accuracy_row(saved: Saved, found: Float[np.ndarray, " episodes"], **fields: Any) -> ResultRow:
    """The row of a measurement with the first seed of a model, on another task than its own.

    Args:
        saved: the model.
        found: accuracy of each episode.
        fields: the other fields of `ResultRow`; `axis` and `facts` may be left out.
    """
    value, low, high = interval(found[None].astype(np.float64), bounds=ACCURACY.bounds)
    return ResultRow(
        metric=ACCURACY.name,
        unit=ACCURACY.unit,
        value=value,
        ci95=(low, high),
        episodes=len(found),
        seeds=saved.seeds[:1],
        paper_value=None,
        config=to_json(saved.config),
        params_digest={"scheme": SCHEME, "values": list(saved.digests[:1])},
        **({"axis": {}, "facts": {}} | fields),
        **environment(),
    )
