"""Identify a file that gancli wrote, and check whether it is sound."""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageSequence, UnidentifiedImageError

from gancli.artifacts import checkpoint, network_file
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig, build, load_toml
from gancli.deploy.model_files import SUFFIXES, about_file, runner
from gancli.deploy.proof_of_model import prove_model
from gancli.deploy.proof_of_origin import FORMS, Proof, prove
from gancli.errors import FileFormatError, GancliError, UsageError, counted
from gancli.evaluation import load_report
from gancli.evaluation.sources.arrays import read_array
from gancli.runs.doctor import examine
from gancli.sampling import embedding, film
from gancli.sampling.generator import LoadedGenerator, build_generator, generator_of, recipe_of
from gancli.sampling.mark import Mark, mark_in
from gancli.steps import switches

CPU = torch.device("cpu")
Facts = dict[str, Any]


@dataclass(frozen=True)
class Inspected:
    """The result of an inspection."""

    path: Path
    kind: str
    """``picture``, ``generator``, ``checkpoint``, ...; ``unknown`` for what gancli does not write."""
    facts: Mapping[str, Any]
    problem: str | None = None
    """The reason why the file is not sound, in one line; None if it is sound."""
    mark: Mark | None = None
    """The mark of a picture or an array."""
    proof: Proof | None = None

    @property
    def is_fine(self) -> bool:
        """True if the file is sound and any test of its origin has confirmed it."""
        return self.problem is None and (self.proof is None or self.proof.verdict == "same")

    def as_dict(self) -> Facts:
        """Plain data."""
        proof = {} if self.proof is None else {"proof": asdict(self.proof)}
        mark = {} if self.mark is None else {"mark": _said_by(self.mark)}
        sound = {"path": str(self.path), "kind": self.kind, "sound": self.problem is None, "problem": self.problem}
        return sound | dict(self.facts) | mark | proof


def inspect(path: Path, against: LoadedGenerator | None = None, label_font: str | None = None) -> Inspected:
    """Inspect a file or folder; with ``against``, test if it comes from that generator. UsageError if it is missing."""
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder.")
    kind, look = _kind_of(path)
    try:
        inspected = look(path)
    except (GancliError, OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        problem = " ".join(str(getattr(error, "strerror", None) or error).split())
        return Inspected(path, kind, {}, problem or f"it cannot be read ({type(error).__name__})")
    if against is None or inspected.kind not in ("picture", "array", "model"):
        return inspected
    if inspected.kind == "model":
        return replace(inspected, proof=_proof_of_model(path, inspected.facts, against))
    return replace(inspected, proof=prove(path, inspected.mark, against, label_font))


Look = Callable[[Path], Inspected]


def _kind_of(path: Path) -> tuple[str, Look]:
    if path.is_dir():
        return "run", _run
    by_suffix: dict[str, tuple[str, Look]] = {
        ".pth": ("network", _network), ".pt": ("checkpoint", _checkpoint), ".npz": ("array", _array),
        ".npy": ("array", _array), ".json": ("report", _report), ".toml": ("configuration", _configuration),
    }  # fmt: skip
    if path.name == "dataset.json":
        return "labels", _labels
    by_suffix |= dict.fromkeys(SUFFIXES, ("model", _model))
    return by_suffix.get(path.suffix.lower(), ("picture", _picture))


def _picture(path: Path) -> Inspected:
    content = path.read_bytes()
    if film.is_mp4(content):
        return _video(path, content)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=tuple(FORMS)) as picture:
            facts: Facts = {"format": picture.format, "width": picture.width, "height": picture.height}
            facts |= _length(getattr(picture, "n_frames", 1))
            for frame in ImageSequence.Iterator(picture):
                frame.load()
            packet = embedding.packet_in_picture(picture, content)
    except UnidentifiedImageError:
        return Inspected(path, "unknown", {}, "it is no file that gancli writes, or its beginning is damaged")
    return _marked(Inspected(path, "picture", facts), packet)


def _video(path: Path, content: bytes) -> Inspected:
    frames, height, width, _ = film.frames_of_mp4(content).shape
    facts = {"format": "MP4", "width": width, "height": height} | _length(frames)
    return _marked(Inspected(path, "picture", facts), embedding.packet_in_mp4(content))


def _length(frames: int) -> Facts:
    return {"frames": frames} if frames > 1 else {}


def _array(path: Path) -> Inspected:
    array = read_array(str(path))
    if not isinstance(array, torch.Tensor):
        return Inspected(path, "features", {"holds": type(array).__name__.lower()})
    facts = {"images": len(array), "channels": array.shape[1], "height": array.shape[2], "width": array.shape[3]}
    return _marked(Inspected(path, "array", facts), embedding.packet_in_array(path))


