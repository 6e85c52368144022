"""The watch: what it sees in lines of metrics, what it measures, and what a run does when it raises an alarm."""

import json
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_steps import make_step, tensors

from gancli import recipes, train
from gancli.artifacts.run_folder import RunFolder, step_of
from gancli.cli import run
from gancli.config import TrainConfig, build
from gancli.config.settings import declarations
from gancli.config.train_command import BesideConfigFlags
from gancli.errors import TrainingFailed
from gancli.health import remedies
from gancli.health.remedies import DIVERGED, PENALTY_WEIGHTS, REMEDIES, advice
from gancli.health.rules import RULES
from gancli.health.trials import Trials
from gancli.health.vital_signs import VitalSigns
from gancli.health.watch import diagnose, watched
from gancli.recipes.base import Spec
from gancli.recipes.dcgan import DCGAN
from gancli.runs import doctor
from gancli.runs import train as training
from gancli.training.loop import Callback, Loop

SOUND = {
    "health/separation": 0.8, "health/memorised": 0.05, "health/g_gradient": 1.0, "health/diversity": 0.9,
    "health/duplicates": 0.0, "health/contrast": 1.0, "health/d_left": 0.7,
}  # fmt: skip


STILL = {"separation": 0.0, "diversity": 0.1, "duplicates": 0.9, "contrast": 0.01}
"""Measurements of a generator that a constant discriminator teaches nothing."""


def lines(count: int = 12, sick_from: int = 6, **sick: float) -> list[dict[str, float]]:
    """Measurements every 100 steps from step 600 on, of which those from one on are changed."""
    changed = SOUND | {f"health/{name}": value for name, value in sick.items()}
    return [{"step": 600 + 100 * i} | (changed if i >= sick_from else SOUND) for i in range(count)]


def test_the_warm_up_of_a_stage_begins_at_its_border() -> None:
    alike = lines(12, 0, diversity=0.1, duplicates=0.9)
    within = [line | {"health/stage_steps": line["step"] - 600} for line in alike]
    assert [alarm.since for alarm in diagnose(alike)[0]] == [600]
    assert [alarm.since for alarm in diagnose(within)[0]] == [1200], "500 steps after the border at step 600"


@pytest.mark.parametrize(
    ("failure", "lasting", "sick"),
    [
        ("discriminator-won", 3, {"separation": 1.0, "d_left": 0.01}),
        ("vanishing-gradient", 3, {"separation": 0.95, "g_gradient": 0.001}),
        ("collapse", 4, {"diversity": 0.1, "duplicates": 0.9}),
        ("dead-generator", 2, {"contrast": 0.01}),
        ("discriminator-lost", 4, {"separation": 0.22}),  # as latent with a rate of .05 for G
        ("memorising", 5, {"heldout_separation": 0.4, "separation": 0.9}),
        ("overflow", 1, {"loss_scale": 0.5}),
        ("discriminator-held-down", 3, {"d_left": 1.0001, "logit_spread": 1e-6} | STILL),
        ("discriminator-held-down", 3, {"d_left": 0.999, "logit_spread": 0.0017, "separation": 1.0, "diversity": 0.1}),
    ],
)
def test_each_failure_raises_one_alarm_once_it_lasts(failure: str, lasting: int, sick: dict[str, float]) -> None:
    alarms, present = diagnose(lines(**sick))
    assert [(a.failure, a.step, a.since) for a in alarms] == [(failure, 1100 + 100 * lasting, 1200)]
    assert present == {failure}
    assert "1200" in alarms[0].evidence and "--" in alarms[0].advice
    assert diagnose(lines(5 + lasting, **sick)) == ([], set()), "one measurement less is no alarm"


