from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from command_line import command
from smoothcert.data import load_dataset
from smoothcert.noise import input_keys
from smoothcert.votes.store import CertificationCache


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['smoothcert', '--help']\n"
        "from smoothcert.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'numpy', 'pyarrow', 'matplotlib', 'pandas', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "recertify" in done.stdout


def test_python_m_is_the_same_program() -> None:
    done = subprocess.run(command("--help"), capture_output=True, text=True, check=True)
    assert "recertify" in done.stdout


def test_compare_shows_base_and_candidates(run: Any, trained: Path) -> None:
    status, out, _ = run("compare", trained / "cache", "--json")
    rows = json.loads(out)["rows"]
    assert status == 0
    assert [row["classifier"] for row in rows] == [
        "base",
        "bf16",
        "int8",
        "int8",
        "prune-0.1",
    ]
    base, bf16, int8, scratch = rows[:4]
    assert base["ACR"] > bf16["ACR"] > 0
    assert 0 < bf16["mean zeta"] < 0.1
    worth = {row["candidate"]: row for row in json.loads(out)["from_scratch"]}
    assert [worth[name]["spread"] for name in ("bf16", "int8", "prune-0.1")] == ["budget", "even", "budget"]
    assert worth["bf16"]["one n"] > worth["int8"]["one n"] > 0
    assert all(row["one n low"] <= row["one n"] and row["guided"] <= row["one n"] for row in worth.values())
    assert 30 * 290 < bf16["samples"] <= 30 * 300
    assert int8["samples"] == 30 * 300
    assert scratch["samples"] == 30 * 400
    assert abs(bf16["paired"] + bf16["direct"] + bf16["abstain"] - 1) < 1e-9
    shown = run("compare", trained / "cache")[1]
    assert "guided by the cache" in shown
    assert f"{worth['bf16']['one n']:.2f} (" in shown


def test_compare_gates_by_its_exit_status(run: Any, trained: Path) -> None:
    cache = trained / "cache"
    assert run("compare", cache, "--min-certified-accuracy", "0.1@0")[0] == 0
    status, out, _ = run(
        "compare", cache, "--min-certified-accuracy", "0.1@0", "--min-certified-accuracy", "0.99@0.9"
    )
    assert status == 1
    assert "FAILED" in out
    for gate in ("0.4", "x@0.5", "1.4@0.5", "0.4@-1", "0.4@0.5@1"):
        status, _, err = run("compare", cache, "--min-certified-accuracy", gate)
        assert status == 2
        assert "min-certified-accuracy" in err


def test_recertify_again_costs_nothing_and_agrees(run: Any, copy: Path) -> None:
    cache = copy / "cache"
    before = run("compare", cache, "--json")[1]
    status, out, _ = run("recertify", cache, "--candidate", "bf16:torch", "--n-p", "300", "--json")
    assert status == 0
    assert json.loads(out)[0]["samples"] == 0
    assert run("compare", cache, "--json")[1] == before


def test_an_identical_candidate_is_reported(run: Any, copy: Path) -> None:
    same = copy / "same.safetensors"
    shutil.copy(copy / "checkpoint.safetensors", same)
    status, out, _ = run("recertify", copy / "cache", "--candidate", same, "--n-p", "200")
    assert status == 0
    assert "identical" in out
    rows = json.loads(run("compare", copy / "cache", "--json")[1])["rows"]
    assert next(row["note"] for row in rows if row["classifier"].startswith("same")).startswith("identical")


def test_report_writes_tables_logs_and_plots(run: Any, trained: Path, tmp_path: Path) -> None:
    assert run("report", trained / "cache", "--out", tmp_path / "report")[0] == 0
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {
        "comparison.csv",
        "comparison.parquet",
        "curves.csv",
        "from-scratch.csv",
        "log-int8.tsv",
        "certificates-base.parquet",
    } <= names
    assert {
        "certified-accuracy.png",
        "certified-accuracy.svg",
        "zeta.png",
        "acr-time-bf16.svg",
        "p-lower.png",
    } <= names


