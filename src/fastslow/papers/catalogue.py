"""All experiments by the names that are typed after `fastslow reproduce`."""

from .._checks import bad
from .base import Experiment
from .fast_slow import analysis, main, rare, regimes, sharing, stanford, trajectories, worth
from .fast_slow import table1 as fast_slow_table1
from .mann import ablations, figure2, figure3, figure4, figure5, figure6, table1, table2

FAST_SLOW = (main, regimes, fast_slow_table1, worth, rare, trajectories, stanford, sharing, analysis)
MANN = (table1, table2, ablations, figure2, figure3, figure4, figure5, figure6)
MODULES = (*FAST_SLOW, *MANN)
EXPERIMENTS: dict[str, Experiment] = {module.EXPERIMENT.name: module.EXPERIMENT for module in MODULES}


def find_experiment(name: str) -> Experiment:
    """The experiment of a name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in EXPERIMENTS:
        raise bad("experiment", got=name, expected=f"one of {', '.join(EXPERIMENTS)}", hint="see `fastslow list`")
    return EXPERIMENTS[name]