@pytest.mark.parametrize("other", [{"d_left": 0.98}, {"logit_spread": 0.1}, {"d_left": 1.02}])
def test_only_a_d_that_guesses_and_gives_one_answer_is_held_down(other: dict[str, float]) -> None:
    held_down = {"d_left": 1.0001, "logit_spread": 1e-6} | STILL
    failures = {alarm.failure for alarm in diagnose(lines(**(held_down | other)))[0]}
    assert failures == {"collapse", "dead-generator", "discriminator-lost"}
    measured_before = [{k: v for k, v in line.items() if k != "health/logit_spread"} for line in lines(**held_down)]
    assert {alarm.failure for alarm in diagnose(measured_before)[0]} == failures, "a run of an older gancli"


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"recipe": "r3gan", "hyperparameters": {"gamma": 4.0, "d_lr": 1e-3}}, "--set gamma=0.04 or --set d_lr=5e-5"),
        ({"recipe": "wgan-gp", "hyperparameters": {"penalty": 10.0}}, "--set penalty=0.1 or --set d_lr=5e-5"),
        ({"recipe": "dcgan"}, "--set d_lr=5e-5"),
        ({"recipe": "vaegan", "hyperparameters": {"gamma": 0.01}}, "--set d_lr=5e-5"),  # its gamma is no penalty's
    ],
)
def test_a_d_that_is_held_down_needs_less_of_the_penalty_that_its_recipe_has(config: Any, told: str) -> None:
    held_down = lines(d_left=1.0, logit_spread=0.0, separation=0.0)
    assert diagnose(lines(d_left=1.0, logit_spread=0.0), config) == ([], set()), "G may learn from it all the same"
    assert [flags_in(alarm.advice) for alarm in diagnose(held_down, config)[0]] == [told]


def test_a_d_that_knows_real_images_it_has_never_seen_does_not_memorise() -> None:
    """ADA holds D at half the way to complete overfitting, as in the demo."""
    assert diagnose(lines(memorised=0.7, separation=0.88, heldout_separation=0.63)) == ([], set())
    assert diagnose(lines(memorised=1.0, separation=0.7, heldout_separation=0.5)) == ([], set()), "no lead on any"
    assert diagnose(lines(memorised=1.0, separation=1.0)) == ([], set()), "a run of an older gancli"


def test_copies_are_a_collapse_though_they_differ_from_each_other() -> None:
    alarms, _ = diagnose(lines(duplicates=0.8))
    assert [(alarm.failure, alarm.since) for alarm in alarms] == [("collapse", 1200)]
    assert "80% have a twin" in alarms[0].evidence


def test_a_number_that_is_not_finite_is_a_failure_until_it_is_measured_to_be_over() -> None:
    ruined = {"step": 1800, "d/adv": None, "g/adv": 0.3}
    alarms, present = diagnose([*lines(), ruined])
    assert [(alarm.failure, alarm.step) for alarm in alarms] == [("diverged", 1800)] and present == {"diverged"}
    assert diagnose([*lines(), ruined, {"step": 1900} | SOUND])[1] == set()


def test_lines_that_nobody_measured_are_passed_over() -> None:
    strange: list[dict[str, Any]] = [
        {"step": 900, "health/separation": "x"}, {"step": 900} | dict.fromkeys(SOUND), {"step": 900, "d/adv": 10**400},
        *({"step": 900} | dict.fromkeys(SOUND, value) for value in ("x", 10**400, True)),
    ]  # fmt: skip
    alarms, _ = diagnose([*lines(3), *strange, *lines()])
    assert [alarm.failure for alarm in alarms] == ["diverged"], "only the loss that is too large for a number"


def test_swings_of_d_are_an_oscillation() -> None:
    swinging = [{"step": 600 + 100 * i} | SOUND | {"health/separation": float(i % 2)} for i in range(12)]
    assert [alarm.failure for alarm in diagnose(swinging)[0]] == ["oscillation"]


def test_what_passes_and_comes_back_is_told_again() -> None:
    sick = SOUND | {"health/diversity": 0.1}
    history = [sick] * 5 + [SOUND] * 3 + [sick] * 5
    alarms, present = diagnose([{"step": 1000 + 100 * i} | line for i, line in enumerate(history)])
    assert [alarm.since for alarm in alarms] == [1000, 1800] and present == {"collapse"}


