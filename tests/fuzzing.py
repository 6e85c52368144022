"""Feeds damaged and hostile files to everything that reads files, in a process with little memory.

    python tests/fuzzing.py --cases 5000 --seed 0

Whatever is read must be used or refused with an error of gancli's own within seconds. Prints the first case that
ends otherwise and leaves with 1.
"""

import argparse
import io
import json
import logging
import os
import random
import resource
import signal
import string
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from sample_pictures import encoded, folder, picture

from gancli import config as configuration
from gancli import data, train
from gancli.artifacts import checkpoint
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.data import PictureOptions
from gancli.errors import GancliError
from gancli.machine.distributed import Group
from gancli.runs import doctor as checkup
from gancli.runs.prepare import after_rollbacks, prepare
from gancli.runs.resolve import recipe_of
from gancli.sampling.generator import draw, load_generator

SECONDS, MEMORY = 20, 3 * 2**30
"""What one case may take, and what all of them may allocate beyond what the libraries need."""
Reader = Callable[[Path], object]


class Hang(BaseException):
    """A case took too long."""


def generator(path: Path) -> object:
    """What ``gancli sample`` does with a file."""
    return next(draw(load_generator(path, torch.device("cpu")), [0]))


def resumed(path: Path) -> object:
    """What ``gancli train --resume`` does first."""
    return checkpoint.load(path).step


def restored(run: Path) -> Reader:
    """What ``gancli train --resume`` does with a checkpoint of a run, and the first step after it."""
    prepared = prepare(configuration.build(TrainConfig, configuration.load_toml(run / "config.toml"), "it"), Group())

    def restored(path: Path) -> object:
        step = after_rollbacks(prepared, 0).step
        checkpoint.restore(step.state, checkpoint.load(path))
        return step()

    return restored


def doctor(path: Path) -> object:
    """What ``gancli doctor`` does with ``metrics.jsonl``."""
    run = path.with_name("doctored")
    run.mkdir(exist_ok=True)
    (run / "metrics.jsonl").write_bytes(path.read_bytes())
    examined = checkup.examine(run)
    return [str(finding) for finding in examined.findings], examined.verdict


def settings(path: Path) -> object:
    """What ``gancli train --config`` does first."""
    return recipe_of(configuration.build(TrainConfig, configuration.load_toml(path), "the file"))


def pictures_of(path: Path) -> object:
    """What ``gancli train --data`` does with a folder of one picture among sound ones, or with a zip file."""
    options = PictureOptions(bad_images="skip")
    return data.load(str(path), size=(8, 8), options=options, cache=False).train.images[:1]


def beside_sound_ones(path: Path) -> object:
    """The picture in a folder with others."""
    place = path.with_name(f"{path.name}-folder")
    if not place.exists():
        folder(place, 30, height=9, width=9)
    target = place / f"strange{path.suffix}"
    target.write_bytes(path.read_bytes())
    try:
        return pictures_of(place)
    finally:
        target.unlink()


def seeds(scratch: Path) -> list[tuple[str, bytes, Reader]]:
    """A sound file of every kind, its suffix, and its reader."""
    out = scratch / "runs"
    found: list[tuple[str, bytes, Reader]] = []
    for recipe in ("vanilla", "progressive"):
        small = {"width": 2} if recipe == "progressive" else {}
        run = train(recipe=recipe, hyperparameters=small, steps=1, batch_size=4, out=str(out), progress="none")
        found.append((".pth", run.generator.read_bytes(), generator))
    found.append((".pt", RunFolder(run.run).checkpoint(1).read_bytes(), resumed))
    found.append((".pt", RunFolder(run.run).checkpoint(1).read_bytes(), restored(run.run)))
    found.append((".jsonl", measured(), doctor))
    found.append((".toml", (run.run / "config.toml").read_bytes(), settings))
    for kind, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("GIF", ".gif"), ("BMP", ".bmp"), ("TIFF", ".tif")):
        found.append((suffix, encoded(picture(3, 12, 12), kind), beside_sound_ones))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(40):
            file.writestr(f"a/{number}.png", encoded(picture(number, 9, 9)))
        labels = [[f"a/{number}.png", number % 3] for number in range(40)]
        file.writestr("dataset.json", json.dumps({"labels": labels}))
    found.append((".zip", archive.getvalue(), pictures_of))
    return found


