"""The curve of precision and recall against sets whose answer is known."""

import pytest
import torch
from gaussians import normal

from gancli.evaluation.plots import precision_recall


def test_precision_and_recall_of_known_modes() -> None:
    """Both ends of the curve are the shares of generated images among real ones, and the other way round."""
    centres = 100 * torch.eye(4, dtype=torch.float64)
    modes = [normal(200, 4, seed) + centre for seed, centre in enumerate(centres)]
    real = torch.cat(modes[:2])
    for fakes, precise, recalled in ((modes[:2], 1, 1), (modes[:1], 1, 0.5), (modes[:3], 2 / 3, 1), (modes[2:], 0, 0)):
        precision, recall = precision_recall(torch.cat(fakes), real)
        assert precision.max().item() == pytest.approx(precise, abs=1e-6)
        assert recall.max().item() == pytest.approx(recalled, abs=1e-6)
        assert (precision.diff() >= 0).all()
        assert (recall.diff() <= 0).all()
