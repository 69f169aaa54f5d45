"""Measures a trained model once more."""

from ..configs.run import Trained
from ..results.measure import measure
from ..results.row import ResultRow
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
