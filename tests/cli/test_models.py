"""Models of every kind from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import kinds
from folders import contents
from smoothcert.models import build_model

OWN = """
import kinds

def build():
    return kinds.small_net()

def build_half():
    return kinds.small_net().half()

def half(module):
    return module.half()

def boom():
    raise RuntimeError("no disk")
"""
SETTINGS = ("--sigma", 0.25, "--n0", 20, "--n", 200, "--runtime", "eager")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, and models of several kinds, all with the same weights but the last two."""
    where = tmp_path_factory.mktemp("work")
    (where / "own_cli.py").write_text(OWN)
    x, y = kinds.images(4, (3, 32, 32)).numpy(), np.array([0, 3, 6, 9])
    np.savez(where / "data.npz", x=(255 * x).round().astype(np.float32) / 255, y=y)
    torch.save(kinds.small_net().state_dict(), where / "plain.pth")
    with kinds.quietly():
        torch.export.save(kinds.program(kinds.small_net(), kinds.images(2, (3, 32, 32))), where / "net.pt2")
    torch.manual_seed(0)
    network: nn.Module = build_model("cifar_resnet20")[1]
    torch.save(network.state_dict(), where / "resnet.pth")
    (where / "hf").mkdir()
    kinds.save_huggingface(where / "hf", {"do_resize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    return where


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def recipe(cache: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((cache / "recipe.json").read_text())
    return known


def certified(run: Any, cache: Path, model: str, *options: object) -> str:
    status, out, err = run("certify", model, "--data", "data.npz", *SETTINGS, "--cache", cache, *options, "--json")
    assert status == 0, err
    return str(out)


@pytest.mark.parametrize(
    ("model", "options", "known"),
    [
        ("own_cli:build", (), (None, None)),
        ("own_cli:build_half", (), (None, None)),
        ("plain.pth", ("--arch", "own_cli:build"), ("own_cli:build", None)),
        (
            "resnet.pth",
            ("--arch", "cifar_resnet20", "--normalization", "cifar10"),
            ("cifar_resnet20", "cifar10"),
        ),
        ("net.pt2", (), (None, None)),
        ("hf:hf", (), (None, None)),
    ],
)
def test_certified_then_recertified_without_a_word_about_the_model(
    run: Any, tmp_path: Path, folder: Path, model: str, options: tuple[str, ...], known: tuple[str | None, ...]
) -> None:
    cache = tmp_path / "cache"
    certified(run, cache, model, *options)
    assert (recipe(cache)["arch"], recipe(cache)["normalization"]) == known
    form, _, rest = model.rpartition(":")
    assert recipe(cache)["model"] == {"own_cli": model, "hf": f"hf:{folder / rest}"}.get(form, str(folder / model))
    # Of the same kind as the base, and of another.
    candidates = ("--candidate", "own_cli:half", "--candidate", "hf:hf")
    status, out, err = run("recertify", cache, *candidates, "--n-p", 50, "--no-baseline", "--json")
    assert status == 0, err
    rows = json.loads(out)
    assert [row["candidate"].rpartition("-")[0] for row in rows] == ["own_cli", "hf-hf"]
    assert [row["inputs"] for row in rows] == [4, 4]


def test_the_same_weights_give_the_same_votes(run: Any, tmp_path: Path) -> None:
    found = []
    for model, options in (("own_cli:build", ()), ("plain.pth", ("--arch", "own_cli:build"))):
        cache = tmp_path / model.partition(":")[0]
        certified(run, cache, model, *options)
        found.append(contents(cache / "parts"))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("plain.pth", (), "give arch (--arch)"),
        ("resnet.pth", ("--arch", "cifar_resnet20"), "normalization is missing"),
        ("resnet.pth", ("--arch", "cifar_resnet20", "--normalization", "mnist"), "give one of none, cifar10"),
        ("own_cli:boom", (), "'own_cli:boom' raised RuntimeError: no disk"),
        ("own_cli:half", (), "makes a candidate of it (recertify)"),
        ("hf:hf", ("--arch", "cifar_resnet20"), "arch is given, but hf:hf says itself what it is"),
        ("model.pkl", (), "is a pickle"),
    ],
)
def test_a_model_that_cannot_be_opened_leaves_nothing(
    run: Any, tmp_path: Path, model: str, options: tuple[str, ...], message: str
) -> None:
    cache = tmp_path / "cache"
    status, _, err = run("certify", model, "--data", "data.npz", *SETTINGS, "--cache", cache, *options)
    assert status != 0
    assert message in " ".join(err.split())
    assert not cache.exists()


def test_a_model_that_is_refused_by_the_probe_leaves_nothing(run: Any, tmp_path: Path, folder: Path) -> None:
    (folder / "own_mates.py").write_text(
        "import torch\n"
        "class Mates(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        x = x.flatten(1)[:, :10]\n"
        "        return x - x.mean(0)\n"
        "def build():\n    return Mates()\n"
    )
    cache = tmp_path / "cache"
    status, _, err = run("certify", "own_mates:build", "--data", "data.npz", *SETTINGS, "--cache", cache)
    assert status == 2
    assert "num_classes" in err or "batch mates" in err
    assert not cache.exists()


def test_a_plain_state_dict_that_has_moved_is_what_its_recipe_says(run: Any, tmp_path: Path, folder: Path) -> None:
    cache, moved = tmp_path / "cache", tmp_path / "moved.pth"
    file = tmp_path / "first.pth"
    file.write_bytes((folder / "resnet.pth").read_bytes())
    certified(run, cache, str(file), "--arch", "cifar_resnet20", "--normalization", "cifar10")
    file.rename(moved)
    call = ("recertify", cache, "--candidate", "own_cli:half", "--n-p", 50, "--no-baseline", "--json")
    status, _, err = run(*call)
    assert status != 0
    assert "first.pth" in err
    status, out, err = run(*call, "--model", moved)
    assert status == 0, err
    assert json.loads(out)[0]["inputs"] == 4


def test_a_model_may_know_more_classes_than_the_labels_of_a_file(run: Any, tmp_path: Path, folder: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
    np.savez(tmp_path / "few.npz", x=x, y=np.array([0, 1, 2, 3]))
    data = ("--data", tmp_path / "few.npz", "--sigma", "0.25", "--n", "100", "--cache", tmp_path / "c")
    assert run("certify", "own_cli:build", *data)[0] == 0
    assert run("recertify", tmp_path / "c", "--candidate", "own_cli:build_half", "--n-p", "50")[0] == 0
    assert json.loads(run("compare", tmp_path / "c", "--json")[1])["rows"]
    np.savez(tmp_path / "more.npz", x=x, y=np.array([0, 1, 2, 11]))
    status, _, err = run("certify", "own_cli:build", *data[:1], tmp_path / "more.npz", *data[2:-1], tmp_path / "d")
    assert status == 2
    assert "has 10 classes, but the data has 12" in err


def test_an_output_of_an_onnx_model_is_named_behind_its_file(run: Any, tmp_path: Path, folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = np.random.default_rng(0).normal(size=(3072, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
        helper.make_node("Neg", ["scores"], ["others"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", kind, ["b", 3, 32, 32])],
        [helper.make_tensor_value_info(name, kind, ["b", 10]) for name in ("scores", "others")],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "two.onnx").write_bytes(model.SerializeToString())
    cache = tmp_path / "c"
    status, _, err = run("certify", tmp_path / "two.onnx", "--data", "data.npz", *SETTINGS, "--cache", cache)
    assert status == 2
    assert "scores" in err
    certified(run, cache, f"{tmp_path / 'two.onnx'}@scores")
    status, out, _ = run(
        "recertify", cache, "--candidate", f"{tmp_path / 'two.onnx'}@others", "--n-p", "50", "--json"
    )
    assert status == 0
    assert json.loads(out)[0]["candidate"].startswith("two.onnx-others-")
