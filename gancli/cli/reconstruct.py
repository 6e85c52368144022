"""``gancli reconstruct``."""

from pathlib import Path
from typing import Annotated

from typer import Option

from gancli.cli import output


def reconstruct(
    ckpt: Annotated[Path, Option(metavar="FILE", help="A generator file of a recipe with an encoder, such as vaegan.")],
    data: Annotated[
        str | None,
        Option(metavar="NAME|DIR|ZIP", help="Whose held-out images. [dim]\\[default: what it was trained on][/]"),
    ] = None,
    data_root: Annotated[Path | None, Option(envvar="GANCLI_DATA_ROOT", help="Where named data sets are.")] = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            help="Rows of images above their reconstructions (.png), or the reconstructions as an array (.npy) or in a "
            "folder. [dim]\\[default: samples-0001.png, counted up][/]",
        ),
    ] = None,
    n: Annotated[int, Option("--n", "-n", help="How many of the held-out images, the first ones.")] = 64,
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what is at --out.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Encode held-out images and draw them again from their code.

    [bold]gancli reconstruct --ckpt runs/0001-digits-vaegan/gen.pth --out pairs.png[/]
    """
    output.set_up_log(quiet)
    from gancli import api
    from gancli.sampling import output as sample_output
    from gancli.sampling import reconstruction

    target = sample_output.target(out, overwrite)
    images, rebuilt = api.reconstruct(ckpt, data=data, data_root=data_root, n=n, device=device)
    if target.kind == "grid":
        sample_output.write_picture(target, reconstruction.beside(images, rebuilt))
    else:
        sample_output.write(target, [rebuilt], range(len(rebuilt)))
    error = (images.float() - rebuilt.float()).square().mean().sqrt().item()
    output.print_result({"samples": str(target.path), "n": len(rebuilt), "rmse": round(error, 2)}, as_json)
