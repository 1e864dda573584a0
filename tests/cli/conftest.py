"""The command line as a function, and a small model with a cache and candidates, made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smoothcert.cli import main


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
    for arguments in (
        [
            "train",
            "--data",
            "digits",
            "--arch",
            "digits_conv",
            "--sigma",
            "0.25",
            "--epochs",
            "4",
            "--out",
            folder,
        ],
        [
            "certify",
            model,
            "--data",
            "digits",
            "--limit",
            "30",
            "--sigma",
            "0.25",
            "--n",
            "2000",
            "--cache",
            cache,
        ],
        ["recertify", cache, "--candidate", "bf16", "--candidate", "prune:0.1", "--n-p", "300"],
        ["recertify", cache, "--candidate", "int8", "--n-p", "300", "--gamma", "auto"],
    ):
        command = [sys.executable, "-m", "smoothcert.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))
