"""``train``, ``sample`` and ``evaluate`` as functions: the commands parse, call one of these, and print."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli import config as configuration
from gancli import data, devices, progress, resuming, run_folder, sampling
from gancli.config import TrainConfig
from gancli.errors import UsageError
from gancli.evaluation import Evaluator, Report, extractor_for
from gancli.files import write_text_atomically
from gancli.preparation import Prepared, prepare
from gancli.progress import View
from gancli.quick_evaluation import QuickEvaluation, feature_cache
from gancli.run_folder import RunFolder
from gancli.training import checkpoint, signals
from gancli.training.callbacks import Checkpoints, MetricsFile, Samples, TensorBoard
from gancli.training.checkpoint import Checkpoint
from gancli.training.distributed import Group, joined
from gancli.training.loop import Callback, Loop

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """Where a finished run is and how it ended."""

    run: Path
    generator: Path
    discriminator: Path
    samples: Path | None
    """The last grid."""
    steps: int
    images_seen: int
    seconds: float
    metrics: dict[str, float]
    """The last line of ``metrics.jsonl`` but its counters."""


@dataclass(frozen=True)
class DryRun:
    """What a run would be: the resolved configuration, sizes, and one step's measurements."""

    config: TrainConfig
    images: int
    heldout: int
    steps: int
    epochs: float
    generator_parameters: int
    discriminator_parameters: int
    memory_bytes: int
    """Peak of the device, or of the process on the CPU, while one step ran."""
    seconds: float
    """Estimate for all steps, without evaluation."""


def train(
    config: str | Path | TrainConfig | None = None,
    *,
    resume: str | None = None,
    progress: View = "tqdm",
    settings: Sequence[str] = (),
    **options: Any,
) -> TrainResult:
    """Train a GAN, as ``gancli train`` does; ``options`` are the fields of `TrainConfig`.

    ``config`` is a TOML file or a `TrainConfig`, ``resume`` is "latest", a run's folder or a checkpoint, and
    ``settings`` are texts like ``"d_lr=5e-5"``. Raises UsageError (wrong input), TrainingDiverged (exit code 3 of
    the command) and Interrupted (after SIGINT or SIGTERM, with the state saved).
    """
    with joined() as group, _own_random_numbers():
        folder, found, asked = _what_to_train(config, resume, settings, options)
        prepared = prepare(asked, group)
        _start_from(prepared, found, folder)
        if folder is None and group.leads:
            assert prepared.config.name
            folder = run_folder.create(Path(prepared.config.out), prepared.config.name)
        return _run(prepared, folder, group, progress)


def dry_run(config: str | Path | TrainConfig | None = None, *, settings: Sequence[str] = (), **options: Any) -> DryRun:
    """Check everything, build the networks and run one step; trains and writes nothing."""
    with _own_random_numbers():
        prepared = prepare(_asked(config, settings, options), Group())
        _start_from(prepared, None, None)
        seconds = _time_a_step(prepared)
    plan, state = prepared.plan, prepared.step.state
    count = [sum(p.numel() for p in network.parameters()) for network in (state.g, state.d)]
    return DryRun(
        config=prepared.config,
        images=len(prepared.dataset.train),
        heldout=len(prepared.dataset.heldout),
        steps=plan.total_steps,
        epochs=plan.total_steps * plan.images_per_step / plan.images,
        generator_parameters=count[0],
        discriminator_parameters=count[1],
        memory_bytes=devices.peak_memory(prepared.device),
        seconds=seconds * plan.total_steps,
    )


def sample(
    ckpt: str | Path,
    *,
    n: int = 64,
    seed: int = 0,
    seeds: str | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
) -> Tensor:
    """Draw images from a generator file: uint8 ``(n, C, H, W)``, on the CPU.

    Image k of a ``seed`` is the same in every call; ``seeds`` picks numbers k ("0-7,12"), else 0 to n - 1.
    """
    batches, _ = sample_batches(
        ckpt, n=n, seed=seed, seeds=seeds, classes=classes, device=device, batch_size=batch_size
    )
    return torch.cat(list(batches))


def sample_batches(
    ckpt: str | Path,
    *,
    n: int,
    seed: int,
    seeds: str | Sequence[int] | None,
    classes: Sequence[str] | None,
    device: str,
    batch_size: int | None,
) -> tuple[Iterator[Tensor], list[int]]:
    """Like `sample`, one batch at a time, and the numbers of the images that will come."""
    if n < 1 or (batch_size is not None and batch_size < 1):
        raise UsageError("--n and --batch-size must be more than 0.")
    numbers = sampling.parse_numbers(seeds) if isinstance(seeds, str) else list(range(n) if seeds is None else seeds)
    generator = sampling.load_generator(Path(ckpt), devices.select(device))
    labels = sampling.labels_of(generator, classes, len(numbers)) if classes else None
    return sampling.draw(generator, numbers, seed, labels, batch_size), numbers


