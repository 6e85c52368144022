"""``gancli sample``."""

from typing import TYPE_CHECKING

from gancli.cli import output
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.config.sample_command import SampleFlags


def sample(told: "SampleFlags") -> None:
    """Draw images from a trained generator.

    [bold]gancli sample latest --n 1000 --out images[/]

    [bold]gancli sample runs/0001-digits-r3gan --seeds 0-7 --interpolate 25 --out walk.gif[/]
    """
    output.set_up_log(told.quiet)
    from gancli.config.sample_command import Marking, Sampling
    from gancli.config.settings import part_of
    from gancli.sampling import output as sample_output
    from gancli.sampling.plan import plan_sample
    from gancli.sampling.stamping import stamper_for

    if told.classes is not None and told.one_class:
        raise UsageError("--classes and --class exclude each other; give one of them.")
    target = sample_output.target(told.out, told.overwrite, told.form, told.interpolate is not None)
    stamper = stamper_for(part_of(told, Marking), target.path.suffix.lower())
    drawing = plan_sample(part_of(told, Sampling, classes=told.one_class or told.classes))
    with output.bar("drawing", len(drawing.numbers), told.quiet) as advance:
        batches, stamp = output.counted(drawing.batches, advance), stamper.stamp(drawing.mark)
        sample_output.write(target, batches, drawing.numbers, drawing.columns, stamp, drawing.labelled)
    output.print_result({"samples": str(target.path), "n": len(drawing.numbers)}, told.json)
