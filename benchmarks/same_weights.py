"""Whether a change of the code leaves every recipe's weights as they were, bit for bit.

    python benchmarks/same_weights.py before.json            # record, with the code before the change
    python benchmarks/same_weights.py --check before.json    # compare, with the code after it
    python benchmarks/same_weights.py now.json --only colour/dcgan digits/r3gan

Trains each case for a few steps on one CPU thread, through the command line alone, and writes the SHA-256 of the
weights, of what a checkpoint holds, of the metrics and of some samples. A recorded file holds only for the machine and
the torch that made it. Compiled code is kept between calls where TORCHINDUCTOR_CACHE_DIR names a folder.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import sklearn.datasets  # noqa: F401  as the two below: once, so that not every case spends seconds on it
import torch
import torch._dynamo
import torch.utils.tensorboard
from PIL import Image

import gancli
from gancli.__main__ import main as command_line

SHARED = "--threads 1 --device cpu --set matmul=default --watch-every 4 --log-every 2 --sample-every 0 --quiet"
"""Nothing is left to what a machine measures."""
TIME = re.compile("second|_per_s|memory")
STEPS = 8
BATCH = 16


@dataclass(frozen=True)
class Case:
    """One run, or several of which each goes on from the one before it."""

    flags: tuple[str, ...]
    """Of each ``gancli train``; ``{previous}`` is the folder of the run before it, ``{data}`` that of the pictures."""
    exit_code: int = 0


def case(*flags: str, exit_code: int = 0) -> Case:
    """A case of so many runs; lengths and batches are the usual unless named."""
    lengths = {"--steps": STEPS, "--batch-size": BATCH}
    usual = [" ".join(f"{flag} {value}" for flag, value in lengths.items() if flag not in each) for each in flags]
    return Case(tuple(f"{each} {more}" for each, more in zip(flags, usual, strict=True)), exit_code)


PICTURES = "acgan began cgan dcgan dragan fastgan improved lsgan pacgan progressive projection r3gan sngan unrolled"
PICTURES += " vaegan vanilla wgan wgan-gp"
POINTS = "dcgan dragan lsgan pacgan r3gan sngan unrolled vanilla wgan wgan-gp"
COLOURED = "acgan dcgan fastgan progressive r3gan vaegan"
COLOUR, RGBA = "--data {data}/colour --labels folder", "--data {data}/rgba --alpha keep --color rgba"
OPTIONS = {
    "default/digits": case(""),
    "default/ring": case("--data ring"),
    "augment/ada": case("--recipe dcgan --augment ada --steps 12"),
    "augment/diffaug": case(f"{COLOUR} --recipe dcgan --augment diffaug"),
    "accumulate/r3gan": case("--recipe r3gan --augment none --accumulate 2"),
    "accumulate/wgan-gp": case("--recipe wgan-gp --accumulate 2 --steps 4"),
    "compile/vanilla": case("--recipe vanilla --compile on"),
    "compile/r3gan-ring": case("--data ring --recipe r3gan --compile on"),
    "precision/bf16": case("--recipe dcgan --precision bf16"),
    "precision/fp16": case("--recipe dcgan --precision fp16"),
    "mirror": case(f"{COLOUR} --recipe dcgan --mirror"),
    "streamed": case(f"{COLOUR} --recipe dcgan --no-cache --image-size 16"),
    "top-k": case("--recipe dcgan --top-k .5"),
    "r1": case("--recipe vanilla --set r1_gamma=.5 --set objective=saturating"),
    "d-steps": case("--recipe lsgan --set d_steps=2 --set ema_half_life=0"),
    "residual": case(f"{COLOUR} --recipe r3gan --image-size 8 --set network=residual --set width=16 --steps 3"),
    "init-from": case("--recipe dcgan", "--recipe dcgan --init-from {previous} --freeze-d 2 --seed 1"),
    "resume/dcgan": case("--recipe dcgan --steps 4 --save-every 3", "--resume {previous} --steps 8"),
    "resume/r3gan": case("--recipe r3gan --augment ada --steps 5 --save-every 3", "--resume {previous} --steps 9"),
    "resume/progressive": case("--recipe progressive --epochs .04", "--resume {previous} --epochs .08"),
    "batch-size-auto": case("--recipe dcgan --batch-size auto"),
    "evaluated": case("--recipe dcgan --eval-every 4 --save-every 4"),
    "rollback": case(
        "--recipe vanilla --set d_lr=2e-3 --set g_lr=1e-5 --steps 2000 --watch-every 20 --save-every 40 "
        "--on-failure rollback",
        exit_code=3,
    ),
}
CASES = {
    **{f"digits/{name}": case(f"--recipe {name}") for name in PICTURES.split()},
    **{f"ring/{name}": case(f"--data ring --recipe {name}") for name in POINTS.split()},
    "grid/r3gan": case("--data grid --recipe r3gan"),
    **{f"colour/{name}": case(f"{COLOUR} --recipe {name} --image-size 16 --steps 4") for name in COLOURED.split()},
    **{f"rgba/{name}": case(f"{RGBA} --recipe {name}") for name in ("dcgan", "r3gan", "vanilla")},
    **OPTIONS,
}


def write_pictures(folder: Path) -> None:
    """Eighty pictures of 32 x 32 pixels in two classes, and eighty with transparency of 8 x 12."""
    random = np.random.default_rng(0)
    for number in range(80):
        for name, shape in (f"colour/{'ab'[number % 2]}", (32, 32, 3)), ("rgba", (8, 12, 4)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / name / f"{number:02}.png")


def run_command(words: list[str], log: Path) -> int:
    """The exit code of ``gancli`` with these words, in a copy of this process, which has imported torch."""
    process = multiprocessing.get_context("fork").Process(target=_command, args=(words, log))
    process.start()
    process.join()
    return process.exitcode if process.exitcode is not None else -1


def _command(words: list[str], log: Path) -> None:
    with log.open("a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = ["gancli", *words]
    command_line()


def digests_of(chosen: Case, folder: Path, data: Path) -> dict[str, str]:
    """Train, and give the digests of what the last run left, each by the name of what it is of."""
    folder.mkdir()
    log, previous = folder / "log.txt", ""
    for number, flags in enumerate(chosen.flags):
        out = folder / str(number)
        words = flags.format(previous=previous, data=data).split()
        if "--resume" not in words:
            words += [*SHARED.split(), "--out", str(out)]
        else:
            words += ["--quiet"]
            words = _without(words, "--batch-size")
        code = run_command(["train", *words], log)
        if code != chosen.exit_code:
            return {"exit code": f"{code}: {' '.join(log.read_text().split())[-300:]}"}
        previous = str(next(out.iterdir())) if out.exists() else previous
    return {"exit code": str(chosen.exit_code)} | dict(_of_run(Path(previous), log))


def _without(words: list[str], flag: str) -> list[str]:
    """The words without a flag and its value."""
    return [word for before, word in zip(["", *words], words, strict=False) if flag not in (before, word)]


def _of_run(run: Path, log: Path) -> Iterator[tuple[str, str]]:
    checkpoints = sorted((run / "checkpoints").glob("*.pt"))
    for path in (run / "gen.pth", run / "dis.pth"):
        if path.exists():
            yield path.name, digest(torch.load(path, weights_only=True)["weights"])
    if checkpoints:
        state = torch.load(checkpoints[-1], weights_only=True)["state"]
        for name, value in state.items():
            if name != "seconds":
                yield f"checkpoint {name}", digest(value)
    yield "checkpoints", digest([path.name for path in checkpoints])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    yield "metrics", digest([{k: v for k, v in line.items() if not TIME.search(k)} for line in lines])
    generators = [path for path in (run / "gen.pth", *checkpoints[-1:]) if path.exists()]
    for ckpt in generators[:1]:
        drawn = run / "drawn.npy"
        code = run_command(f"sample --ckpt {ckpt} --n 12 --seed 3 --device cpu --out {drawn} -q".split(), log)
        yield "sample", digest(torch.from_numpy(np.load(drawn))) if code == 0 else f"exit code {code}"


def digest(value: Any) -> str:
    """SHA-256 of tensors and plain data, whatever the order of a table's rows."""
    found = hashlib.sha256()
    _feed(found, value)
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for name in sorted(value, key=str):
            found.update(f"{name}:".encode())
            _feed(found, value[name])
    elif isinstance(value, list | tuple):
        for each in value:
            _feed(found, each)
    elif isinstance(value, torch.Tensor):
        found.update(f"{value.dtype}{tuple(value.shape)}".encode())
        found.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    else:
        found.update(f"{value!r};".encode())


