"""How well generated images follow conditions, against scikit-learn and SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn import linear_model
from torch import Tensor

from gancli.evaluation import Evaluator
from gancli.evaluation.extractors.fixed import pixel_extractor
from gancli.evaluation.per_condition import PENALTIES, AskedConditions, KnownConditions, Ridge, rank_correlation


def test_the_rank_correlation_is_scipys_with_ties_too() -> None:
    drawn = torch.Generator().manual_seed(0)
    first = torch.randint(4, (50,), generator=drawn).double()
    second = first + torch.randn(50, generator=drawn).double()
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(torch.ones(5), torch.arange(5.0)))


def test_the_regression_is_the_ridge_of_least_cross_validation_error() -> None:
    drawn = torch.Generator().manual_seed(1)
    features = torch.randn(40, 30, generator=drawn).double() * torch.arange(1, 31)
    targets = features[:, 0] + 2 * torch.randn(40, generator=drawn).double() + 5
    x = ((features - features.mean(0)) / features.std(0, correction=0)).numpy()
    y, scale, fits = targets.numpy(), (np.linalg.svd(x)[1] ** 2).mean(), []
    for penalty in PENALTIES.numpy() * scale:
        hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(30), x.T) + 1 / 40
        error = np.mean((y - hat @ y) ** 2) / (1 - np.trace(hat) / 40) ** 2
        fits.append((error, penalty))
    wanted = linear_model.Ridge(alpha=min(fits)[1]).fit(x, y).predict(x)
    assert min(fits)[1] not in (fits[0][1], fits[-1][1]), "a penalty within the range"
    assert np.allclose(Ridge(features).predictor(targets)(features).numpy(), wanted)


def flat(levels: Tensor) -> Tensor:
    """Grey pictures of these brightnesses from 0 to 1, each with some noise."""
    noise = 10 * torch.randn(len(levels), 1, 8, 8, generator=torch.Generator().manual_seed(len(levels)))
    return (20 + 200 * levels[:, None, None, None] + noise).clamp(0, 255).byte()


def test_a_generator_that_follows_its_condition_is_told_from_one_that_does_not() -> None:
    drawn = torch.Generator().manual_seed(2)
    train, heldout, asked = (torch.rand(count, generator=drawn).double() for count in (80, 60, 60))
    same = torch.ones(80, 1).double()
    known = KnownConditions(
        ("same", "level"), torch.cat([same, train[:, None]], 1), torch.cat([same[:60], heldout[:, None]], 1)
    )
    evaluator = Evaluator(
        pixel_extractor(torch.Size((80, 1, 8, 8))), flat(train), flat(heldout), "0" * 16, conditions=known
    )
    both = AskedConditions(("level", "same", "other"), torch.stack([asked, torch.ones(60), asked], 1))
    reports = [evaluator.evaluate(flat(shown), "fd", both) for shown in (asked, 1 - asked, asked.roll(1))]
    (follows, real), (opposes, _), (ignores, _) = (each.per_condition["level"] for each in reports)
    assert follows > 0.98 and real > 0.98 and opposes < -0.98 and abs(ignores) < 0.4
    assert list(reports[0].per_condition) == ["level"], "what is the same for all, or unknown, shows nothing"
    assert "of real images): level 0.99 (0.99)" in str(reports[0]) or "level 1.00" in str(reports[0])
    assert evaluator.evaluate(flat(asked), "fd").per_condition == {}
