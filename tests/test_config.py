"""Configuration: files, flags and settings in the right order, and every typo refused with a hint."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gancli import config
from gancli.config import TrainConfig, build, merge, parse_image_size
from gancli.errors import UsageError


def test_flags_win_over_settings_over_the_file() -> None:
    file = {"data": "mnist", "batch_size": 8, "seed": 1, "hyperparameters": {"d_lr": 1e-3, "beta1": 0.9}}
    merged = build(TrainConfig, merge(file, ["seed=2", "batch_size=16", "d_lr=5e-5"], {"batch_size": 32}), "test")
    assert (merged.data, merged.seed, merged.batch_size) == ("mnist", 2, 32)
    assert merged.hyperparameters == {"d_lr": "5e-5", "beta1": 0.9}


def test_a_length_given_by_flag_replaces_the_files_other_kind_of_length() -> None:
    assert build(TrainConfig, merge({"epochs": 100}, [], {"steps": 7}), "test").epochs is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": "many"}, "test: epochs='many' must be a number"),
        ({"batch_size": 1.5}, "batch_size=1.5 must be a whole number"),
        ({"batch_size": True}, "must be a whole number"),
        ({"batch_size": 0}, "more than 0"),
        ({"save_every": -1}, "at least 0"),
        ({"precision": "fp23"}, "did you mean 'fp32'"),
        ({"deterministic": "yes"}, "true or false"),
        ({"epochs": 1, "steps": 1}, "exclude each other"),
        ({"image_size": "64x"}, "is not a size"),
        ({"hyperparameters": 3}, "must be a table"),
        ({"epochs": math.nan}, "a finite number"),
        ({"epochs": "inf"}, "a finite number"),
        ({"holdout": 10**400}, "a finite number"),
        ({"steps": 10**23}, "at most 1,000,000,000"),
        ({"seed": 2**63}, "at most 9,223,372,036,854,775,807"),
        ({"threads": 1_000_000}, "at most 1,024"),
        ({"data": ""}, "data is empty"),
        ({"out": ""}, "out is empty"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(TrainConfig, values, "test")


@pytest.mark.parametrize(("text", "size"), [("64", (64, 64)), ("64x96", (64, 96)), ("28X32", (28, 32))])
def test_sizes_are_height_by_width(text: str, size: tuple[int, int]) -> None:
    assert parse_image_size(text) == size


@pytest.mark.parametrize("text", ["0", "64x96x3", "-8", "2", "8x9999", "", "x", "8.5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_image_size(text)


def test_toml_round_trip_keeps_every_field(tmp_path: Path) -> None:
    full = TrainConfig(
        data="d", data_root='a"b\\c', image_size="64x96", recipe="r", hyperparameters={"x": 1.5, "y": "é", "z": True},
        epochs=2.5, batch_size=3, threads=2, seed=7, deterministic=True, name="n\x7f\n", save_every=0, sample_every=1,
        eval_every=2, init_from="i",
    )  # fmt: skip
    for each in (full, TrainConfig(), replace(full, epochs=None, steps=3)):
        path = tmp_path / "c.toml"
        path.write_text(config.dump_toml(each))
        assert build(TrainConfig, config.load_toml(path), "test") == each


@pytest.mark.parametrize("content", [b"epochs = = 3", b"\xff\xfe", b"[a\n"])
def test_a_file_that_is_not_toml_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not valid TOML"):
        config.load_toml(path)


def test_a_table_as_a_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="must be a table"):
        merge({}, ["hyperparameters=3"], {})


def test_a_setting_without_equals_is_refused() -> None:
    with pytest.raises(UsageError, match="key=value"):
        merge({}, ["d_lr"], {})
