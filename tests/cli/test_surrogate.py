"""``smoothcert surrogate`` from the votes to the evaluation, killed on the way, and used wrongly."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import command, smoothcert


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Votes of training and of test digits, and a surrogate of the model of the other tests."""
    folder = tmp_path_factory.mktemp("surrogate")
    model, digits = trained / "checkpoint.safetensors", ("--data", "digits", "--sigma", 0.25)
    smoothcert("surrogate", "votes", model, *digits, "--limit", 200, "--n", 50, "--out", folder / "votes")
    fit = ("--arch", "digits_conv", "--recipe", "fast", "--epochs", 20, "--start-from", model)
    smoothcert("surrogate", "fit", folder / "votes", *fit, "--out", folder / "surrogate")
    calibration = ("--split", "test", "--skip", 2, "--n", 60)
    smoothcert("surrogate", "votes", model, *digits, *calibration, "--out", folder / "cal")
    return folder


def test_the_way_from_votes_to_evaluation(run: Any, trained: Path, made: Path, tmp_path: Path) -> None:
    surrogate = Path(shutil.copytree(made / "surrogate", tmp_path / "surrogate"))
    model, base = trained / "checkpoint.safetensors", trained / "cache"
    status, out, err = run("surrogate", "certify", surrogate, model, "--data", "digits", "--limit", "20", "--json")
    raw = json.loads(out)
    assert (status, raw["guarantee"]) == (0, "estimated"), err
    assert 0 < raw["samples"] <= 2000
    status, out, err = run(
        "surrogate",
        "calibrate",
        surrogate,
        "--votes",
        made / "cal",
        "--miss",
        "0.2",
        "--beta",
        "0.1",
        "--groups",
        "2",
    )
    assert status == 0, err
    assert "at most a share 0.2 in each of 2 groups" in out.replace("\n", " ")
    arguments = ("surrogate", "certify", surrogate, "--data", "digits", "--limit", "20", "--n0", "0")
    status, out, _ = run(*arguments, "--json", "--out", tmp_path / "radii.csv")
    calibrated = json.loads(out)
    assert (status, calibrated["guarantee"], calibrated["samples"]) == (0, "calibrated", 0)
    assert "calibrated" in (tmp_path / "radii.csv").read_text()
    assert json.loads(run(*arguments, "--raw", "--json")[1])["guarantee"] == "estimated"
    shown = run(*arguments)[1]
    assert "CALIBRATED radii, not certified ones" in " ".join(shown.split())
    assert "certified accuracy" not in shown
    status, out, err = run("surrogate", "evaluate", surrogate, "--cache", base, "--out", tmp_path / "report")
    assert status == 0, err
    assert "15 inputs that the surrogate was fitted to or calibrated on are left out" in out
    assert (tmp_path / "report" / "accuracy.png").stat().st_size > 0
    rows = json.loads(run("surrogate", "evaluate", surrogate, "--cache", base, "--json")[1])["accuracy"]
    assert [row["guarantee"] for row in rows] == ["certified"] * 2 + ["estimated"] * 2 + ["calibrated"] * 2


def test_guided_certification_continues(run: Any, trained: Path, made: Path, tmp_path: Path) -> None:
    guided = ("surrogate", "guided", made / "surrogate", trained / "checkpoint.safetensors", "--data", "digits")
    arguments = (*guided, "--limit", "20", "--n", "200", "--cache", tmp_path / "guided", "--json")
    status, out, err = run(*arguments)
    assert status == 0, err
    first = json.loads(out)
    assert first["guarantee"] == "certified"
    assert 0.9 * 20 * 200 < first["samples"] - 20 * 100 <= 20 * 200
    again = json.loads(run(*arguments)[1])
    assert again["samples"] == 0
    assert again["average_certified_radius"] == first["average_certified_radius"]
    assert "certified:" in run(*arguments[:-1])[1]


