"""Begin with the weights of another run (``--init-from``), also of one for other pictures classes or conditions."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.network_file import Origin
from gancli.artifacts.run_folder import RunFolder
from gancli.artifacts.transfer import Taken, Weights, label_axes, take
from gancli.data.conditions import Conditions
from gancli.errors import FileFormatError, UsageError, in_a_list
from gancli.recipes.base import Recipe, Spec
from gancli.runs.feasible import shapes
from gancli.runs.prepare import Prepared
from gancli.sampling.generator import recipe_of

log = logging.getLogger(__name__)
COLOURS = {1: "grey", 3: "rgb", 4: "rgba"}
"""The value of ``--color`` for each number of channels."""
MAX_NAMES = 5
"""Classes or conditions that a message lists."""


@dataclass(frozen=True)
class Known:
    """The names of what the labels of networks can ask for."""

    names: tuple[str, ...] = ()
    kind: Literal["classes", "conditions"] = "classes"

    def __str__(self) -> str:
        return _listed(self.names)


def _known(recipe: Recipe, classes: tuple[str, ...], conditions: Conditions | None) -> Known:
    if not recipe.conditional:
        return Known()
    return Known(classes) if conditions is None else Known(conditions.names, "conditions")


@dataclass(frozen=True)
class Source:
    """The source of ``--init-from``: a run, a checkpoint or a generator file."""

    path: Path
    origin: Origin
    recipe: Recipe
    g: Mapping[str, Tensor]
    ema: Mapping[str, Tensor]
    d: Mapping[str, Tensor] | None
    """None if there is no ``dis.pth`` beside a generator file."""

    @property
    def known(self) -> Known:
        """The classes or conditions that its networks know."""
        return _known(self.recipe, self.origin.classes, self.origin.conditions)


def warm_start(prepared: Prepared) -> None:
    """Give G, its average and D the weights that ``--init-from`` names, and say so if they are not all taken.

    Raises UsageError if no layer of G fits, or if layers of D are to be frozen that were not taken.
    """
    config = prepared.resolved.config
    assert config.init_from
    source = _read(Path(config.init_from))
    if source.d is None and config.freeze_d:
        raise UsageError(
            f"--freeze-d {config.freeze_d} needs the discriminator, and there is no dis.pth beside {source.path}."
        )
    try:
        of_g, of_d = _take_all(prepared, source)
    except FileFormatError as error:
        raise FileFormatError(f"--init-from {source.path}: {error}") from error
    _require_enough(prepared, source, of_g, of_d)
    _tell(prepared, source, of_g, of_d)


def _read(path: Path) -> Source:
    """UsageError if a run has neither a sound checkpoint nor a generator."""
    if path.is_dir():
        run = RunFolder(path)
        newest = checkpoint.newest_sound(run.checkpoints())
        if newest is not None:
            return _of_checkpoint(path, newest)
        if not run.generator.is_file():
            raise UsageError(f"--init-from {path}: there is neither a checkpoint that can be read nor a gen.pth in it.")
        path = run.generator
    if path.suffix != ".pth":
        return _of_checkpoint(path, checkpoint.load(path))
    file = network_file.load(path, "generator")
    d = _discriminator_beside(path)
    return Source(path, file.origin, recipe_of(file.origin), file.weights, file.weights, d)


def _of_checkpoint(path: Path, saved: checkpoint.Checkpoint) -> Source:
    g, ema, d = (saved.state[name] for name in ("g", "ema", "d"))
    return Source(path, saved.origin, recipe_of(saved.origin), g, ema, d)


def _discriminator_beside(generator: Path) -> Mapping[str, Tensor] | None:
    path = generator.with_name("dis.pth")
    if not path.is_file():
        log.warning("--init-from: there is no dis.pth beside %s; the discriminator starts anew.", generator)
        return None
    return network_file.load(path, "discriminator").weights


def _take_all(prepared: Prepared, source: Source) -> tuple[Taken, Taken | None]:
    """Load G and D; returns the loaded tensors of both, None for D if the source has none."""
    state, spec = prepared.step.state, prepared.resolved.spec
    ours, others = _own(prepared), source.known
    alike = ours == others  # tensors have the same entries then
    g_axes, d_axes = ({}, {}) if alike else label_axes(prepared.resolved.recipe, spec)
    their_g_axes, their_d_axes = ({}, {}) if alike else label_axes(source.recipe, source.origin.spec)

    def taken(network: nn.Module, axes: dict[str, int], theirs: Weights, what: str) -> Taken:
        return take(Weights(network.state_dict(), ours.names, axes), theirs, what)

    of_g = taken(state.g, g_axes, Weights(source.g, others.names, their_g_axes), "generator")
    taken(state.ema, g_axes, Weights(source.ema, others.names, their_g_axes), "generator")
    if source.d is None:
        return of_g, None
    return of_g, taken(state.d, d_axes, Weights(source.d, others.names, their_d_axes), "discriminator")


def _own(prepared: Prepared) -> Known:
    """The classes or conditions that the new networks know."""
    dataset = prepared.resolved.dataset
    return _known(prepared.resolved.recipe, dataset.classes, dataset.conditions)


def _require_enough(prepared: Prepared, source: Source, of_g: Taken, of_d: Taken | None) -> None:
    config, recipe = prepared.resolved.config, prepared.resolved.recipe
    weights = prepared.step.state.g.state_dict()
    if not any(weights[name].ndim > 1 for name in of_g.names):
        raise UsageError(
            f"--init-from {source.path} {_difference(prepared, source)}, and none of the {of_g.total} layers of G "
            f"fits{_advice(prepared, source)}."
        )
    if getattr(recipe, "trained", False) and not of_g.is_whole:
        raise UsageError(
            f"--init-from {source.path} {_difference(prepared, source)}; the first stage of recipe {config.recipe} is "
            f"skipped only if all of G fits, or with --autoencoder{_advice(prepared, source)}."
        )
    frozen = {name for name, weight in prepared.step.state.d.named_parameters() if not weight.requires_grad}
    if config.freeze_d and of_d and frozen - of_d.names:
        raise UsageError(
            f"--freeze-d {config.freeze_d}: the lowest layers of D are new, since {source.path} "
            f"{_difference(prepared, source)}; freeze none{_advice(prepared, source)}."
        )


def _tell(prepared: Prepared, source: Source, of_g: Taken, of_d: Taken | None) -> None:
    """One line if layers are new, one if classes or conditions are not those of there."""
    if not of_g.is_whole or (of_d and not of_d.is_whole):
        of_d_too = f" and {of_d.layers} of {of_d.total} of D" if of_d else ""
        log.warning(
            "--init-from %s %s: took %d of %d layers of G%s, the others are new%s.",
            source.path, _difference(prepared, source), of_g.layers, of_g.total, of_d_too, _advice(prepared, source),
        )  # fmt: skip
    _tell_of_labels(source, _own(prepared))


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
        of_new = f", {_listed(new)} {_begin(new)} anew" if new else ""
        log.info("--init-from: %s are taken by name (%s)%s", ours.kind, _listed(kept), of_new)


def _begin(new: Sequence[str]) -> str:
    return "begins" if len(new) == 1 else "begin"


def _difference(prepared: Prepared, source: Source) -> str:
    theirs = _described(source.origin.recipe, source.origin.spec, source.known)
    ours = _described(prepared.resolved.config.recipe, prepared.resolved.spec, _own(prepared))
    if theirs == ours:
        return f"holds {theirs} with other hyperparameters"
    return f"holds {theirs}, while this run trains {ours}"


def _described(recipe: str, spec: Spec, known: Known) -> str:
    """``acgan for 16x16 RGB pictures of 2 classes (cat and dog)``."""
    if spec.is_points:
        return f"{recipe} for points in the plane"
    colour = COLOURS.get(spec.channels, f"{spec.channels}-channel")
    colour = colour if colour.startswith("g") else colour.upper()
    count, one = len(known.names), {"classes": "class", "conditions": "condition"}[known.kind]
    of = f" of {count:,} {one if count == 1 else known.kind} ({known})" if count else ""
    return f"{recipe} for {spec.height}x{spec.width} {colour} pictures{of}"


def _listed(names: Sequence[str]) -> str:
    """``cat, dog and bird``, or the first ones and how many more there are."""
    shown = [
        *map(in_a_list, names[:MAX_NAMES]),
        *([f"{len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []),
    ]
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def _advice(prepared: Prepared, source: Source) -> str:
    """The flags with which all weights would fit, as the end of a sentence; empty if there are none."""
    spec, theirs = prepared.resolved.spec, source.origin.spec
    flags = []
    if prepared.resolved.config.recipe != source.origin.recipe:
        flags.append(f"--recipe {source.origin.recipe}")
    if (theirs.height, theirs.width) != (spec.height, spec.width) and not spec.is_points and not theirs.is_points:
        flags.append(f"--image-size {theirs.height if theirs.height == theirs.width else _size(theirs)}")
    if theirs.channels != spec.channels and prepared.resolved.dataset.options and theirs.channels in COLOURS:
        flags.append(f"--color {COLOURS[theirs.channels]}")
    flags += [f"--set {name}={value}" for name, value in _othershapes(prepared, source).items()]
    return f"; with {' '.join(flags)} all would fit" if flags else ""


def _size(spec: Spec) -> str:
    return f"{spec.height}x{spec.width}"


def _othershapes(prepared: Prepared, source: Source) -> dict[str, object]:
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
