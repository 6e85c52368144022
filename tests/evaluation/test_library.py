"""Evaluation of tensors and features, and the files that keep features."""

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gancli.errors import FileFormatError, UsageError
from gancli.evaluation import Features, Report, evaluate, load_features, load_report, metrics, save_features
from gancli.evaluation.comparing import compare, welch
from gancli.evaluation.metrics import GROUPS, table


def normal(count: int, dimensions: int = 8, seed: int = 0, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimensions, generator=generator, dtype=torch.float64) + shift


def report_of(shift: float = 0.0, n: int = 300, sets: int = 3, wanted: str = "fd,coverage") -> Report:
    fakes = [normal(n, seed=10 + number, shift=shift) for number in range(sets)]
    return evaluate(fakes, normal(n), train=normal(1200, seed=1), metrics=wanted)


def test_several_sets_give_mean_and_standard_error() -> None:
    figure = report_of().figure("fd")
    assert figure.n == 300
    assert len(figure.values) == 3
    assert figure.value == pytest.approx(np.mean(figure.values))
    assert figure.error == pytest.approx(np.std(figure.values, ddof=1) / math.sqrt(3))
    assert figure.baseline == pytest.approx(figure.value, rel=0.5)
    assert figure.baseline_error is not None


def test_one_set_has_no_error_and_says_so() -> None:
    report = report_of(sets=1)
    assert report.figure("fd").error is None
    assert any("no error bars" in warning for warning in report.warnings)


