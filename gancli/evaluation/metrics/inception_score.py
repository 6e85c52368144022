"""Inception score, with the extractor's own classes."""

from torch import Tensor

from gancli.evaluation.metrics.base import Metric, Sides, require


def inception_score(logits: Tensor) -> float:
    """IS = exp(E_x KL(p(y|x) || p(y))), Salimans et al. 2016 (arXiv:1606.03498), section 4, in one split.

    It does not detect collapse within a class; ``intra_diversity`` does.

    Args:
        logits: ``(N, K)``, whose softmax is p(y|x).

    Returns:
        From 1 for equal images to K for confident and balanced classes.

    Raises:
        TooFewImages: without samples.

    Example:
        >>> import torch
        >>> confident = 100 * torch.eye(5)
        >>> round(inception_score(confident), 4), round(inception_score(confident[:1]), 4)
        (5.0, 1.0)
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    require(len(logits), 1, "the inception score")
    return float(isc_features_to_metric(logits.double(), splits=1, shuffle=False)[KEY_METRIC_ISC_MEAN])


def _score(sides: Sides) -> dict[str, float]:
    assert sides.generated.features.logits is not None
    return {"is": inception_score(sides.generated.features.logits)}


METRICS = (Metric("is", _score, "higher", "standard", enough=1000, logits=True),)
