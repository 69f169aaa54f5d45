"""What is told while a training runs."""

import io
import sys

import pytest

from fastslow.cli.progress import Watcher, duration
from fastslow.metrics import ACCURACY, LOG_LIKELIHOOD
from fastslow.training.report import Report


def report(step, **changes):
    given = {
        "step": step,
        "steps": 500,
        "seeds": (0, 1),
        "metrics": {"loss": (0.5, None), "accuracy": (0.9, None)} if step else {},
        "validation": {},
        "monitor": ACCURACY,
        "best": (None, None),
        "steps_per_second": 4.0 if step else 0.0,
        "remaining": (500 - step) / 4 if step else None,
        "seconds": 1.0,
        "diverged": {},
        "notices": (),
    }
    return Report(**{**given, **changes})


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_elsewhere_than_on_a_terminal_each_report_is_a_line(capsys):
    with Watcher() as watcher:
        watcher("net", report(0, notices=("Mind the gap.",)))
        watcher("net", report(20, validation={"accuracy": (0.75, 0.25), "loss": (1.0, 1.0)}))
        watcher("net", report(40, metrics={"loss": (None, None), "accuracy": (None, None)}))
        watcher("net", report(500))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "Mind the gap.",
        "net: step 0/500 · compiling, then the first figures",
        "net: step 20/500 · loss 0.500 · accuracy 90.0% · validation 50.0% · 4 steps/s · 2:00 left",
        "net: step 40/500 · loss – · accuracy – · validation 50.0% · 4 steps/s · 1:55 left",
        "net: step 500/500 · loss 0.500 · accuracy 90.0% · validation 50.0% · 4 steps/s",
    ]


def test_what_is_no_share_is_no_percentage(capsys):
    metrics = {"loss": (0.5, 1.5), "log_likelihood": (-0.25, -0.75)}
    with Watcher() as watcher:
        watcher(
            "net", report(500, monitor=LOG_LIKELIHOOD, metrics=metrics, validation={"log_likelihood": (-1.0, -2.0)})
        )
    said = capsys.readouterr().err
    assert said == "net: step 500/500 · loss 1.000 · log likelihood -0.500 · validation -1.500 · 4 steps/s\n"


@pytest.mark.parametrize("columns", ["80", "140"])
def test_on_a_terminal_nothing_is_cut_off(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with Watcher() as watcher:
        validation = {"accuracy": (0.75, 0.25), "loss": (1.0, 1.0)}
        watcher("NMN + SG, regime meta", report(20, validation=validation, notices=("Mind the gap.",)))
    for part in (
        "Mind the gap.",
        "20/500",
        "loss 0.500",
        "accuracy 90.0%",
        "validation 50.0%",
        "4 steps/s",
        "2:00 left",
    ):
        assert part in screen.getvalue()


@pytest.mark.parametrize(("seconds", "told"), [(4.4, "0:04"), (59.6, "1:00"), (3599.0, "59:59"), (36061.0, "10:01:01")])
def test_durations(seconds, told):
    assert duration(seconds) == told