def test_images_as_bytes_and_as_floats_are_the_same() -> None:
    pixels = torch.randint(0, 256, (4, 60, 3, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    floats = pixels.float() / 127.5 - 1
    a, b = (evaluate(x[0], x[1], train=x[2:].flatten(0, 1), metrics="fd,swd,copies") for x in (pixels, floats))
    assert a.extractor.startswith("randconv_")
    assert [f.value for f in a.figures] == [f.value for f in b.figures]
    assert [f.name for f in a.figures] == [f"fd_{a.extractor}", "copies_pixels", "swd_pixels"]


@pytest.mark.parametrize(
    ("generated", "message"),
    [
        (torch.zeros(9, 3, 16, 16, dtype=torch.int64), "neither images"),
        (torch.zeros(9, 16, 16), "neither images"),
        (torch.full((9, 3, 16, 16), 255.0), r"must be in \[-1, 1\]"),
        (normal(50, 7), "cannot be compared"),
        (normal(50) / 0, "400 values are not finite"),
        (torch.full((9, 3, 16, 16), math.nan), "the largest is nan"),
        (torch.zeros(0, 8), "nothing in a tensor"),
        (np.zeros((50, 8)), "not ndarray"),
        ([], "at least one set"),
        (normal(3), "too few"),
    ],
)
def test_what_cannot_be_measured_is_refused(generated: Tensor, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(generated, normal(50), metrics="precision")


def test_images_of_other_shapes_are_refused() -> None:
    images = torch.zeros(20, 1, 16, 16, dtype=torch.uint8)
    for other in (images.expand(-1, 3, -1, -1), images[:, :, :12]):
        for sides in ({"generated": images, "real": other}, {"generated": images, "real": images, "train": other}):
            with pytest.raises(UsageError, match="the same channels and size"):
                evaluate(**sides)


def test_groups_leave_out_what_has_too_few_images_or_pixels(caplog: pytest.LogCaptureFixture) -> None:
    report = evaluate(normal(3), normal(50, seed=1), train=normal(50, seed=2))
    assert "fd" in {figure.metric for figure in report.figures}
    assert any(each.startswith("left out: precision, recall, density, coverage. 3 images") for each in report.warnings)
    pixels = torch.rand(3, 60, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    small = evaluate(pixels[0], pixels[1], train=pixels[2])
    assert any("left out: swd. images of 5x5 pixels" in each for each in small.warnings)
    assert "not in [0, 1]" in caplog.text
    with pytest.raises(UsageError, match="1 image is too few"):
        evaluate(normal(1), normal(50), metrics="fd")


def test_the_compared_images_themselves_are_recognised() -> None:
    report = evaluate(normal(300), normal(300), train=normal(900, seed=1), metrics="fast")
    assert report.findings[0].startswith("held-out images among them?")


def test_groups_hold_one_another_and_names_are_checked() -> None:
    chosen = [{metric.name for metric in metrics.choose(group)[0]} for group in GROUPS]
    assert chosen[0] < chosen[1] < chosen[2] == set(table())
    assert [metric.name for metric in metrics.choose("swd, fd")[0]] == ["fd", "swd"]
    with pytest.raises(UsageError, match="did you mean 'standard'"):
        metrics.choose("standart")


def test_what_needs_more_is_left_out_of_groups_and_refused_by_name() -> None:
    report = evaluate(normal(50), normal(50), metrics="full")
    names = {figure.metric for figure in report.figures}
    assert "coverage" in names
    assert not names & {"is", "swd", "authpct", "copies", "ppl"}
    assert any("without training images: authpct, c_t" in warning for warning in report.warnings)
    for name, needed in (("is", "labelled"), ("swd", "not features alone"), ("c_t", "training"), ("ppl", "--ckpt")):
        with pytest.raises(UsageError, match=needed):
            evaluate(normal(50), normal(50), metrics=name)


def test_features_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    for values in (normal(5, 3), normal(5, 3).float().double()):
        features = Features(values, normal(5, 2, 1), "lenet_1a2b", "heldout", {"seed": 3, "data": "digits"})
        save_features(tmp_path / "f.npz", features)
        found = load_features(tmp_path / "f.npz")
        assert torch.equal(found.values, values)
        assert found.logits is not None and features.logits is not None
        assert torch.equal(found.logits, features.logits)
        assert (found.extractor, found.split, found.facts) == (features.extractor, features.split, features.facts)
    with np.load(tmp_path / "f.npz", allow_pickle=False) as archive:
        about = json.loads(str(archive["about"]))
    assert (about["n"], about["extractor"], about["facts"]["seed"]) == (5, "lenet_1a2b", 3)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("sprung"),)  # type: ignore[return-value]


def test_foreign_feature_files_are_refused_and_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trap = np.array([_Trap()], dtype=object)
    np.savez("trap.npz", values=trap, about=trap)
    np.savez("other.npz", mu=np.zeros(3))
    Path("text.npz").write_text("hello")
    Path("pickle.npz").write_bytes(pickle.dumps({"a": 1}))
    save_features(Path("nan.npz"), Features(normal(4) / 0, None, "x", "heldout"))
    save_features(Path("cut.npz"), Features(normal(400), None, "x", "heldout"))
    Path("cut.npz").write_bytes(Path("cut.npz").read_bytes()[:900])
    for name in ("trap", "other", "text", "pickle", "nan", "cut", "missing"):
        with pytest.raises(FileFormatError, match=rf"{name}\.npz"):
            load_features(Path(f"{name}.npz"))
    assert not Path("sprung").exists()


def test_reports_come_back_from_json(tmp_path: Path) -> None:
    report = report_of()
    (tmp_path / "r.json").write_text(json.dumps(report.as_dict()))
    found = load_report(tmp_path / "r.json")
    assert found.figures == tuple(replace(f, values=tuple(f.values)) for f in report.figures)
    assert (found.extractor, found.fingerprint) == (report.extractor, report.fingerprint)
    older = {name: value for name, value in report.as_dict().items() if name != "class_diversity"}
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert load_report(tmp_path / "older.json").figures == found.figures
    for text in ("", "[]", "{}", '{"format": "gancli-report", "version": 99}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(FileFormatError, match="is not a report"):
            load_report(tmp_path / "bad.json")


def test_numbers_that_json_lacks_become_null() -> None:
    report = report_of()
    broken = replace(report, figures=(replace(report.figures[0], value=math.nan, values=(math.inf,)),))
    plain = json.loads(json.dumps(broken.as_dict(), allow_nan=False))
    assert plain["figures"][0]["value"] is None
    assert plain["figures"][0]["values"] == [None]


def test_differences_are_significant_where_the_error_bars_say_so() -> None:
    same, apart = report_of(), report_of(shift=0.6)
    rows = compare([same, apart, same], ["a", "b", "c"])
    assert [row.figures[0].metric for row in rows] == ["fd", "coverage"]
    distance = rows[0].differences
    assert distance[0].better is False
    assert distance[1].better is None
    assert distance[1].probability == pytest.approx(1)
    assert compare([apart, same], ["b", "a"])[0].differences[0].better is True


@pytest.mark.filterwarnings("error")
def test_welch_needs_two_values_on_each_side() -> None:
    assert welch([1.0, 1.0 + 2e-16], [2.0, 2.0]) == pytest.approx(0, abs=1e-9)
    assert welch([1.0], [2.0, 3.0]) is None
    assert welch([1.0, math.nan], [2.0, 3.0]) is None
    assert welch([1.0, 1.0], [1.0, 1.0]) == 1
    assert welch([1.0, 1.0], [2.0, 2.0]) == 0


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"extractor": "lenet_ffff"}, "extractor"),
        ({"fingerprint": "0"}, "real images"),
        ({"split": "train"}, "split is heldout|split is real"),
        ({"n": 200}, "N is 300"),
    ],
)
def test_reports_of_something_else_are_not_compared(changes: dict[str, str | int], what: str) -> None:
    first = report_of()
    other = report_of(n=200) if "n" in changes else replace(first, **changes)  # type: ignore[arg-type]
    if "n" in changes:
        other = replace(other, fingerprint=first.fingerprint)
    with pytest.raises(UsageError, match=what):
        compare([first, other], ["a", "b"])


@pytest.mark.parametrize(("name", "prefix"), [("lite0", "lite0_"), ("random", "randconv_"), ("pixels", "pixels")])
def test_an_extractor_may_be_named(name: Any, prefix: str) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 256, (2, 12, 3, 16, 16), dtype=torch.uint8, generator=generator)
    assert evaluate(a, b, extractor=name, metrics="fd").extractor.startswith(prefix)


def test_no_other_extractor_has_a_name() -> None:
    a, b = torch.zeros(2, 12, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(UsageError, match="there is no extractor 'lite1'; did you mean 'lite0'"):
        evaluate(a, b, extractor="lite1")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is for images, and features are given"):
        evaluate(normal(50), normal(50, seed=1), extractor="lite0")
