"""A result row that the tests of results change."""

from fastslow.results.row import ResultRow

ROW = ResultRow(
    experiment="main",
    row="NMN + SG",
    metric="accuracy",
    unit="share",
    axis={},
    value=0.97649,
    ci95=(0.9745, 0.9785),
    chance=0.2,
    episodes=1800,
    seeds=(0, 1, 2),
    paper_value=None,
    facts={"protocol": "fine-tune", "regime": "meta", "transductive": False},
    config={"way": 5, "learner": {"steps": 2, "rates": [0.1, 0.2]}},
    params_digest={"scheme": "names-sha256", "values": ["0" * 64, "1" * 64, "a" * 64]},
    data={"name": "omniglot", "split": "omniglot_1200_423", "digest": "f" * 64, "scheme": "arrays-sha256"},
    commit="c" * 40,
    versions={"jax": "0.10.1"},
    hardware={"cpu": "a µ-processor", "cores": 2, "devices": ["cpu", "cpu"]},
    seconds=12.5,
)
