"""Measure the quality of generated images, on tensors alone; nothing is downloaded."""

from gancli.evaluation.comparing import merit
from gancli.evaluation.evaluator import Evaluator
from gancli.evaluation.extractors.base import Extractor
from gancli.evaluation.extractors.classifier import extractor_for, random_extractor
from gancli.evaluation.features import Features, extract, load_features, save_features
from gancli.evaluation.image_set import ImageSet
from gancli.evaluation.library import evaluate
from gancli.evaluation.modes import POINT_METRICS, MixtureEvaluator
from gancli.evaluation.report import Figure, Limit, Report, load_report, parse_limit

__all__ = [
    "POINT_METRICS",
    "Evaluator",
    "Extractor",
    "Features",
    "Figure",
    "ImageSet",
    "Limit",
    "MixtureEvaluator",
    "Report",
    "evaluate",
    "extract",
    "extractor_for",
    "load_features",
    "load_report",
    "merit",
    "parse_limit",
    "random_extractor",
    "save_features",
]
