"""How good generated images are, measured on tensors: no run folder, no network, nothing downloaded."""

from gancli.evaluation.evaluator import METRICS, Evaluator
from gancli.evaluation.extractors import Extractor, extractor_for
from gancli.evaluation.features import Features, extract
from gancli.evaluation.modes import POINT_METRICS, MixtureEvaluator
from gancli.evaluation.report import Figure, Limit, Report, parse_limit

__all__ = [
    "METRICS",
    "POINT_METRICS",
    "Evaluator",
    "Extractor",
    "Features",
    "Figure",
    "Limit",
    "MixtureEvaluator",
    "Report",
    "extract",
    "extractor_for",
    "parse_limit",
]
