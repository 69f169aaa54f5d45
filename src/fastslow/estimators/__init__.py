"""Trained models behind scikit-learn's interface."""

from .few_shot import FewShotClassifier

__all__ = ["FewShotClassifier"]