def test_predict_agrees_with_certify_and_abstains(run: Any, trained: Path) -> None:
    """At alpha = 1e-6 only 24 unanimous votes of 24 give a class: the cached shares tell who can have them."""
    call = ("predict", trained / "checkpoint.safetensors", "--data", "digits", "--limit", "30", "--sigma", "0.25")
    status, out, _ = run(*call, "--n", "24", "--alpha", "1e-6", "--json")
    assert status == 0
    found = json.loads(out)
    predicted = np.array(found["predictions"])
    store, dataset = CertificationCache(trained / "cache"), load_dataset("digits", "test", 30)
    counts = np.stack([store[key].counts for key in input_keys(dataset.inputs)])
    share, top = counts.max(axis=1) / store.manifest.n, counts.argmax(axis=1)
    doubtful, sure = share < 0.6, share > 0.999
    assert doubtful.sum() >= 2 and sure.sum() >= 2
    assert (predicted[doubtful] == -1).all(), "each has 24 equal votes with probability below 5e-6"
    np.testing.assert_array_equal(predicted[sure], top[sure])
    assert found["correct"] == (predicted == dataset.labels).sum()
    assert found["abstained"] == (predicted == -1).sum()


def test_cache_commands(run: Any, copy: Path) -> None:
    cache = copy / "cache"
    assert json.loads(run("cache", "info", cache, "--json")[1])["inputs"] == 30
    assert run("cache", "verify", cache)[0] == 0
    part = next((cache / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    status, _, err = run("cache", "verify", cache)
    assert status == 2
    assert part.name in err
    assert run("cache", "repair", cache)[0] == 0
    assert json.loads(run("cache", "info", cache, "--json")[1])["inputs"] == 0


def test_dry_run_certifies_nothing(
    run: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained / "checkpoint.safetensors"
    arguments = (
        "--data",
        "digits",
        "--sigma",
        "0.25",
        "--n",
        "1000",
        "--cache",
        tmp_path / "c",
        "--dry-run",
        "--json",
    )
    status, out, _ = run("certify", model, *arguments)
    assert status == 0
    found = json.loads(out)
    assert (found["samples"], found["seconds"]) == (500 * 1100, None), "nothing was timed"
    assert not (tmp_path / "c").exists()
    monkeypatch.setattr("smoothcert.cli.workspace.load", None)
    assert "for a time unknown before any was run" in run("certify", model, *arguments[:-1])[1]
    again = ("--data", "digits", "--sigma", "0.25", "--n", "2000", "--cache", trained / "cache", "--dry-run")
    assert " s as in the cache" in run("certify", model, *again)[1]


CERTIFY = ("--data", "digits", "--limit", "3", "--cache", "cache", "--n", "100")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sigma", "0"), "--sigma is 0"),
        (("--sigma", "nan"), "--sigma is nan"),
        (("--sigma", "-1"), "--sigma is -1"),
        (("--sigma", "0.25", "--n", "0"), "--n is 0"),
        (("--sigma", "0.25", "--n", "5"), "--n is 5"),
        (("--sigma", "0.25", "--n0", "0"), "--n0 is 0"),
        (("--sigma", "0.25", "--alpha", "0"), "--alpha is 0"),
        (("--sigma", "0.25", "--alpha", "1"), "--alpha is 1"),
        (("--sigma", "0.25", "--seed", "-1"), "--seed is -1"),
        (("--sigma", "0.25", "--limit", "0"), "--limit is 0"),
        (("--sigma", "0.25", "--batch-size", "0"), "--batch-size is 0"),
        (("--sigma", "0.25", "--data", "nowhere"), "nowhere"),
        (("--sigma", "0.25", "--split", "nosuch"), "nosuch"),
    ],
)
def test_certify_refuses_bad_arguments(
    run: Any,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run("certify", trained / "checkpoint.safetensors", *CERTIFY, *arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir()), "nothing was begun"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--candidate", "bf16:torch", "--n-p", "2001"), "--n-p is 2001"),
        (("--candidate", "bf16:torch", "--n-p", "0"), "--n-p is 0"),
        (("--candidate", "bf16:torch", "--n-p", "300", "--alpha-zeta", "1.5"), "--alpha-zeta is 1.5"),
        (("--candidate", "bf16:torch", "--n-p", "300", "--gamma", "0.5"), "--gamma is 0.5"),
        (("--candidate", "bf16:torch", "--n-p", "300", "--gamma", "1.01"), "--gamma is 1.01"),
        (("--candidate", "bf16:torch", "--n-p", "300", "--gamma", "high"), "--gamma is 'high'"),
        (("--candidate", "int4", "--n-p", "300"), "int4"),
        (("--candidate", "prune:1.5", "--n-p", "300"), "prune:1.5"),
        (("--candidate", "bf16:torch", "--candidate", "no.module:f", "--n-p", "300"), "no.module"),
        (("--candidate", "bf16:torch", "--n-p", "200"), "to start 'bf16:torch' anew"),
    ],
)
def test_recertify_refuses_bad_arguments(
    run: Any, trained: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = sorted(path.name for path in (trained / "cache" / "candidates").iterdir())
    status, _, err = run("recertify", trained / "cache", *arguments)
    assert status == 2
    assert message in err
    assert sorted(path.name for path in (trained / "cache" / "candidates").iterdir()) == before


def test_other_inputs_or_another_model_are_refused(run: Any, trained: Path, tmp_path: Path) -> None:
    cache = trained / "cache"
    x = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)
    np.savez(tmp_path / "other.npz", x=x, y=np.array([0, 1, 9]))
    status, _, err = run(
        "recertify", cache, "--candidate", "bf16:torch", "--n-p", "300", "--data", tmp_path / "other.npz"
    )
    assert status == 2
    assert "is not in" in err
    state = trained / "checkpoint.safetensors"
    with safe_open(state, "pt") as file:
        metadata = file.metadata()
    changed = {
        name: tensor + 0.01 if tensor.dtype == torch.float32 else tensor
        for name, tensor in load_file(state).items()
    }
    save_file(changed, tmp_path / "changed.safetensors", metadata)
    model = tmp_path / "changed.safetensors"
    status, _, err = run("recertify", cache, "--candidate", "bf16:torch", "--n-p", "300", "--model", model)
    assert status == 2
    assert "another model" in err