def evaluate(
    ckpt: str | Path,
    *,
    data: str | None = None,
    data_root: str | Path | None = None,
    n: int | None = None,
    seed: int = 0,
    device: str = "auto",
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Measure a generator file against the held-out split of its data, as ``gancli eval`` does.

    ``n`` images are compared with as many held-out ones (None: all of them). ``on_batch`` hears how many are drawn.
    """
    where = devices.select(device)
    generator = sampling.load_generator(Path(ckpt), where)
    dataset = _data_of(generator, data, data_root)
    torch.set_num_threads(devices.default_threads(*dataset.heldout.images.shape[2:]))
    count = min(n or len(dataset.heldout), len(dataset.heldout))
    extractor = extractor_for(
        dataset.train.images, dataset.train.labels, dataset.heldout.images, dataset.heldout.labels,
        dataset.fingerprint, where, feature_cache(),
    )  # fmt: skip
    drawn: list[Tensor] = []
    for batch in sampling.draw(generator, range(count), seed):
        drawn.append(batch)
        on_batch(sum(map(len, drawn)), count)
    evaluator = Evaluator(extractor, dataset.train.images, dataset.heldout.images, dataset.fingerprint, seed)
    return evaluator.evaluate(torch.cat(drawn))


def _data_of(generator: sampling.LoadedGenerator, name: str | None, root: str | Path | None) -> data.DataSet:
    origin = generator.file.origin
    size = (origin.spec.height, origin.spec.width)
    dataset = data.load(name or origin.data, Path(root) if root else None, size)
    if dataset.train.images.shape[1] != origin.spec.channels:
        raise UsageError(
            f"the generator draws {origin.spec.channels} channels and {dataset.name} has "
            f"{dataset.train.images.shape[1]}; name the data it was trained on with --data."
        )
    if dataset.name == origin.data and dataset.fingerprint != origin.fingerprint:
        log.warning(
            "%s is not as it was when this generator was trained; its held-out split may differ.",
            dataset.name,
        )
    return dataset


def _asked(config: str | Path | TrainConfig | None, settings: Sequence[str], options: dict[str, Any]) -> TrainConfig:
    if isinstance(config, TrainConfig):
        file, what = {k: v for k, v in asdict(config).items() if v is not None}, "the configuration"
    else:
        file, what = (configuration.load_toml(Path(config)), str(config)) if config else ({}, "the configuration")
    configuration.build(TrainConfig, file, what)
    return configuration.build(TrainConfig, configuration.merge(file, settings, options), "the command line")


def _what_to_train(
    config: str | Path | TrainConfig | None,
    resume: str | None,
    settings: Sequence[str],
    options: dict[str, Any],
) -> tuple[RunFolder | None, Checkpoint | None, TrainConfig]:
    if resume is None:
        return None, None, _asked(config, settings, options)
    if config is not None:
        raise UsageError("--resume goes on with the run's own configuration; leave --config away.")
    folder, found = resuming.find(resume, Path(options.pop("out", None) or TrainConfig().out))
    return folder, found, resuming.merged_config(folder, settings, options)


def _start_from(prepared: Prepared, found: Checkpoint | None, folder: RunFolder | None) -> None:
    state = prepared.step.state
    if found is not None:
        resuming.require_same_origin(found, prepared.origin)
        checkpoint.restore(state, found)
        log.info("resuming %s after step %d", found.path.parent.parent, state.step)
        if state.step >= prepared.plan.total_steps:
            log.warning("this run is complete; give more --steps or --epochs to go on.")
    elif folder is not None:
        log.info("%s has no checkpoint yet; it starts at step 0, with the same draws", folder.path)
    if found is None and prepared.config.init_from:
        resuming.warm_start(state, Path(prepared.config.init_from))


def _run(prepared: Prepared, folder: RunFolder | None, group: Group, view: View) -> TrainResult:
    loop = Loop(prepared.step, prepared.plan)
    if folder is not None and group.leads:
        loop.callbacks = _callbacks(prepared, folder, view)
        if prepared.config.eval_every:
            loop.evaluate = QuickEvaluation(prepared)
        write_text_atomically(folder.config, configuration.dump_toml(prepared.config))
        run_folder.write_environment(folder, _environment(prepared))
    with signals.caught(loop.stop):
        loop.run()
    where = folder or RunFolder(Path(prepared.config.out))
    samples = where.sample(loop.state.step)
    return TrainResult(
        run=where.path,
        generator=where.generator,
        discriminator=where.discriminator,
        samples=samples if samples.exists() else None,
        steps=loop.state.step,
        images_seen=loop.step.images_seen,
        seconds=loop.state.seconds,
        metrics=loop.last_record.values if loop.last_record else {},
    )


def _callbacks(prepared: Prepared, folder: RunFolder, view: View) -> list[Callback]:
    metrics, board = MetricsFile(folder), TensorBoard(folder)
    samples = Samples(folder, prepared.config.seed, board)
    saver = Checkpoints(folder, prepared.origin, prepared.config.keep, metrics)
    return [metrics, board, samples, saver, progress.choose(view)]


def _environment(prepared: Prepared) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "device": devices.describe(prepared.device),
        "threads": torch.get_num_threads(),
        "data": prepared.dataset.name,
        "fingerprint": prepared.dataset.fingerprint,
        "step": prepared.step.state.step,
    }


def _time_a_step(prepared: Prepared) -> float:
    """Seconds of one step, the second of two, since the first one also builds kernels."""
    prepared.step()
    devices.synchronise(prepared.device)
    began = time.perf_counter()
    prepared.step()
    devices.synchronise(prepared.device)
    return time.perf_counter() - began


@contextlib.contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Leave torch's global generators as they were for whoever called."""
    with torch.random.fork_rng():
        yield
