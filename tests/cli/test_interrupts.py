"""Ctrl-C ends a command with status 130 and one line that says how to continue."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import command
from smoothcert.classifiers import onnx_export


def test_ctrl_c_says_how_to_continue(trained: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    options = ("--data", "digits", "--sigma", 0.25, "--n", 60_000, "--runtime", "eager", "--cache", cache)
    child = subprocess.Popen(
        command("certify", trained / "checkpoint.safetensors", *options),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # Children of a background shell inherit that the signal is ignored: restore what a terminal gives.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while child.poll() is None and not (cache / "manifest.json").exists():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130
    assert "run the same command again" in err


@pytest.mark.parametrize("rewritten", [RuntimeError, None])
def test_ctrl_c_while_a_model_is_exported_ends_the_command(
    run: Any,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exported: dict[object, bytes],
    rewritten: type[Exception] | None,
) -> None:
    def export(*_: object) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            if rewritten is not None:
                raise rewritten("the export failed") from error

    exported.clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))  # where no graph was kept
    monkeypatch.setattr(onnx_export, "_export", export)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        arguments = (
            "--data",
            "digits",
            "--limit",
            "2",
            "--sigma",
            "0.25",
            "--n",
            "100",
            "--cache",
            tmp_path / "c",
        )
        status, out, err = run("certify", trained / "checkpoint.safetensors", *arguments)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, out) == (130, "")
    assert err.splitlines()[-1].startswith("interrupted: what was finished is kept")
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.rglob("*")] == ["c", "recipe.json"]  # which says what it was
