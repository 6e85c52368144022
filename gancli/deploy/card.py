"""Write a model card from a run's records: a folder with a README in the format of model hubs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gancli import recipes
from gancli.artifacts.lookup import generator_called, run_called
from gancli.artifacts.run_folder import RunFolder
from gancli.config import load_toml
from gancli.config.sample_command import Sampling
from gancli.errors import UsageError, in_a_list
from gancli.evaluation import Report
from gancli.evaluation.sources.folders import report_of
from gancli.evaluation.tables import multiple, with_error
from gancli.files.atomic import write_atomically, write_text_atomically
from gancli.runs.doctor import examine
from gancli.sampling import output
from gancli.sampling.generator import LoadedGenerator, load_generator
from gancli.sampling.plan import plan_drawing
from gancli.sampling.stamping import Stamp
from gancli.version import __version__

SHOWN = 64
TO_FILL = "TODO"
"""Placeholder for facts that only a person can give."""
USE = """```sh
pip install gancli
gancli sample --ckpt gen.pth --n 64 --out samples.png
```"""


@dataclass(frozen=True)
class Records:
    """The records of a generator in its run's folder."""

    generator: LoadedGenerator
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    """Versions and hardware of the run's newest part; each resume begins a part."""
    report: Report | None
    """Report of the newest evaluation; None if there is none."""
    verdict: str | None


def write_card(ckpt: str | Path, folder: Path) -> Path:
    """Write ``README.md`` and ``samples.png`` into a new folder; returns the README's path.

    UsageError if the folder has files already, or if the generator is not in a run's folder.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"--card {folder} exists already; name a new folder.")
    path = generator_called(ckpt)
    records = records_of(run_called(path), path)
    drawing = plan_drawing(Sampling(path, n=SHOWN), lambda: records.generator)
    picture = output.content_of(torch.cat([*drawing.batches]), "png", drawing.columns, Stamp(drawing.mark))
    write_atomically(folder / "samples.png", lambda file: file.write(picture))
    write_text_atomically(folder / "README.md", "\n".join(card(records)) + "\n")
    return folder / "README.md"


def records_of(run: RunFolder, ckpt: Path) -> Records:
    """Read the records; missing ones are empty or None, but UsageError without a config.toml."""
    if not run.config.is_file():
        raise UsageError(f"--card needs the run that made the generator; {run.path} has no config.toml.")
    try:
        environment = json.loads((run.path / "environment.json").read_text())["parts"][-1]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        environment = {}
    try:
        report = report_of(run.path)
    except UsageError:
        report = None
    verdict = examine(run.path).verdict if run.metrics.is_file() else None
    generator = load_generator(ckpt, torch.device("cpu"))
    return Records(generator, load_toml(run.config), environment, report, verdict)


def card(records: Records) -> Iterator[str]:
    """The README's lines."""
    file = records.generator.file
    recipe, data = recipes.find(file.origin.recipe), Path(file.origin.data).name
    yield from _front_matter(records, data)
    yield f"\n# {recipe.title} of {data}\n\n![{SHOWN} images in a row, none chosen](samples.png)\n"
    channels, height, width = file.origin.spec.shape
    yield f"A generator of images of {height} x {width} pixels in {channels} channels, made with gancli {__version__}."
    yield f"Recipe `{file.origin.recipe}`: {recipe.paper}.\n\n## Use\n\n{USE}\n"
    if records.generator.classes:
        yield f"It draws these classes on demand: {', '.join(map(in_a_list, records.generator.classes))}.\n"
    if ranges := records.generator.ranges:
        known = ", ".join(f"{name} ({least:g} to {most:g})" for name, (least, most) in ranges.items())
        yield f"It draws by these conditions: {known}.\n"
    yield "Images are marked as generated in their metadata; please leave the mark in.\n"
    yield from _training(records, data)
    yield from _figures(records.report)
    yield "## Limits\n"
    yield f"- What the figures say: {records.verdict or 'the run was not watched'}."
    yield "- It knows what its training images show, with their gaps and their bias, and no more."
    yield f"- {TO_FILL}: what it should not be used for.\n\n## Licence\n"
    yield f"- Weights: {TO_FILL}, and in the head of this file.\n- Training images: {TO_FILL}: source, licence, consent"


def _front_matter(records: Records, data: str) -> Iterator[str]:
    yield f"---\nlicense: other  # {TO_FILL}: the licence of the weights\nlibrary_name: gancli"
    yield "pipeline_tag: unconditional-image-generation"
    yield f"tags:\n- gan\n- {records.generator.file.origin.recipe}\ndatasets:\n- {json.dumps(data)}\n---"


def _training(records: Records, data: str) -> Iterator[str]:
    file, environment = records.generator.file, records.environment
    rows = {
        "data": f"{data}, fingerprint `{file.origin.fingerprint}`; the held-out split was never trained on",
        "steps": f"{file.steps:,}",
        "images seen": f"{file.images_seen:,}",
        "batch": records.config.get("batch_size"),
        "values": f"{sum(each.numel() for each in file.weights.values()):,}",
        "hardware": ", ".join(str(environment[name]) for name in ("processor", "device") if environment.get(name)),
        "torch": environment.get("torch"),
        "generator": f"`{records.generator.identity}`",
    }
    yield "## Training\n\n| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows.items() if value)
    yield ""


def _figures(report: Report | None) -> Iterator[str]:
    yield "## Figures\n"
    if report is None:
        yield f"{TO_FILL}: the run was not evaluated; `gancli eval --run RUN` does it.\n"
        return
    yield f"Against the {report.split} images, with features `{report.extractor}`. Real images score the baseline.\n"
    yield "| metric | value | real images | times real | N | better |\n|---|---|---|---|---|---|"
    for each in report.figures:
        baseline = with_error(each.baseline, each.baseline_error)
        cells = each.name, with_error(each.value, each.error), baseline, multiple(each.times_real), f"{each.n:,}"
        yield f"| {' | '.join(cells)} | {each.better} |"
    yield ""
    said = [*report.findings, *report.warnings]
    yield from (f"- {sentence}" for sentence in said)
    yield from [""] if said else []
