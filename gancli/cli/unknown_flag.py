"""Answer a flag that a command does not have, above all the names that other tools use for the same thing."""

from collections.abc import Sequence

from gancli.errors import closest

OTHER_NAMES = {
    "--data": "dataset dataroot data-dir data-path data-folder dataset-path train-dir path input",
    "--out": "outdir output output-dir results-dir results-folder save-dir checkpoint-dir logdir log-dir model-dir",
    "--recipe": "model arch gan gan-type cfg network",
    "--image-size": "resolution size img-size imsize imgsize crop-size",
    "--color": "channels img-channels grayscale greyscale",
    "--batch-size": "batch bs batch-gpu train-batch-size minibatch",
    "--epochs": "num-epochs n-epochs nepochs niter max-epochs",
    "--steps": "iterations iters iter num-train-steps train-steps max-steps n-iter total-steps kimg",
    "--device": "gpu gpus gpu-id gpu-ids cuda use-cuda no-cuda cpu mps",
    "--precision": "amp fp16 bf16 half mixed-precision dtype",
    "--augment": "aug ada diffaug diff-augment augmentation aug-prob",
    "--mirror": "flip hflip random-flip horizontal-flip",
    "--resume": "continue load load-from load-checkpoint checkpoint restart",
    "--init-from": "pretrained finetune fine-tune transfer-from",
    "--save-every": "snap save-interval save-freq checkpoint-every snapshot",
    "--sample-every": "sample-interval sample-freq display-freq evaluate-every",
    "--eval-every": "eval-interval eval-freq calculate-fid-every fid-every metrics-every",
    "--log-every": "log-interval log-freq print-freq",
    "--seed": "random-seed manual-seed seed-everything",
    "--name": "run-name experiment exp-name",
    "--ckpt": "network weights generator model checkpoint load gen",
    "--n": "num num-images num-samples n-samples count amount",
    "--trunc": "truncation truncation-psi psi trunc-psi",
    "--class": "label class-idx class-label",
}
"""By flag, what other tools call it."""
RATE = {"learning-rate", "learningrate", "lr-rate", "rate"}
"""Other names of the learning rates, which are hyperparameters."""


def answer(flag: str, known: Sequence[str], help_command: str) -> str:
    """The line for an unknown ``flag`` of a command with the flags ``known``."""
    from gancli.recipes import hyperparameters_like

    word = flag.lstrip("-").lower().replace("_", "-")
    meant = [each for each, others in OTHER_NAMES.items() if each in known and word in others.split()]
    meant = [f"--{word}"] if f"--{word}" in known else meant
    if not meant and "--set" in known and (names := hyperparameters_like("lr" if word in RATE else word)):
        wanted = " and ".join(f"--set {name}=VALUE" for name in names)
        return f"there is no flag {flag}; hyperparameters of a recipe are set with {wanted}."
    best = meant[0] if meant else closest(f"--{word}", known)
    if best is None:
        return f"there is no flag {flag}; {help_command} --help lists those that there are."
    return f"there is no flag {flag}; did you mean {best}?"
