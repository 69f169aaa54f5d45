"""scikit-learn's own checks of an estimator. They feed points, so each row is taken as an image of one line.

None is expected to fail. Checks that scikit-learn skips are named here with the reason; any other skip is a failure.
"""

import unittest
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import estimator_checks_generator

from fastslow.estimators import FewShotClassifier

SKIPPED = {
    "check_array_api_input": "arrays of other libraries are not an input; scikit-learn checks them only on request, by "
    "SCIPY_ARRAY_API",
    "check_classifier_data_not_an_array": "has passed for arrays by then; its second half needs pandas, which is not "
    "among the packages that tests need",
}


def classifier(readout: str, model: str | Path) -> FewShotClassifier:
    return FewShotClassifier(model, readout=readout, pixel_range="fit", layout="row")


def checks(readout: str) -> list[object]:
    found = estimator_checks_generator(classifier(readout, "named later"))
    return [pytest.param(check, id=check.func.__name__) for _, check in found]


def run(check: Callable, estimator: FewShotClassifier) -> None:
    try:
        check(estimator)
    except unittest.SkipTest:
        if check.func.__name__ not in SKIPPED:
            raise
        pytest.skip(SKIPPED[check.func.__name__])


@pytest.mark.parametrize("check", checks("prototypes"))
def test_prototypes(check: Callable, tiny_model: Path) -> None:
    run(check, classifier("prototypes", tiny_model))


@pytest.mark.slow  # compiles the head anew for each number of examples
@pytest.mark.parametrize("check", checks("auto"))
def test_auto(check: Callable, tiny_model: Path) -> None:
    run(check, classifier("auto", tiny_model))