def measured(names: list[str], out: Path | None) -> dict[str, dict[str, str]]:
    """The digests of these cases by name, with a line on stderr for each; ``out`` is written after each of them."""
    assert callable(gancli.train)  # imports what every case needs, once
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = str(Path(temporary) / "cache")
        write_pictures(Path(temporary))
        for name in names:
            began = time.perf_counter()
            found[name] = digests_of(CASES[name], Path(temporary) / name.replace("/", "-"), Path(temporary))
            if out:
                out.write_text(json.dumps({"machine": machine(), "cases": found}, indent=1) + "\n")
            print(f"{name:24} {time.perf_counter() - began:5.1f} s", file=sys.stderr)
    return found


def differences(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """A row for each digest that is not the same: case, part, before, now."""
    return [
        [name, part, before.get(name, {}).get(part, "none"), digests.get(part, "none")]
        for name, digests in now.items()
        for part in sorted({*before.get(name, {}), *digests})
        if before.get(name, {}).get(part) != digests.get(part)
    ]


def machine() -> str:
    """What a recorded file depends on beside the code."""
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def main() -> None:
    """Record or compare; exit code 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, help="file to write")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with a recorded file")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="cases whose names begin so; default: all"
    )
    asked = parser.parse_args()
    names = [name for name in CASES if not asked.only or name.startswith(tuple(asked.only))]
    recorded = json.loads(asked.check.read_text()) if asked.check else None
    found = {"machine": machine(), "cases": measured(names, asked.out)}
    failed = [name for name in names if set(found["cases"][name]) == {"exit code"}]
    for name in failed:
        print(f"{name} failed: {found['cases'][name]['exit code']}", file=sys.stderr)
    if recorded is None:
        sys.exit(bool(failed))
    if recorded["machine"] != found["machine"]:
        print(f"recorded on another machine: {recorded['machine']}; this is {found['machine']}", file=sys.stderr)
    rows = differences(recorded["cases"], found["cases"])
    for name, part, before, now in rows:
        print(f"{name:24} {part:24} {before[:16]:16} -> {now[:80] if now.count(':') else now[:16]}")
    print(f"{len(rows)} differences in {len({row[0] for row in rows})} of {len(names)} cases")
    sys.exit(bool(rows))


if __name__ == "__main__":
    main()