def measured() -> bytes:
    """Metrics of a run that fails."""
    signs = {
        "separation": 1.0,
        "memorised": 0.1,
        "g_gradient": 1e-9,
        "diversity": 0.1,
        "duplicates": 0.9,
        "contrast": 1.0,
    }
    values = {f"health/{name}": value for name, value in signs.items()} | {"d/adv": 0.01, "health/d_left": 0.01}
    return "".join(json.dumps({"step": 100 * i, "epoch": 0.1} | values) + "\n" for i in range(1, 20)).encode()


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to four changes of bytes; in archives as often those of a member, with its checksum made right again."""
    if content[:2] == b"PK" and draw.random() < 0.6:
        return _in_a_member(content, draw)
    for _ in range(draw.randint(1, 4)):
        content = _changed(content, draw)
    return content


def _in_a_member(content: bytes, draw: random.Random) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        members = old.namelist()
        plain = [name for name in members if name.endswith((".pkl", ".json"))]
        victim = draw.choice(plain if plain and draw.random() < 0.8 else members)
        for name in members:
            inside = old.read(name)
            for _ in range(draw.randint(1, 3) if name == victim else 0):
                inside = _changed(inside, draw)
            new.writestr(name, inside)
    return target.getvalue()


def _changed(content: bytes, draw: random.Random) -> bytes:
    if not content:
        return b"\x00"
    place, kind = draw.randrange(len(content)), draw.randrange(8)
    length = min(len(content) - place, draw.choice([1, 2, 4, 8, 64]))
    rest = content[place + length :]
    if kind == 0:
        return content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :]
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + draw.randbytes(length) + rest
    if kind == 3:  # numbers that lie
        return content[:place] + draw.choice([b"\xff", b"\x7f", b"\x00", b"\x80"]) * length + rest
    if kind == 4:
        return content[:place] + content[place : place + length] * draw.choice([2, 100]) + rest
    if kind == 5:
        letters = "".join(draw.choice(string.printable) for _ in range(length))
        return content[:place] + letters.encode() + rest
    if kind == 6:  # nested as deep as no reader goes
        return content[:place] + draw.choice([b"[", b'{"a":', b"{a=", b"a."]) * draw.choice([50, 5000, 100_000]) + rest
    return content[:place] + b"1" + b"0" * draw.choice([3, 9, 18, 400, 5000]) + rest


def hostile_generators(sound: bytes, scratch: Path) -> list[tuple[str, bytes, Reader]]:
    """Files that are whole but lie: sizes, hyperparameters and kinds of values that no network has."""
    changes: list[dict[str, Any]] = [
        {"spec": {"channels": 10**9, "height": 8, "width": 8}}, {"spec": {"channels": -1, "height": 8, "width": 8}},
        {"spec": {"channels": 1, "height": 10**6, "width": 10**6}}, {"spec": {"channels": "1", "height": 8.5}},
        {"spec": {"channels": 1, "height": 0, "width": 0}}, {"spec": 3}, {"spec": None}, {"classes": 7},
        {"hyperparameters": {"latent_dim": 10**12}}, {"hyperparameters": {"latent_dim": -5}},
        {"hyperparameters": {"latent_dim": "many"}}, {"hyperparameters": []}, {"recipe": 5}, {"recipe": "../x"},
        {"recipe": "base"}, {"weights": {}}, {"weights": None}, {"weights": {"a": torch.zeros(1)}}, {"steps": "x"},
        {"weights": {"layers.0.weight": torch.zeros(1).expand(10**6, 10**6)}}, {"options": 4}, {"data": 7},
        {"hyperparameters": {"latent_dim": endless()}}, {"format": endless()}, {"classes": endless()},
        {"role": endless()}, {"spec": {"channels": endless()}}, {"version": endless()}, {"recipe": "x" * 10**7},
    ]  # fmt: skip
    content = torch.load(io.BytesIO(sound), weights_only=True)
    found = []
    for change in changes:
        file = io.BytesIO()
        torch.save(content | change, file)
        found.append((".pth", file.getvalue(), generator))
    return found


def endless() -> list[Any]:
    """Ten references to ten references and so on: a few bytes that stand for more than any memory."""
    value: list[Any] = ["ha"]
    for _ in range(12):
        value = [value] * 10
    return value


def attempt(reader: Reader, path: Path) -> str:
    """used or refused; anything else is raised."""

    def stop(number: int, frame: object) -> None:
        raise Hang(f"it took more than {SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        reader(path)
        return "used"
    except GancliError as error:
        if len(str(error).splitlines()) != 1:
            raise
        return "refused"
    finally:
        signal.alarm(0)


def main() -> None:
    """Read so many files that were changed at random, and all of those that lie."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable()
    draw, ends = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        sound = seeds(scratch)
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        lying = hostile_generators(sound[0][1], scratch)
        for number in range(len(sound) + len(lying) + options.cases):
            if number < len(sound) + len(lying):
                suffix, content, reader = [*sound, *lying][number]
            else:
                suffix, content, reader = sound[draw.randrange(len(sound))]
                content = mutated(content, draw)
            path = scratch / f"case{suffix}"
            path.write_bytes(content)
            try:
                end = attempt(reader, path)
            except BaseException:
                traceback.print_exc()
                print(f"case {number} of seed {options.seed}, {reader.__name__}: neither used nor refused")
                Path(tempfile.gettempdir(), f"gancli-fuzz{suffix}").write_bytes(content)
                sys.exit(1)
            assert end == "used" or number >= len(sound), f"the sound file {number} was refused"
            ends[f"{reader.__name__} {end}"] += 1
    print(dict(ends))


if __name__ == "__main__":
    main()