def test_a_sound_run_the_first_steps_and_other_lines_raise_nothing() -> None:
    early = [{"step": 100 * i} | SOUND | {"health/diversity": 0.0, "health/contrast": 0.0} for i in range(1, 6)]
    other = [{"step": 7, "d/adv": 0.5}, {"step": 8, "rollback": {"number": 1}}]
    assert diagnose([*other, *early, *lines()]) == ([], set())


class TestVitalSigns:
    def signs(self, spec_seed: int = 0, **changes: Any) -> tuple[VitalSigns, Any]:
        step = make_step(DCGAN(width=4))
        torch.manual_seed(spec_seed)
        images = torch.rand(2, 8, 1, 8, 8) * 2 - 1
        return self.of(step, images), step

    def of(self, step: Any, images: torch.Tensor) -> VitalSigns:
        state, noise = step.state, step.setup.noise
        return VitalSigns(
            state.g, state.d, state.ema, state.scaler, noise.latent_dim, noise.classes,
            (images[0], None), (images[1], None),
        )  # fmt: skip

    def test_measuring_changes_neither_networks_nor_draws(self) -> None:
        signs, step = self.signs()
        step()
        before = [tensors(network) for network in (step.state.g, step.state.d, step.state.ema)]
        modes = [module.training for module in step.state.d.modules()]
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        first = signs({"d/adv": 0.3}, 0.6931472)
        assert torch.equal(torch.rand(1), expected)
        assert signs({"d/adv": 0.3}, 0.6931472) == first
        after = [tensors(network) for network in (step.state.g, step.state.d, step.state.ema)]
        assert all(torch.equal(a, b) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))
        assert modes == [module.training for module in step.state.d.modules()] and any(modes)

    def test_signs_of_made_up_networks(self) -> None:
        signs, _ = self.signs()
        train_images, heldout = signs.train[0], signs.heldout[0]

        class Constant(torch.nn.Module):
            def forward(self, latents: torch.Tensor, labels: Any = None) -> torch.Tensor:
                return torch.full((len(latents), 1, 8, 8), 0.5)

        class Mean(torch.nn.Module):
            """Knows the images that it was trained on, and takes all others for fakes."""

            def forward(self, images: torch.Tensor, labels: Any = None) -> torch.Tensor:
                known = (images[:, None] == train_images).flatten(2).all(2).any(1)
                return known.float()

        signs.g, signs.d, signs.ema = Constant(), Mean(), Constant()
        found = signs({"d/adv": 0.5 * 0.6931472}, 0.6931472)
        assert found["health/separation"] == 1 and found["health/memorised"] == 1
        assert found["health/heldout_separation"] == 0
        assert found["health/diversity"] == 0 and found["health/duplicates"] == 1
        assert found["health/contrast"] == pytest.approx(0) and found["health/d_left"] == pytest.approx(0.5)

        class Dark(torch.nn.Module):
            """Takes dark images for real ones."""

            def forward(self, images: torch.Tensor, labels: Any = None) -> torch.Tensor:
                return -images.flatten(1).sum(1)

        signs.d = Dark()
        drawn = torch.full_like(train_images, 0.5)
        for name, images in (("separation", train_images), ("heldout_separation", heldout)):
            ranked = [real > sample for real in signs.d(images).tolist() for sample in signs.d(drawn).tolist()]
            assert signs({}, None)[f"health/{name}"] == pytest.approx(sum(ranked) / len(ranked))
        assert signs({}, None)["health/memorised"] == pytest.approx(
            ((signs.d(train_images).mean() - signs.d(heldout).mean())
             / (signs.d(train_images).mean() - signs.d(drawn).mean())).clamp(-1, 1).item(), abs=1e-5,
        )  # fmt: skip

    def test_a_gradient_in_half_precision_is_told_without_its_scale(self) -> None:
        (plain, plain_step), step = self.signs(), make_step(DCGAN(width=4), precision="fp16")
        scaled = self.of(step, torch.stack([plain.train[0], plain.heldout[0]]))
        plain_step(), step()
        found, expected = scaled({}, None), plain({}, None)
        assert "health/loss_scale" not in expected and found["health/loss_scale"] == step.state.scaler.get_scale() > 1
        assert found["health/g_gradient"] == pytest.approx(expected["health/g_gradient"], rel=0.05)

    def test_diversity_is_that_of_real_images_where_they_are_drawn(self) -> None:
        signs, _ = self.signs()

        class Copies(torch.nn.Module):
            def forward(self, latents: torch.Tensor, labels: Any = None) -> torch.Tensor:
                return signs.train[0]

        signs.g = signs.ema = Copies()
        found = signs({}, None)
        assert found["health/diversity"] == pytest.approx(1) and found["health/contrast"] == pytest.approx(1)
        assert found["health/duplicates"] == 0


