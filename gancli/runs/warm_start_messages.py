"""The messages of ``--init-from``: what is taken, what is new, and the flags with which all would fit."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

from gancli.artifacts.transfer import Taken
from gancli.recipes.base import Spec
from gancli.runs.feasible import shapes
from gancli.runs.prepare import Prepared
from gancli.runs.warm_start_source import Known, Source, known, listed

log = logging.getLogger(__name__)
COLOURS = {1: "grey", 3: "rgb", 4: "rgba"}
"""The value of ``--color`` for each number of channels."""


def own_labels(prepared: Prepared) -> Known:
    """The classes or conditions that the new networks know."""
    dataset = prepared.resolved.dataset
    return known(prepared.resolved.recipe, dataset.classes, dataset.conditions)


def tell(prepared: Prepared, source: Source, of_g: Taken, of_d: Taken | None) -> None:
    """One line if layers are new, one if classes or conditions are not those of there."""
    if not of_g.is_whole or (of_d and not of_d.is_whole):
        of_d_too = f" and {of_d.layers} of {of_d.total} of D" if of_d else ""
        log.warning(
            "--init-from %s %s: took %d of %d layers of G%s, the others are new%s.",
            source.path, difference(prepared, source), of_g.layers, of_g.total, of_d_too, advice(prepared, source),
        )  # fmt: skip
    _tell_of_labels(source, own_labels(prepared))


def _tell_of_labels(source: Source, ours: Known) -> None:
    theirs = source.known
    if ours == theirs or not theirs.names:
        return
    old = theirs.names if ours.kind == theirs.kind else ()
    kept, new = [each for each in ours.names if each in old], [each for each in ours.names if each not in old]
    if not ours.names:
        draws = "draws" if theirs.kind == "classes" else "draws by"
        log.info(
            "--init-from: the generator of %s %s %s (%s), and this one none", source.path, draws, theirs.kind, theirs
        )
    elif not kept:
        log.warning(
            "--init-from %s has other %s (%s), so %s %s anew; give those the same names that are the same.",
            source.path, theirs.kind, theirs, ours, _begin(new),
        )  # fmt: skip
    else:
        of_new = f", {listed(new)} {_begin(new)} anew" if new else ""
        log.info("--init-from: %s are taken by name (%s)%s", ours.kind, listed(kept), of_new)


def _begin(new: Sequence[str]) -> str:
    return "begins" if len(new) == 1 else "begin"


def difference(prepared: Prepared, source: Source) -> str:
    """The source's kind of networks and this run's, as a sentence without its subject."""
    theirs = _described(source.origin.recipe, source.origin.spec, source.known)
    ours = _described(prepared.resolved.config.recipe, prepared.resolved.spec, own_labels(prepared))
    if theirs == ours:
        return f"holds {theirs} with other hyperparameters"
    return f"holds {theirs}, while this run trains {ours}"


def _described(recipe: str, spec: Spec, labels: Known) -> str:
    """``acgan for 16x16 RGB pictures of 2 classes (cat and dog)``."""
    if spec.is_points:
        return f"{recipe} for points in the plane"
    colour = COLOURS.get(spec.channels, f"{spec.channels}-channel")
    colour = colour if colour.startswith("g") else colour.upper()
    count, one = len(labels.names), {"classes": "class", "conditions": "condition"}[labels.kind]
    of = f" of {count:,} {one if count == 1 else labels.kind} ({labels})" if count else ""
    return f"{recipe} for {spec.height}x{spec.width} {colour} pictures{of}"


def advice(prepared: Prepared, source: Source) -> str:
    """The flags with which all weights would fit, as the end of a sentence; empty if there are none."""
    spec, theirs = prepared.resolved.spec, source.origin.spec
    flags = []
    if prepared.resolved.config.recipe != source.origin.recipe:
        flags.append(f"--recipe {source.origin.recipe}")
    if (theirs.height, theirs.width) != (spec.height, spec.width) and not spec.is_points and not theirs.is_points:
        flags.append(f"--image-size {theirs.height if theirs.height == theirs.width else _size(theirs)}")
    if theirs.channels != spec.channels and prepared.resolved.dataset.options and theirs.channels in COLOURS:
        flags.append(f"--color {COLOURS[theirs.channels]}")
    flags += [f"--set {name}={value}" for name, value in _other_shapes(prepared, source).items()]
    return f"; with {' '.join(flags)} all would fit" if flags else ""


def _size(spec: Spec) -> str:
    return f"{spec.height}x{spec.width}"


def _other_shapes(prepared: Prepared, source: Source) -> dict[str, object]:
    """The source's hyperparameters that give its networks other shapes than this run's values, or the recipe's own."""
    cls = type(source.recipe)
    ours = asdict(prepared.resolved.recipe if type(prepared.resolved.recipe) is cls else cls())
    theirs, present = asdict(source.recipe), shapes(source.recipe, source.origin.spec)
    differing = {}
    for name in ours:
        try:
            other = replace(source.recipe, **{name: ours[name]})
        except ValueError:  # that value goes only with others of its own
            continue
        if ours[name] != theirs[name] and shapes(other, source.origin.spec) != present:
            differing[name] = theirs[name]
    return differing
