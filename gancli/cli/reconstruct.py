"""``gancli reconstruct``."""

from typing import TYPE_CHECKING

from gancli.cli import output

if TYPE_CHECKING:
    from gancli.config.sample_command import ReconstructFlags


def reconstruct(told: "ReconstructFlags") -> None:
    """Encode held-out images and draw them again from their code.

    [bold]gancli reconstruct runs/0001-digits-vaegan --out pairs.png[/]
    """
    output.set_up_log(told.quiet)
    from gancli.config.sample_command import Reconstructing
    from gancli.config.settings import part_of
    from gancli.runs.reconstruct import reconstructed
    from gancli.sampling import output as sample_output
    from gancli.sampling import reconstruction

    target = sample_output.target(told.out, told.overwrite)
    images, rebuilt = reconstructed(part_of(told, Reconstructing))
    if target.kind == "grid":
        sample_output.write_picture(target, reconstruction.beside(images, rebuilt))
    else:
        sample_output.write(target, [rebuilt], range(len(rebuilt)))
    error = (images.float() - rebuilt.float()).square().mean().sqrt().item()
    output.print_result({"samples": str(target.path), "n": len(rebuilt), "rmse": round(error, 2)}, told.json)