def test_chance_is_told_where_the_loss_falls_to_nothing_and_only_there() -> None:
    found = {name: recipes.find(name)().chance() for name in recipes.names()}
    assert found == {name: recipes.find(name)().chance() for name in recipes.names()}, "nothing random in it"
    assert all(found[name] == pytest.approx(0.6931, abs=1e-3) for name in ("vanilla", "dcgan", "r3gan", "acgan"))
    assert found["sngan"] and found["fastgan"] and found["lsgan"] == 0.25  # (b - a)^2 / 4, by the answer 1/2
    without = ["autoencoder", "began", "progressive", "wgan", "wgan-gp"]
    assert [name for name, value in found.items() if value is None] == without


WON = {
    "recipe": "vanilla", "batch_size": 16, "threads": 1, "progress": "none", "watch_every": 20, "save_every": 40,
    "matmul": "default",
}  # fmt: skip
"""The tutorial's GAN, whose discriminator soon wins on digits at such rates; with no library chosen by the clock, so
that runs can be compared bit for bit."""
STRONG = {"d_lr": 2e-3, "g_lr": 1e-5}


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def alarms_of(folder: Path) -> list[tuple[str, int]]:
    return [(alarm["failure"], alarm["step"]) for line in metrics(folder) for alarm in line.get("alarms", ())]


def test_an_alarm_is_told_once_everywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = train(steps=400, out=str(tmp_path), hyperparameters=STRONG, **WON).run
    first = alarms_of(folder)[0]
    assert first[0] == "discriminator-won"
    told = [record.getMessage() for record in caplog.records if "separates real" in record.getMessage()]
    assert len(told) == 1 and told[0].startswith(f"step {first[1]}: ") and "Try --set r1_gamma=20" in told[0]
    assert [alarm.failure for alarm in diagnose(metrics(folder))[0]] == [name for name, _ in alarms_of(folder)]


def test_watching_changes_nothing_and_a_resumed_run_alarms_alike(tmp_path: Path) -> None:
    whole = train(steps=300, out=str(tmp_path / "a"), hyperparameters=STRONG, **WON)
    unwatched = train(steps=300, out=str(tmp_path / "b"), hyperparameters=STRONG, **(WON | {"watch_every": 0}))
    assert whole.generator.read_bytes() == unwatched.generator.read_bytes()
    assert not any(name.startswith("health/") for line in metrics(unwatched.run) for name in line)
    broken = train(steps=300, out=str(tmp_path / "c"), hyperparameters=STRONG, **(WON | {"keep": 20})).run
    since = alarms_of(whole.run)[0][1]
    for path in RunFolder(broken).checkpoints():
        if path.name > f"step-{since - 1:06}.pt":
            path.unlink()
    train(resume=str(broken), progress="none")
    assert alarms_of(broken) == alarms_of(whole.run) != []


