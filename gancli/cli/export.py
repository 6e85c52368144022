"""``gancli export``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.cli import output
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.config.deploy_command import ExportFlags
    from gancli.deploy.exporting import Exported

SPEED = "one image in {median_ms:.2f} ms (p95 {p95_ms:.2f} ms), {images_per_s:,.0f} images/s in batches of 64"


def export(told: "ExportFlags") -> None:
    """Write a generator as a model that runs without gancli, and prove that it draws the same images.

    Exits with 1, and writes nothing, if it would draw others.

    [bold]gancli export latest --to model.onnx --uint8[/]
    """
    output.set_up_log(told.quiet)
    from gancli.config.deploy_command import Exporting
    from gancli.config.settings import part_of
    from gancli.deploy.card import write_card
    from gancli.deploy.exporting import export as exported_by

    if told.to is None and told.card is None:
        raise UsageError("--to FILE.onnx, FILE.safetensors or FILE.pt2, or --card DIR, is needed.")
    result: dict[str, Any] = {}
    if told.to is not None:
        exported = exported_by(part_of(told, Exporting))
        result = exported.as_dict() if told.json else _in_words(exported)
    if told.card is not None:
        result["card"] = str(write_card(told.ckpt, Path(told.card)))
    output.print_result(result, told.json)


def _in_words(exported: "Exported") -> dict[str, Any]:
    """Lines for people."""
    speeds = {
        name: SPEED.format(**asdict(each))
        for name, each in (("torch", exported.torch), ("exported", exported.exported))
    }
    fd = None if exported.fd is None else "{:.3f} before, {:.3f} after".format(*exported.fd)
    size = f"{exported.bytes / 2**20:.1f} MiB"
    told = {"model": str(exported.path), "size": size, "proof": str(exported.proof), **speeds, "fd": fd}
    return told | {"note": exported.note}
