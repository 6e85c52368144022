"""``gancli reconstruct``."""

from typing import TYPE_CHECKING

from gancli.cli import output

if TYPE_CHECKING:
    from gancli.config.sample_command import ReconstructFlags


def reconstruct(told: "ReconstructFlags") -> None:
    """Encode held-out images, draw them again from their code, and measure how close they come.

    [bold]gancli reconstruct runs/0001-digits-vaegan --out pairs.png[/]
    """
    output.set_up_log(told.quiet)
    from gancli.config.sample_command import Marking, Reconstructing
    from gancli.config.settings import part_of
    from gancli.runs.reconstruct import closeness, reconstructed
    from gancli.sampling import output as sample_output
    from gancli.sampling import reconstruction
    from gancli.sampling.stamping import stamper_for
    from gancli.training.progress import decoding_progress

    target = sample_output.target(told.out, told.overwrite)
    stamper = stamper_for(part_of(told, Marking), target.path.suffix.lower())
    with decoding_progress("none" if told.quiet else "auto") as on_progress:
        made = reconstructed(part_of(told, Reconstructing), on_progress)
    images, rebuilt, stamp = made.images, made.rebuilt, stamper.stamp(made.mark)
    if target.kind == "grid":
        sample_output.write_picture(target, reconstruction.beside(images, rebuilt), stamp)
    else:
        sample_output.write(target, [rebuilt], range(len(rebuilt)), stamp=stamp)
    near = closeness(made)
    output.print_result(
        {
            "samples": str(target.path), "n": len(rebuilt), "measured": near.images, "rmse": round(near.rmse, 2),
            "psnr": round(near.psnr, 2) if near.rmse else None, "ssim": round(near.ssim, 4),
            "fd": None if near.fd is None else float(f"{near.fd:.4g}"), "extractor": near.extractor,
        },
        told.json,
    )  # fmt: skip
