"""The paper's networks for recognition and correspondence: trained, evaluated, compared with it."""

from experiments.recognise.predictor import Recogniser, recogniser

__all__ = ["Recogniser", "recogniser"]