def _marked(inspected: Inspected, packet: bytes | None) -> Inspected:
    """Add the mark in the packet; if it cannot be read, add the reason as the problem."""
    try:
        return replace(inspected, mark=mark_in(packet) if packet else None)
    except FileFormatError as error:
        return replace(inspected, problem=str(error).rstrip("."))


def _said_by(mark: Mark) -> Facts:
    values = {
        "generator": mark.generator, "recipe": mark.recipe, "version": mark.version, "composite": mark.is_composite,
        "seed": mark.seed, "numbers": mark.numbers_in_words or None, "classes": list(mark.classes) or None,
        "condition": mark.condition or None,
        "truncation": mark.truncation, "frames_between": mark.frames if mark.frames > 1 else None,
        "mixed": mark.mixed or None, "frame": mark.frame,
        "producer": mark.producer, "label": mark.label,
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


def _network(path: Path) -> Inspected:
    content = network_file.load_any(path)
    if content.role == "generator":
        build_generator(content, CPU)
    else:
        with torch.device("meta"):
            _, outline = switches.networks(recipe_of(content.origin), content.origin.spec)
        network_file.require_fit(outline, content.weights, content.role)
    return Inspected(path, content.role, _facts_of(content) | {"sha256": sha256_of(path)})


def _checkpoint(path: Path) -> Inspected:
    saved = checkpoint.load(path)
    generator = generator_of(saved)
    build_generator(generator, CPU)
    return Inspected(path, "checkpoint", _facts_of(generator) | {"sha256": sha256_of(path)})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _facts_of(file: network_file.NetworkFile) -> Facts:
    origin = file.origin
    facts: Facts = {
        "recipe": origin.recipe, "data": origin.data, "image": "x".join(map(str, origin.spec.shape)),
        "classes": len(origin.classes), "steps": file.steps, "images_seen": file.images_seen,
        "values": sum(each.numel() for each in file.weights.values()),
    }  # fmt: skip
    if origin.conditions is not None:
        facts["conditions"] = {name: list(ends) for name, ends in origin.conditions.ranges.items()}
    return facts | ({"generator": network_file.identity(origin, file.weights)} if file.role == "generator" else {})


def _model(path: Path) -> Inspected:
    return Inspected(path, "model", about_file(path))


def _proof_of_model(path: Path, about: Mapping[str, str], generator: LoadedGenerator) -> Proof:
    """Test whether an exported model draws the same images as the generator."""
    suffix, precision = path.suffix.lower(), about.get("precision", "fp32")
    try:
        run = runner(suffix, path.read_bytes(), generator)
        proof = prove_model(run, generator, "uint8" in about.get("output", ""), precision)
    except Exception as error:  # each runtime has its own errors for wrong shapes
        return Proof("differs", f"it is no model of this generator ({' '.join(str(error).split())[:200]})")
    return Proof("same" if proof.holds else "differs", str(proof))


def _run(path: Path) -> Inspected:
    folder = RunFolder(path)
    if not folder.config.is_file():
        return Inspected(path, "unknown", {}, "it is not the folder of a run (it has no config.toml)")
    config = _configuration(folder.config).facts
    parts = [*folder.checkpoints(), *(p for p in (folder.generator, folder.discriminator, folder.best_generator)
                                      if p.exists())]  # fmt: skip
    broken = [each for each in map(inspect, parts) if each.problem is not None]
    facts = dict(config) | {"checkpoints": len(folder.checkpoints())}
    if folder.metrics.is_file():
        checkup = examine(path)
        facts |= {"steps": checkup.steps, "verdict": checkup.verdict}
    if not broken:
        return Inspected(path, "run", facts)
    rest = f" (and {counted(len(broken) - 1, 'other file')})" if len(broken) > 1 else ""
    return Inspected(path, "run", facts, f"{broken[0].path.relative_to(path)}: {broken[0].problem}{rest}")


def _configuration(path: Path) -> Inspected:
    config = build(TrainConfig, load_toml(path), str(path))
    return Inspected(path, "configuration", {"recipe": config.recipe, "data": config.data})


def _labels(path: Path) -> Inspected:
    document = json.loads(path.read_bytes())
    labels = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(labels, list | dict):
        raise ValueError("it has no list of labels")
    assert isinstance(document, dict)
    named = {name: document[name] for name in ("classes", "conditions") if document.get(name)}
    return Inspected(path, "labels", {"pictures": len(labels)} | named)


def _report(path: Path) -> Inspected:
    report = load_report(path)
    figures = {figure.name: round(figure.value, 4) for figure in report.figures}
    return Inspected(path, "report", {"generated": report.generated, "data": report.data} | figures)