def test_stop_ends_with_3_and_saves_nothing_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--set={name}={value}" for name, value in STRONG.items()]
    arguments = ["--steps", "400", "--batch-size", "16", "--watch-every", "20", "--save-every", "1000", "--recipe"]
    code = run(["train", *arguments, "vanilla", *flags, "--on-failure", "stop", "--out", str(tmp_path), "-q"])
    said, folder = capsys.readouterr().err, next(tmp_path.iterdir())
    assert code == 3 and "stopped at step" in said and said.endswith(f" See its course with: gancli doctor {folder}\n")
    assert not RunFolder(folder).checkpoints() and alarms_of(folder)[-1][1] == metrics(folder)[-1]["step"]
    assert run(["doctor", str(folder), "--json", "-q"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["present"] == ["discriminator-won"] and Path(found["plot"]).is_file()


def test_rollback_goes_back_before_the_failure_and_gives_up_at_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TrainingFailed, match="separates real"):
        train(steps=2000, out=str(tmp_path), hyperparameters=STRONG, on_failure="rollback", **WON)
    folder = next(tmp_path.iterdir())
    rollbacks = [line["rollback"] for line in metrics(folder) if "rollback" in line]
    assert [each["number"] for each in rollbacks] == list(range(1, len(rollbacks) + 1)) and rollbacks
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("rollback ")]
    assert [text[:22].split(" to ")[0] for text in told] == [f"rollback {i} of 3" for i in (1, 2, 3)]
    newest = (
        torch.load(RunFolder(folder).checkpoints()[-1], weights_only=True) if RunFolder(folder).checkpoints() else {}
    )
    assert newest.get("state", {"rollbacks": 3})["rollbacks"] in (2, 3)


def test_a_healthy_checkpoint_is_kept_while_the_gan_is_sick(tmp_path: Path) -> None:
    settings = WON | {"save_every": 20, "keep": 2}
    folder = RunFolder(train(steps=400, out=str(tmp_path), hyperparameters=STRONG, **settings).run)
    since = next(a["since"] for line in metrics(folder.path) for a in line.get("alarms", ()))
    kept = [step_of(path) for path in folder.checkpoints()]
    assert kept[-2:] == [380, 400] and since - 20 in kept[:-2]


@pytest.mark.parametrize("act", ["warn", "stop"])
def test_a_training_that_diverges_says_so_in_its_files(
    tmp_path: Path, act: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "train", partial(training.train, callbacks=[Ruins()]))
    flags = ["--recipe", "vanilla", "--batch-size", "16", "--steps", "100", "--save-every", "40", "--on-failure", act]
    assert run(["train", *flags, "--out", str(tmp_path), "--quiet", "--threads", "1"]) == 3
    said, folder = capsys.readouterr().err, next(tmp_path.iterdir())
    assert "diverged" in said and said.endswith(f" See its course with: gancli doctor {folder}\n")
    text = (folder / "metrics.jsonl").read_text()
    assert "NaN" not in text and metrics(folder)[-1]["d/adv"] is None
    assert alarms_of(folder) == [("diverged", 100)]
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert any(tag.startswith("alarm/diverged") for tag in board.Tags()["tensors"])
    assert [path.name for path in RunFolder(folder).checkpoints()] == ["step-000040.pt", "step-000080.pt"]
    weights = torch.load(folder / "gen.pth", weights_only=True)["weights"]
    assert all(value.isfinite().all() for value in weights.values())
    assert run(["doctor", str(folder), "--json", "-q"]) == 3
    assert json.loads(capsys.readouterr().out)["present"] == ["diverged"]


class Ruins(Callback):
    """Makes a weight NaN after step 85."""

    def on_step(self, loop: Loop) -> None:
        if loop.state.step == 85:
            with torch.no_grad():
                next(loop.state.g.parameters())[0] = torch.nan


class FailsOnce(Callback):
    """Finds a failure at step 50, as if since step 45, unless the run has rolled back."""

    def on_step(self, loop: Loop) -> None:
        if loop.state.step == 50 and not loop.state.rollbacks:
            raise TrainingFailed("made up.", since=45)