def test_a_killed_fit_ends_with_the_same_files(made: Path, tmp_path: Path) -> None:
    fit = ("surrogate", "fit", made / "votes", "--arch", "digits_conv", "--epochs", "60", "--out")
    child = subprocess.Popen(command(*fit, tmp_path / "killed"), stderr=subprocess.DEVNULL)
    state = tmp_path / "killed" / "fit-state.safetensors"
    while not state.exists() and child.poll() is None:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "killed" / "surrogate.json").exists()
    for folder in ("killed", "whole"):
        smoothcert(*fit, tmp_path / folder)
    for name in ("surrogate.safetensors", "surrogate.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_wrong_usage_says_what_would_be_right(run: Any, trained: Path, made: Path, tmp_path: Path) -> None:
    model, surrogate = trained / "checkpoint.safetensors", made / "surrogate"
    unknown = shutil.copytree(surrogate, tmp_path / "unknown", ignore=shutil.ignore_patterns("recipe.json"))
    for words, arguments in (
        ("need 80 there", ("calibrate", surrogate, "--votes", made / "cal", "--groups", "3", "--miss", "0.05")),
        ("were used to fit", ("calibrate", surrogate, "--votes", made / "votes")),
        ("no certification cache", ("calibrate", surrogate, "--votes", tmp_path)),
        ("holds no finished surrogate", ("certify", tmp_path, "--data", "digits", "--n0", "0")),
        ("--n0 is 100, but there is no classifier", ("certify", unknown, "--data", "digits", "--n0", "100")),
        ("--data is missing, and", ("certify", unknown)),
        ("arch is 'cifar_resnet7'", ("fit", made / "votes", "--arch", "resnet7", "--out", tmp_path / "a")),
        ("no selection votes", ("evaluate", surrogate, "--cache", made / "cal")),
        (
            "but the call has 'gaussian/1'",
            ("votes", model, "--data", "digits", "--split", "test", "--skip", "2", "--sigma", "0.25", "--n", "60",
             "--noise", "gaussian", "--out", made / "cal"),
        ),
    ):  # fmt: skip
        status, _, err = run("surrogate", *arguments)
        assert status == 2
        assert words in err, err


def test_another_model_than_the_fitted_one_is_refused(run: Any, made: Path, tmp_path: Path) -> None:
    train = ("train", "--data", "digits", "--arch", "digits_conv", "--sigma", "0.25", "--epochs", "1")
    assert run(*train, "--out", tmp_path)[0] == 0
    status, _, err = run(
        "surrogate", "certify", made / "surrogate", tmp_path / "checkpoint.safetensors", "--data", "digits"
    )
    assert status == 2
    assert "is not the model that the surrogate was fitted for" in err


def test_a_surrogate_knows_where_data_and_model_of_its_votes_are(
    run: Any, trained: Path, made: Path, tmp_path: Path
) -> None:
    surrogate, limit = made / "surrogate", ("--limit", "20", "--json")
    status, out, err = run("surrogate", "certify", surrogate, *limit)
    assert status == 0, err
    assert "--n0 is 100, as none is given" in err
    named = run("surrogate", "certify", surrogate, trained / "checkpoint.safetensors", "--data", "digits", *limit)[
        1
    ]
    told, both = json.loads(out), json.loads(named)
    assert (told["radii"], told["samples"]) == (both["radii"], both["samples"])
    unknown = shutil.copytree(surrogate, tmp_path / "s", ignore=shutil.ignore_patterns("recipe.json"))
    status, out, err = run("surrogate", "certify", unknown, "--data", "digits", *limit)
    assert (status, json.loads(out)["samples"]) == (0, 0)
    assert "--n0 is 0, as none is given: there is no model to agree with" in err


def test_dry_runs_sample_nothing(run: Any, trained: Path, made: Path, tmp_path: Path) -> None:
    model, digits = trained / "checkpoint.safetensors", ("--data", "digits", "--limit", "20")
    for samples, arguments in (
        (20 * 50, ("votes", model, *digits, "--sigma", "0.25", "--n", "50", "--out", tmp_path / "v")),
        (200 * 7, ("fit", made / "votes", "--arch", "digits_conv", "--epochs", "7", "--out", tmp_path / "f")),
        (20 * 100, ("certify", made / "surrogate", *digits)),
        (20 * 150, ("guided", made / "surrogate", model, *digits, "--n", "50", "--cache", tmp_path / "g")),
    ):
        status, out, err = run("surrogate", *arguments, "--dry-run", "--json")
        assert status == 0, err
        assert json.loads(out)["samples"] == samples
    assert not list(tmp_path.iterdir())
