"""Which GAN draws colour pictures worth keeping, in how many minutes: recipes side by side, with figures and pictures.

    python benchmarks/colour.py emoji-64/latent emoji-64/dcgan --minutes 20        # one core each
    python benchmarks/colour.py emoji-128/latent --device cuda --minutes 5 --batch-size 256

Rows that benchmarks/colour.json has already are left out, and a run that was stopped goes on, so the bench may be
stopped at any time. ``--list`` names the rows, ``--table`` prints what is there. Each row's grid of 64 pictures, the
first ones of seed 0 and not chosen by anyone, is kept beside the documentation's pictures.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS, PICTURES = HERE / "colour.json", HERE.parent / "docs" / "pictures" / "colour"
EMOJI, CIFAR, FACES = "fluent-emoji.zip", "cifar10-train.zip", "emoji-faces.zip"
DATA = {
    "emoji-64": (EMOJI, "--image-size", "64", "--mirror"),
    "emoji-128": (EMOJI, "--image-size", "128", "--mirror"),
    "emoji-64-rgba": (EMOJI, "--image-size", "64", "--mirror", "--color", "rgba", "--alpha", "keep"),
    "faces-64": (FACES, "--image-size", "64", "--mirror"),
    "cifar10": (CIFAR, "--mirror"),
    "cifar10-classes": (CIFAR, "--mirror", "--labels", "folder"),
}
VARIANTS = {
    "dcgan": ("dcgan",),
    "fastgan": ("fastgan",),
    "r3gan": ("r3gan",),
    "projected": ("projected",),
    "latent": ("latent",),
    "latent-convolutional": ("latent", "--set", "network=convolutional"),
    "latent-transformer": ("latent", "--set", "network=transformer"),
}
FACE_SIGNS = (
    (0x1F600, 0x1F644), (0x1F910, 0x1F917), (0x1F920, 0x1F92F), (0x1F970, 0x1F97A), (0x1FAE0, 0x1FAE5),
    (0x1FAE8, 0x1FAE8), (0x1F42D, 0x1F43B), (0x1F466, 0x1F469), (0x1F46E, 0x1F46E), (0x1F470, 0x1F478),
    (0x1F934, 0x1F936), (0x1F9D1, 0x1F9D5),
)  # fmt: skip
"""Smileys, heads of animals, and heads of people in each colour of skin."""
EXTRACTORS = ("lite0", "random")
"""The default for pictures without labels, and one that no GAN here learns from; with labels the classifier too."""


@dataclass(frozen=True)
class Bench:
    """What all rows share."""

    device: str
    minutes: float
    seed: int
    batch_size: int | None
    data_root: Path
    runs: Path

    def key(self, name: str) -> str:
        """Names a row's run, its picture and its result."""
        batch = f"-b{self.batch_size}" if self.batch_size else ""
        return f"{name.replace('/', '-')}-{self.device}-{self.minutes:g}m{batch}-s{self.seed}"

    def train(self, name: str) -> Path:
        """Train a row, or go on with it; returns the run's folder."""
        data, variant = name.split("/")
        source, *reading = DATA[data]
        out = self.runs / self.key(name)
        begun = sorted(out.glob("[0-9]*/config.toml"))
        if begun:
            flags = ["--resume", str(begun[-1].parent)]
        else:
            recipe, *settings = VARIANTS[variant]
            flags = ["--data", str(self._source(source)), *reading, "--recipe", recipe, *settings, "--out", str(out)]
            flags += ["--time", f"{self.minutes:g}m", "--seed", str(self.seed), "--device", self.device]
            flags += ["--eval-every", "0", *(["--batch-size", str(self.batch_size)] if self.batch_size else [])]
            flags += ["--threads", "1"] if self.device == "cpu" else []
        done = gancli("train", *flags, "--progress", "none", "--json")
        return Path(done["run"])

    def _source(self, name: str) -> Path:
        """The archive of that name; the few faces are made of the others once."""
        path = self.data_root / name
        if name == FACES and not path.exists():
            path = self.runs / name
            faces_of(self.data_root / EMOJI, path)
        return path

    def measure(self, run: Path, extractor: str) -> dict[str, Any]:
        """The fast figures of a run's generator, each beside what real images score."""
        figures = ("--metrics", "fast,copies", "--extractor", extractor, "--sets", "1", "--device", self.device)
        report = gancli("eval", "--ckpt", str(run / "gen.pth"), *figures, "--json", "--quiet")
        return {each["metric"]: [each["value"], each["baseline"]] for each in report["figures"]}