def test_a_rolled_back_run_resumes_exactly(tmp_path: Path) -> None:
    settings = WON | {"on_failure": "rollback", "keep": 30, "steps": 80, "save_every": 20, "watch_every": 10}
    straight = train(out=str(tmp_path / "a"), **settings)
    whole = train(out=str(tmp_path / "b"), callbacks=[FailsOnce()], **settings)
    found = [line["rollback"] for line in metrics(whole.run) if "rollback" in line]
    assert found == [{"number": 1, "from_step": 50, "why": "made up."}]
    assert [line["step"] for line in metrics(whole.run)] == sorted(line["step"] for line in metrics(whole.run))
    state = torch.load(RunFolder(whole.run).checkpoint(80), weights_only=True)["state"]
    assert state["rollbacks"] == 1 and state["g_optimizer"]["param_groups"][0]["lr"] == 1e-4
    lines_before = [
        [line["d/adv"] for line in metrics(r.run) if line["step"] <= 40 and "d/adv" in line] for r in (whole, straight)
    ]
    assert lines_before[0] == lines_before[1] != []
    expected = whole.generator.read_bytes()
    assert expected != straight.generator.read_bytes()
    RunFolder(whole.run).checkpoint(80).unlink()
    whole.generator.unlink()
    assert train(resume=str(whole.run), progress="none").generator.read_bytes() == expected


def test_a_healthy_run_is_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(steps=60, recipe="dcgan", out=str(tmp_path), threads=1, watch_every=20, progress="none").run
    assert run(["doctor", str(folder), "-q"]) == 0
    assert "verdict  no failure seen; too short to judge" in capsys.readouterr().out
    (folder / "health.png").unlink()
    (folder / "health.png").mkdir()
    assert run(["doctor", str(folder), "--json", "-q"]) == 0, "without its plot"
    told = capsys.readouterr()
    assert json.loads(told.out)["plot"] is None and "--plot names another place" in told.err
    assert run(["doctor", str(tmp_path), "-q"]) == 2
    assert "not the folder of a run" in capsys.readouterr().err
    drawn = tmp_path / "curves.png"
    assert run(["doctor", str(folder), "-q", "--plot", str(drawn)]) == 0
    capsys.readouterr()
    for taken, said in (
        (drawn, "exists already"),
        (tmp_path, "exists already"),
        (drawn / "x.png", "cannot be written"),
    ):
        before = drawn.read_bytes()
        assert run(["doctor", str(folder), "-q", "--plot", str(taken)]) == 2
        assert said in capsys.readouterr().err
        assert drawn.read_bytes() == before


