from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

import smoothcert as sc


class Terminal(io.StringIO):
    """What is written to it can be seen."""

    def isatty(self) -> bool:
        return True


F = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
X = np.array([[0.9, 0.1], [0.2, 0.7]])


def test_a_bar_is_shown_where_somebody_can_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for progress, shown in ((None, True), (False, False), (lambda done, total: None, False)):
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        sc.certify(F, X, sigma=0.25, n=1000, progress=progress)  # type: ignore[arg-type]
        sc.predict(F, X, sigma=0.25, progress=progress)  # type: ignore[arg-type]
        sc.certify_at_radius(F, X, 0.05, sigma=0.25, progress=progress)  # type: ignore[arg-type]
        assert ("2200/2200" in terminal.getvalue()) is shown
        assert ("2000/2000" in terminal.getvalue()) is shown


def test_no_bar_is_written_to_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    sc.certify(F, X, sigma=0.25, n=1000)
    assert log.getvalue() == ""


def test_a_bar_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(batch) > 16:  # after the probe
            raise KeyboardInterrupt
        return batch

    f = sc.FunctionClassifier(interrupted, num_classes=2, fingerprint="interrupted")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with pytest.raises(KeyboardInterrupt):
        sc.certify(f, X, sigma=0.25, n=1000)
    hidden, shown = "\x1b[?25l", "\x1b[?25h"  # the cursor
    assert terminal.getvalue().count(hidden) == terminal.getvalue().count(shown)
