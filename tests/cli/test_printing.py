"""What is printed of a user's or a file's text is text: no markup, nothing that a terminal would obey."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smoothcert as sc
from smoothcert.cli.printing import doing, progress_bar
from smoothcert.printable import printable
from smoothcert.reporting import Column, Table, to_rich

# Colours, clears the screen, begins a line of its own, and is not UTF-8.
NAME = os.fsdecode(b"a[b][red]:smile:\x1b[2J\nerror: forged\xff")
TAG = "z[/b]"  # two folders, and a tag that ends what was not begun
SHOWN = "[red]:smile:\\x1b[2J\\nerror: forged\\udcff"


@pytest.fixture
def hostile(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "cache", tmp_path / NAME))


@pytest.fixture
def check(run: Any) -> Any:
    def call(*arguments: object, status: int = 0, shown: str = SHOWN) -> None:
        found, out, err = run(*arguments)
        assert found == status, err
        assert shown in out + err
        assert "\x1b" not in out + err
        assert "Traceback" not in err
        assert "\nerror: forged" not in out + err

    return call


def test_control_characters_become_escapes_and_other_text_stays() -> None:
    assert printable("runs/é 中 [b]") == "runs/é 中 [b]"
    assert printable("\x00\x1b\x7f\x9b\r\u202e\u2028\udc80") == "\\x00\\x1b\\x7f\\x9b\\r\\u202e\\u2028\\udc80"


def test_cache_report_and_comparison(check: Any, run: Any, hostile: Path, tmp_path: Path) -> None:
    check("report", hostile, "--out", tmp_path / "report" / NAME)
    assert any((tmp_path / "report" / NAME).iterdir())
    check("compare", hostile / "none", status=2)
    check("plan", hostile / "none", "--radius", 0.25, status=2)
    check(
        "audit", hostile / "none", "--model", NAME, "--candidate", "bf16:torch", "--n-p", 9, "--seed", 7, status=2
    )
    assert run("compare", hostile)[0] == 0
    part = next((hostile / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    check("cache", "verify", hostile, status=2)


def test_certification_and_training(check: Any, run: Any, trained: Path, tmp_path: Path) -> None:
    model, data = trained / "checkpoint.safetensors", ("--data", "digits", "--limit", "2", "--sigma", "0.25")
    cache = tmp_path / TAG
    check("certify", model, *data, "--n", 100, "--runtime", "eager", "--cache", cache, shown=TAG)
    cache = tmp_path / NAME
    check("certify", model, *data, "--n", 100, "--runtime", "eager", "--cache", cache)
    check("train", *data, "--arch", "digits_conv", "--epochs", 1, "--out", tmp_path / "model" / NAME)
    changed = tmp_path / (NAME + ".safetensors")
    shutil.copy(model, changed)
    check("recertify", cache, "--candidate", changed, "--n-p", 50)
    rows = json.loads(run("recertify", cache, "--candidate", changed, "--n-p", 50, "--json")[1])
    assert NAME in rows[0]["computes"]
    check("recertify", cache, "--candidate", NAME, "--n-p", 50, status=2)
    audit = ("audit", cache, "--model", model, "--candidate", "bf16:torch", "--n", 100, "--n-p", 50, "--seed", 7)
    check(*audit, "--out", tmp_path / "audit" / NAME)


def test_surrogates(check: Any, trained: Path, tmp_path: Path) -> None:
    model, data = trained / "checkpoint.safetensors", ("--data", "digits", "--limit", "50", "--sigma", "0.25")
    votes, fitted = tmp_path / NAME, tmp_path / "fitted" / NAME
    check("surrogate", "votes", model, *data, "--n", 20, "--runtime", "eager", "--out", votes)
    check("surrogate", "fit", votes, "--arch", "digits_conv", "--epochs", 1, "--out", fitted)
    check("surrogate", "certify", tmp_path / NAME / "none", "--data", "digits", "--n0", 0, status=2)
    check("surrogate", "guided", fitted, model, "--data", NAME, "--cache", tmp_path / "c", status=2)


def test_texts_of_a_manifest(check: Any, run: Any, tmp_path: Path) -> None:
    classifier = sc.FunctionClassifier(
        lambda batch: np.stack([batch[:, 0], 1 - batch[:, 0]], axis=1),
        num_classes=2,
        fingerprint="f[/b]\x1b]0;title\x07",
    )
    sc.certify(classifier, np.full((2, 3), 0.25, np.float32), sigma=0.25, n=100, cache=tmp_path / "c")
    check("cache", "info", tmp_path / "c", shown="f[/b]\\x1b]0;title\\x07")
    found = json.loads(run("cache", "info", tmp_path / "c", "--json")[1])
    assert found["fingerprint"] == classifier.fingerprint


def test_tables_show_texts_as_they_are() -> None:
    from rich.console import Console

    table = Table("t[/b]\x1b[2J", (Column("c\x1b[2J"),), (("[red]x\x1b[2J\n",),))
    console = Console(width=60, record=True, force_terminal=True, file=io.StringIO())
    console.print(to_rich(table))
    text = console.export_text()
    assert "\x1b" not in text
    assert "[red]x\\x1b[2J\\n" in text


def test_what_takes_its_time_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    with doing("reading [b]\x1b"):
        pass
    with progress_bar("certify"), doing("exporting"):
        pass
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "reading [b]\\x1b …"
    assert "exporting" not in err, "the bar shows that something is going on"


def test_on_a_terminal_a_status_line_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with doing("reading [b]"):
        pass
    assert "reading [b]" in screen.getvalue()
    assert screen.getvalue().endswith(("\x1b[2K", "\x1b[?25h")), "erased, and the cursor is back"