def test_no_cache_and_no_candidates_are_named(run: Any, trained: Path, tmp_path: Path) -> None:
    assert run("compare", tmp_path)[0] == 2
    shutil.copytree(trained / "cache", tmp_path / "cache", ignore=shutil.ignore_patterns("candidates"))
    status, _, err = run("compare", tmp_path / "cache", "--min-certified-accuracy", "0.4@0.5")
    assert status == 2
    assert "no recertified candidate" in err


def test_labels_that_do_not_fit_are_warned_about(run: Any, trained: Path, tmp_path: Path) -> None:
    dataset = load_dataset("digits", "test", 40)
    x = np.stack([dataset.inputs[i] for i in range(40)])
    np.savez(tmp_path / "shifted.npz", x=x, y=(dataset.labels + 1) % 10)
    model, call = trained / "checkpoint.safetensors", ("--data", tmp_path / "shifted.npz", "--sigma", "0.25")
    status, out, err = run("certify", model, *call, "--n", "100", "--cache", tmp_path / "c", "--json")
    assert status == 0
    (caution,) = json.loads(out)["cautions"]
    assert caution.startswith("accuracy 0.0")
    assert "no better than guessing among 10 classes" in err
    assert "no better than guessing" in run("predict", model, *call, "--n", "100")[2]
    good = run(
        "certify", model, "--data", "digits", "--limit", "40", *call[2:], "--n", "100", "--cache", tmp_path / "d"
    )
    assert "warning" not in good[2]


def test_a_sigma_far_from_the_training_is_warned_about_before_sampling(run: Any, trained: Path) -> None:
    model, call = trained / "checkpoint.safetensors", ("--data", "digits", "--limit", "2", "--n", "50")
    err = run("predict", model, *call, "--sigma", "0.5")[2]
    assert "warning: the model was trained with sigma = 0.25, not 0.5" in err
    assert "warning" not in run("predict", model, *call, "--sigma", "0.26")[2]
