"""Begin with the weights of another run (``--init-from``), also of one for other pictures, classes or conditions."""

from pathlib import Path

from torch import nn

from gancli.artifacts import condition_scales
from gancli.artifacts.transfer import Taken, Weights, label_axes, take
from gancli.errors import FileFormatError, UsageError
from gancli.runs.prepare import Prepared
from gancli.runs.warm_start_messages import advice, difference, own_labels, tell
from gancli.runs.warm_start_source import Source, read


def warm_start(prepared: Prepared) -> None:
    """Give G, its average and D the weights that ``--init-from`` names, and say so if they are not all taken.

    Raises UsageError if no layer of G fits, or if layers of D are to be frozen that were not taken.
    """
    config = prepared.resolved.config
    assert config.init_from
    source = read(Path(config.init_from))
    if source.d is None and config.freeze_d:
        raise UsageError(
            f"--freeze-d {config.freeze_d} needs the discriminator, and there is no dis.pth beside {source.path}."
        )
    try:
        of_g, of_d = _take_all(prepared, source)
    except FileFormatError as error:
        raise FileFormatError(f"--init-from {source.path}: {error}") from error
    _require_enough(prepared, source, of_g, of_d)
    tell(prepared, source, of_g, of_d)


def _take_all(prepared: Prepared, source: Source) -> tuple[Taken, Taken | None]:
    """Load G and D; returns the loaded tensors of both, None for D if the source has none."""
    state, spec = prepared.step.state, prepared.resolved.spec
    ours, others = own_labels(prepared), source.known
    scales, their_scales = prepared.resolved.dataset.conditions, source.origin.conditions
    alike = ours == others and scales == their_scales  # tensors have the same entries, of the same meaning, then
    g_axes, d_axes = ({}, {}) if alike else label_axes(prepared.resolved.recipe, spec)
    their_g_axes, their_d_axes = ({}, {}) if alike else label_axes(source.recipe, source.origin.spec)

    def taken(network: nn.Module, axes: dict[str, int], theirs: Weights, what: str) -> Taken:
        result = take(Weights(network.state_dict(), ours.names, axes), theirs, what)
        if scales is not None and their_scales is not None:
            condition_scales.convert(network, result.names & axes.keys(), scales, their_scales)
        return result

    of_g = taken(state.g, g_axes, Weights(source.g, others.names, their_g_axes), "generator")
    taken(state.ema, g_axes, Weights(source.ema, others.names, their_g_axes), "generator")
    if source.d is None:
        return of_g, None
    return of_g, taken(state.d, d_axes, Weights(source.d, others.names, their_d_axes), "discriminator")


def _require_enough(prepared: Prepared, source: Source, of_g: Taken, of_d: Taken | None) -> None:
    config, recipe = prepared.resolved.config, prepared.resolved.recipe
    weights = prepared.step.state.g.state_dict()
    if not any(weights[name].ndim > 1 for name in of_g.names):
        raise UsageError(
            f"--init-from {source.path} {difference(prepared, source)}, and none of the {of_g.total} layers of G "
            f"fits{advice(prepared, source)}."
        )
    if getattr(recipe, "trained", False) and not of_g.is_whole:
        raise UsageError(
            f"--init-from {source.path} {difference(prepared, source)}; the first stage of recipe {config.recipe} is "
            f"skipped only if all of G fits, or with --autoencoder{advice(prepared, source)}."
        )
    frozen = {name for name, weight in prepared.step.state.d.named_parameters() if not weight.requires_grad}
    if config.freeze_d and of_d and frozen - of_d.names:
        raise UsageError(
            f"--freeze-d {config.freeze_d}: the lowest layers of D are new, since {source.path} "
            f"{difference(prepared, source)}; freeze none{advice(prepared, source)}."
        )