def flags_in(told: str) -> str:
    """The flags of an advice, without how often they helped: ``a, b, or c``."""
    return re.sub(r" \(.*?\)", "", told).removeprefix("Try ").rstrip(".")


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No remedy is known to help or to fail."""
    monkeypatch.setattr(remedies, "TRIALS", {})


def configuration(recipe: str) -> dict[str, Any]:
    """What a run of a recipe on small pictures has in its file."""
    hyperparameters = asdict(recipes.find(recipe)().fitted(Spec(1, 8, 8), 1000, 10_000))
    return {"recipe": recipe, "data": "digits", "batch_size": 64, "seed": 3, "hyperparameters": hyperparameters}


@pytest.mark.parametrize("recipe", recipes.names())
def test_every_flag_and_hyperparameter_of_an_advice_exists(recipe: str) -> None:
    settings = [*declarations(TrainConfig).values(), *declarations(BesideConfigFlags).values()]
    flags = {flag for each in settings for flag in each.flags}
    config, cls = configuration(recipe), recipes.find(recipe)
    for failure in REMEDIES:
        told = flags_in(advice(failure, config))
        named = re.findall(r"--[a-z][a-z-]*", told)
        assert named and flags >= set(named), told
        assert set(recipes.names()) >= set(re.findall(r"--recipe ([\w-]+)", told))
        assert f"--recipe {recipe}" not in re.split(", (?:or )?| or ", told)
        for name, value in re.findall(r"--set (\w+)=([\w.-]*\w)", told):
            assert str(config["hyperparameters"][name]) != value
            build(cls, config["hyperparameters"] | {name: value}, told)


def test_the_weight_of_every_gradient_penalty_is_known() -> None:
    weighs = re.compile(r"weight of (R1|the gradient penalty|\(\|gradient)")
    weights = {}
    for recipe in recipes.names():
        settings = declarations(recipes.find(recipe)).values()
        weights[recipe] = [each.name for each in settings if weighs.search(each.setting.meaning)]
    assert {recipe: names[0] for recipe, names in weights.items() if names} == PENALTY_WEIGHTS


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize(
    ("recipe", "failure", "flag"),
    [
        ("vanilla", "discriminator-won", "--set r1_gamma=20"),
        ("vanilla", "collapse", "--set r1_gamma=20"),
        ("r3gan", "discriminator-won", "--set gamma=16"),
        ("dcgan", "discriminator-won", "--recipe r3gan"),
        ("dcgan", "collapse", "--recipe r3gan"),
        ("r3gan", "collapse", "--recipe pacgan"),
        ("stylegan2", "collapse", "--set gamma=3"),
    ],
)
def test_an_advice_begins_with_the_flag_that_fits_the_recipe(recipe: str, failure: str, flag: str) -> None:
    assert flags_in(advice(failure, configuration(recipe))).startswith((f"{flag}, ", f"{flag} or "))


@pytest.mark.usefixtures("untried")
def test_an_advice_depends_on_what_the_run_does() -> None:
    with_r1 = {"recipe": "vanilla", "hyperparameters": {"r1_gamma": 20.0}, "batch_size": 32}
    assert advice("discriminator-won", with_r1).startswith("Try --set r1_gamma=80 ")
    assert "r1_gamma" not in advice("collapse", with_r1)
    assert "--batch-size 64" in advice("collapse", with_r1)
    assert "r1_gamma" not in advice("collapse", {"recipe": "vanilla", "data": "ring"}), "tried on pictures only"
    minimax = {"recipe": "vanilla", "hyperparameters": {"objective": "minimax"}}
    assert "--set objective=non-saturating" in advice("vanishing-gradient", minimax)
    assert "objective" not in advice("vanishing-gradient", with_r1)
    assert flags_in(advice(DIVERGED, {"seed": 3})).endswith("or --seed 4")


@pytest.mark.parametrize("failure", REMEDIES)
@pytest.mark.parametrize("rate", [1e-3, 2e-5])
def test_an_advice_changes_something_and_raises_no_rate(failure: str, rate: float) -> None:
    hyperparameters = {"g_lr": rate, "d_lr": rate, "beta1": 0.0, "d_steps": 5}
    told = advice(
        failure, {"recipe": "r3gan", "augment": "ada", "precision": "fp32", "hyperparameters": hyperparameters}
    )
    assert re.search("--[a-z]", told)
    for known in ("--recipe r3gan", "--augment ada", "--precision fp32", "beta1", "d_steps=2"):
        assert known not in told
    assert all(float(value) < rate for value in re.findall(r"_lr=([\d.e-]+\d)", told))


def test_an_advice_tells_how_often_each_remedy_helped(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(tried: dict[str, Trials], config: Any) -> str:
        monkeypatch.setattr(remedies, "TRIALS", {"dead-generator": tried})
        return advice("dead-generator", config)

    seeded = {"seed": 1, "hyperparameters": {"g_lr": 4e-5, "d_lr": 4e-5}}
    rates = "--set g_lr=1e-5 --set d_lr=1e-5"
    assert told({}, seeded) == f"Try {rates} (untried) or --seed 2 (untried)."
    assert told({"lower rates": Trials(2, 3)}, {}).endswith("(helped in 2 of 3 runs) or another --seed (untried).")
    assert told({"lower rates": Trials(0, 3)}, seeded) == "Try --seed 2 (untried).", "what never helped is not told"
    never = {"lower rates": Trials(0, 3), "other seed": Trials(0, 2)}
    assert told(never, seeded) == f"Try {rates} (helped in 0 of 3 runs) or --seed 2 (helped in 0 of 2 runs)."


def test_each_failure_has_its_remedies_whatever_is_known_of_the_run() -> None:
    assert {rule.failure for rule in RULES} | {DIVERGED} == set(REMEDIES)
    assert all(advice(failure, {"hyperparameters": 5}).startswith("Try ") for failure in REMEDIES)


@pytest.mark.usefixtures("untried")
def test_the_doctor_knows_what_a_run_does_already(tmp_path: Path) -> None:
    def told() -> str:
        return flags_in(doctor.examine(run).findings[0].spells[0].alarm.advice)

    run = train(out=str(tmp_path), hyperparameters=STRONG | {"d_lr": 2e-3}, steps=400, **WON).run
    assert told() == "--set r1_gamma=20, --recipe r3gan, or --set d_lr=5e-5"
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace('recipe = "vanilla"', 'recipe = "r3gan"'))
    assert told() == "--set d_lr=5e-5"
    (run / "config.toml").write_text("recipe =")
    assert told() == "--recipe r3gan or --set d_lr=5e-5"


def test_the_doctor_lists_a_failure_once_with_its_spells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sick, lost = SOUND | {"health/diversity": 0.1}, SOUND | {"health/separation": 0.1}
    history = [*[sick] * 5, *[SOUND] * 3, *[lost] * 5, *[sick] * 5]
    text = "".join(json.dumps({"step": 1000 + 100 * i} | line) + "\n" for i, line in enumerate(history))
    (tmp_path / "metrics.jsonl").write_text(text)
    assert run(["doctor", str(tmp_path), "-q"]) == 3
    printed = capsys.readouterr().out
    assert "verdict  failing: collapse since step 2300\n" in printed
    assert re.findall(r"^(\S+ \(.*\))$", printed, re.M) == [
        "collapse (steps 1000 to 1500, since step 2300)", "discriminator-lost (steps 1800 to 2300)"
    ]  # fmt: skip
    assert printed.count("the samples are alike since step 2300") == 1 and "since step 1000" not in printed
    assert run(["doctor", str(tmp_path), "-q", "--json"]) == 3
    alarms = json.loads(capsys.readouterr().out)["alarms"]
    assert [(alarm["failure"], alarm["since"], alarm["spells"]) for alarm in alarms] == [
        ("collapse", 2300, [{"since": 1000, "until": 1500}, {"since": 2300, "until": None}]),
        ("discriminator-lost", 1800, [{"since": 1800, "until": 2300}]),
    ]


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        ([], "unknown: the run was not watched (--watch-every 0), or has no measurement yet"),
        (lines(4), "no failure seen; too short to judge (under 5 measurements after step 500)"),
        (lines(5), "healthy"),
        (lines(12, diversity=0.1), "failing: collapse since step 1200"),
        ([*lines(6, 0, separation=0.1), *lines(12)[6:]], "healthy now, after alarms"),
        ([{"step": 100} | SOUND, {"step": 150, "d/adv": None}], "failing: diverged since step 150"),
    ],
)
def test_a_verdict_says_no_more_than_was_seen(history: list[dict[str, Any]], verdict: str) -> None:
    assert watched(history).verdict == verdict


def test_a_run_that_rolls_back_to_its_start_starts_from_the_same_weights(tmp_path: Path) -> None:
    """Those of --init-from."""
    settings = WON | {"on_failure": "rollback", "save_every": 500, "steps": 100}
    first = train(out=str(tmp_path / "a"), **settings | {"steps": 20})
    starts: list[dict[str, Any]] = []

    class Noted(FailsOnce):
        def on_start(self, loop: Loop) -> None:
            starts.append({name: value.clone() for name, value in loop.state.g.state_dict().items()})

    train(out=str(tmp_path / "b"), init_from=str(first.generator), callbacks=[Noted()], **settings)
    assert len(starts) == 2
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_layers_of_d_are_frozen_only_where_there_is_a_d_to_take_them_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(out=str(tmp_path / "a"), **WON | {"steps": 20})
    first.generator.with_name("dis.pth").unlink()
    flags = ["--recipe", "vanilla", "--steps", "2", "--batch-size", "16", "--init-from", str(first.generator)]
    assert run(["train", *flags, "--freeze-d", "1", "--out", str(tmp_path / "b"), "-q"]) == 2
    assert "no dis.pth" in capsys.readouterr().err
