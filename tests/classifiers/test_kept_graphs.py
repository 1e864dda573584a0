from __future__ import annotations

from pathlib import Path

import pytest
import torch

from smoothcert.classifiers import TorchClassifier, export_onnx, kept_graph, onnx_export
from smoothcert.classifiers.kept_graphs import computed_by

pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "smoothcert" / "graphs"


def refuse() -> bytes:
    raise AssertionError("it should have been kept")


def test_a_graph_is_made_once(home: Path) -> None:
    assert kept_graph("one", lambda: b"graph") == b"graph"
    assert kept_graph("one", refuse) == b"graph"
    assert kept_graph("two", lambda: b"other") == b"other"
    assert len(list(home.iterdir())) == 2


def test_a_damaged_graph_is_made_again(home: Path) -> None:
    kept_graph("one", lambda: b"graph")
    (file,) = home.iterdir()
    for damage in (b"", file.read_bytes()[:-1], file.read_bytes() + b"!", b"0" * 37):
        file.write_bytes(damage)
        assert kept_graph("one", lambda: b"graph") == b"graph"
        assert kept_graph("one", refuse) == b"graph"


def test_where_nothing_can_be_kept_graphs_are_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.parent.write_text("a file where the folder should be")
    assert kept_graph("one", lambda: b"graph") == b"graph"
    assert kept_graph("one", lambda: b"again") == b"again"


def test_those_used_least_recently_are_forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smoothcert.classifiers.kept_graphs._AT_MOST", 300)
    for i in range(10):
        kept_graph(str(i), lambda: b"x" * 100)
    assert len(list(home.iterdir())) == 2


class Scaled(torch.nn.Module):
    """Its attribute is in no fingerprint."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.layer = torch.nn.Linear(4, 2)
        torch.nn.init.constant_(self.layer.weight, 0.5)
        torch.nn.init.zeros_(self.layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = self.factor * self.layer(x)
        return scaled


def test_graphs_are_kept_by_what_they_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    one, same, two = (TorchClassifier(Scaled(factor), 2) for factor in (1.0, 1.0, 2.0))
    assert one.fingerprint == two.fingerprint
    assert computed_by(one, (4,)) == computed_by(same, (4,)) != computed_by(two, (4,))
    first = export_onnx(one, (4,))
    assert export_onnx(two, (4,)) != first
    monkeypatch.setattr(onnx_export, "_exported", lambda classifier, shape: refuse())
    assert export_onnx(same, (4,)) == first
