"""The command line as a function, and a small model with a cache and candidates, made once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import smoothcert
from exports import remembered_exports
from smoothcert.cli import main


@pytest.fixture(scope="module", autouse=True)
def exported() -> Iterator[dict[object, bytes]]:
    """Export each model to ONNX once: most commands do it."""
    with remembered_exports() as known:
        yield known


@pytest.fixture(autouse=True)
def _few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute curves at two numbers of samples instead of ten, and baselines at few."""
    monkeypatch.setattr("smoothcert.evaluation.comparison.CURVE_POINTS", 2)
    monkeypatch.setattr("smoothcert.evaluation.baselines._STEP", 2.5)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Call the command line; returns (status, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["smoothcert", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capfd.readouterr()
        return int(exit_.value.code or 0), out, err

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digits model, certified on 30 inputs, with three candidates."""
    folder = tmp_path_factory.mktemp("trained")
    model, cache = folder / "checkpoint.safetensors", folder / "cache"
    digits = ("--data", "digits", "--sigma", 0.25)
    with remembered_exports():
        smoothcert("train", *digits, "--arch", "digits_conv", "--epochs", 4, "--out", folder)
        smoothcert("certify", model, *digits, "--limit", 30, "--n", 2000, "--cache", cache)
        smoothcert("recertify", cache, "--candidate", "bf16:torch", "--candidate", "prune:0.1", "--n-p", 300)
        smoothcert("recertify", cache, "--candidate", "int8:onnx", "--n-p", 300, "--spread", "even")
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))
