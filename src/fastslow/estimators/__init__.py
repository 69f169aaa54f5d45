"""Trained models behind the interfaces people know: scikit-learn's, and river's."""

from .few_shot import FewShotClassifier
from .online import OnlineOneShot
from .paths import PathPredictor

__all__ = ["FewShotClassifier", "OnlineOneShot", "PathPredictor"]
