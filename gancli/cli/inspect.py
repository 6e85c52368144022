"""``gancli inspect``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gancli.cli import output

if TYPE_CHECKING:
    from gancli.config.deploy_command import InspectFlags
    from gancli.deploy.inspection import Inspected


def inspect(told: "InspectFlags") -> None:
    """Say what a file is, whether it is sound, and where a picture comes from.

    Exits with 1 if a file is damaged or foreign, or if a picture is not what --ckpt draws.

    [bold]gancli inspect picture.png --ckpt gen.pth[/]
    """
    output.set_up_log(told.quiet)
    from gancli.artifacts.lookup import generator_called
    from gancli.deploy.inspection import inspect as inspected_at
    from gancli.machine import devices
    from gancli.sampling.generator import load_generator

    against = load_generator(generator_called(told.ckpt), devices.select(told.device)) if told.ckpt else None
    all_inspected = []
    for name in told.files:
        inspected = inspected_at(Path(name), against, told.label_font)
        all_inspected.append(inspected)
        if not told.json:
            print() if len(all_inspected) > 1 else None
            output.print_result(_in_words(inspected), False)
    if told.json:
        output.print_result({"files": [each.as_dict() for each in all_inspected]}, True)
    if not all(each.is_fine for each in all_inspected):
        raise typer.Exit(1)


def _in_words(inspected: "Inspected") -> dict[str, Any]:
    """Lines for people."""
    lines = inspected.as_dict()
    sound, problem = lines.pop("sound"), lines.pop("problem")
    mark, proof = lines.pop("mark", None), lines.pop("proof", None)
    lines["sound"] = "yes" if sound else f"no: {problem}"
    if inspected.kind in ("picture", "array"):
        lines["mark"] = "none; nothing says where it comes from" if mark is None else _sentence(mark)
        lines |= {name: _listed(value) for name, value in (mark or {}).items() if name not in ("composite", "version")}
    if inspected.kind in ("generator", "checkpoint") and "conditions" in lines:
        ends = lines["conditions"].items()
        lines["conditions"] = "; ".join(f"{name} {least:g} to {most:g}" for name, (least, most) in ends)
    if proof is not None:
        lines["proof"] = f"{proof['verdict']}: {proof['reason']}"
    return lines


def _sentence(mark: dict[str, Any]) -> str:
    made = "made from a picture" if mark["composite"] else "generated"
    return f"{made} by gancli {mark['version']}"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