def gancli(*arguments: str) -> dict[str, Any]:
    """What a command answers."""
    done = subprocess.run([sys.executable, "-m", "gancli", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]}: exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def faces_of(source: Path, target: Path) -> None:
    """The pictures of faces, by the Unicode numbers that are their names, in an archive of their own."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as pictures, zipfile.ZipFile(target, "w") as few:
        for name in sorted(pictures.namelist()):
            sign = re.fullmatch(r"([0-9a-f]+)(-1f3f[b-f])?", Path(name).stem)
            if sign and any(first <= int(sign[1], 16) <= last for first, last in FACE_SIGNS):
                few.writestr(name, pictures.read(name))


def run_row(bench: Bench, name: str) -> dict[str, Any]:
    """Train a row for its time, draw its pictures and measure it."""
    run = bench.train(name)
    PICTURES.mkdir(parents=True, exist_ok=True)
    grid = PICTURES / f"{bench.key(name)}.png"
    drawing = ("--n", "64", "--out", str(grid), "--overwrite", "--device", bench.device)
    gancli("sample", "--ckpt", str(run / "gen.pth"), *drawing, "--json", "--quiet")
    extractors = ("lite0", "random", "classifier") if name.endswith("classes") else EXTRACTORS
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    environment = json.loads((run / "environment.json").read_text())["parts"][-1]
    return {
        "row": name, "device": bench.device, "minutes": bench.minutes, "seed": bench.seed,
        "batch_size": bench.batch_size, "steps": last["step"], "images_seen": last["images_seen"],
        "seconds": last["seconds"], "figures": {each: bench.measure(run, each) for each in extractors},
        "machine": environment["processor"] if bench.device == "cpu" else environment["device"],
        "torch": environment["torch"], "date": datetime.now(UTC).date().isoformat(), "picture": grid.name,
    }  # fmt: skip


def known() -> list[dict[str, Any]]:
    """The rows that are there."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def print_table() -> None:
    """A line for each row: its distance and coverage by each extractor, as a multiple and a share of the real ones."""
    print(
        "| row | machine | minutes | seed | images seen | "
        + " | ".join(f"fd, coverage: {e}" for e in EXTRACTORS)
        + " |"
    )
    print("|---" * (5 + len(EXTRACTORS)) + "|")
    for row in sorted(known(), key=lambda row: (row["row"], row["minutes"], row["seed"])):
        cells = [row["row"], row["machine"], f"{row['minutes']:g}", row["seed"], f"{row['images_seen']:,}"]
        for extractor in EXTRACTORS:
            (fd, real_fd), (coverage, real_coverage) = (row["figures"][extractor][name] for name in ("fd", "coverage"))
            cells.append(f"{fd / real_fd:.1f} x, {coverage / real_coverage:.0%}")
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    """Run the rows that are asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [f"{data}/{variant}" for data in DATA for variant in VARIANTS]
    parser.add_argument("rows", nargs="*", choices=[*names, []], default=[], metavar="ROW")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, default=Path(os.environ.get("GANCLI_DATA_ROOT", ".")))
    parser.add_argument("--runs", type=Path, default=HERE.parent / "build" / "colour", help="where runs are kept")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    told = parser.parse_args()
    if told.list or told.table:
        print("\n".join(names)) if told.list else print_table()
        return
    bench = Bench(told.device, told.minutes, told.seed, told.batch_size, told.data_root, told.runs)
    shared = ("device", "minutes", "seed", "batch_size")
    done = {(row["row"], *(row[name] for name in shared)) for row in known()}
    wanted = [name for name in told.rows if (name, *(getattr(bench, each) for each in shared)) not in done]
    with ThreadPoolExecutor(told.jobs) as pool:
        jobs = {pool.submit(run_row, bench, name): name for name in wanted}
        for job in as_completed(jobs):
            if job.exception() is not None:
                print(f"{jobs[job]}: {job.exception()}", file=sys.stderr)
                continue
            RESULTS.write_text(json.dumps([*known(), job.result()], indent=1) + "\n")
            print(f"{jobs[job]}: {job.result()['images_seen']:,} images", flush=True)


if __name__ == "__main__":
    main()
