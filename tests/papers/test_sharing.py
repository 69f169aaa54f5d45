"""Two networks with one set of predictors or two: what is kept of each row, and what is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tasks.test_tracks import OWN, table

from fastslow.learners.pair import PairConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.papers.fast_slow import sharing
from fastslow.synthetic.regimes import FeedbackConfig
from fastslow.tasks.tracks_in_turn import TracksInTurnConfig


def test_rows_differ_in_predictors_and_alpha_alone() -> None:
    rows = {row.name: row.config for row in sharing.rows("laptop")}
    first = rows["shared predictors"]
    for name, config in rows.items():
        assert replace(config, learner=first.learner) == first
        if "," in name:
            base = rows[name.partition(",")[0]].learner
            feedback = replace(config.learner.feedback, alpha=base.feedback.alpha)
            assert replace(config.learner, feedback=feedback) == base != config.learner
    assert first.training.seeds == 5


@pytest.mark.slow
def test_both_kinds_are_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "ROWS", {"none": PairConfig(FeedbackConfig("true"), "separate")})
    monkeypatch.setattr(sharing, "MEMORY", replace(sharing.MEMORY, embed=FlattenConfig()))
    kept = {name: getattr(OWN, name) for name in ("observed", "predicted", "rate", "columns", "learned", "tested")}
    data = TracksInTurnConfig(source="file", data=str(table(tmp_path, 9, 9)), **kept, training=4, shots=2, queries=2)
    drawn = {}
    monkeypatch.setattr(sharing, "save", lambda figure, path: drawn.update({path.name: figure}))
    found = sharing.run_on(data, tmp_path / "out", "smoke", resume=False, watch=lambda name, report: None)
    assert {(row.metric, row.axis["agent"]) for row in found} >= {("MSE", "bike"), ("MSE", "walker")}
    series = [row.series for row in found if row.series]
    assert [set(each) for each in series] == [{"validation_MSE, agent bike", "validation_MSE, agent walker"}]
    assert [axes.get_title() for axes in drawn["errors.png"].axes] == ["bikes", "walkers"]
    figure = drawn["paths.png"]
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["bikes", "walkers"]
    for axes in figure.axes:
        observed, truth, predicted = (line.get_xydata() for line in axes.lines)
        # the table's paths are straight, turned along x, and counted from the last observed position
        np.testing.assert_allclose(observed[-1], 0, atol=1e-5)
        np.testing.assert_allclose(truth[:, 1], 0, atol=1e-4)
        assert (np.diff(truth[:, 0]) > 0).all()
        assert predicted.shape == truth.shape
