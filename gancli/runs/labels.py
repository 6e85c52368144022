"""The labels that a run trains with: the classes of its pictures, or their conditions."""

import logging

from torch import Tensor

from gancli import recipes
from gancli.data import DataSet, Split
from gancli.errors import DataError
from gancli.recipes.base import Recipe

log = logging.getLogger(__name__)


def check_labels(name: str, recipe: Recipe, dataset: DataSet) -> None:
    """DataError if the recipe of this name needs labels of another kind; a note if it ignores conditions."""
    if dataset.conditions is None:
        if recipe.conditional and not dataset.classes:
            raise DataError(
                f"recipe {name} draws classes, and {dataset.name} has no labels; pictures in a folder for each "
                "class have them with --labels folder, others with a labels.csv."
            )
        return
    able = " or ".join(each for each in recipes.names() if recipes.find(each).takes_conditions)
    if not recipe.conditional:
        log.info("recipe %s ignores the conditions; %s takes them.", name, able)
    elif not recipe.takes_conditions:
        raise DataError(
            f"recipe {name} draws classes, and the labels of {dataset.name} are conditions, which {able} takes."
        )


def labels_of(recipe: Recipe, dataset: DataSet, split: Split) -> Tensor | None:
    """The labels of a split: classes int64 ``(N,)``, or standardised conditions float32 ``(N, K)``; None without."""
    if dataset.conditions is None or split.conditions is None:
        return split.labels
    return dataset.conditions.standardised(split.conditions) if recipe.conditional else None
