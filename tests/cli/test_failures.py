"""What is wrong is said in one line, in the words of the command line; nothing ends in a traceback."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smoothcert.cli.failures import with_flags

MODEL, CACHE = "MODEL", "CACHE"
CERTIFY = ("certify", MODEL, "--data", "digits", "--limit", "3", "--sigma", "0.25", "--cache", "new")
RECERTIFY = ("recertify", CACHE, "--candidate", "bf16")
PLAN = ("plan", "--p-a", "0.9", "--sigma", "0.5", "--inputs", "9")

WRONG = [
    ((*CERTIFY, "--sigma", "0"), "--sigma is 0.0: it must be finite and > 0"),
    ((*CERTIFY, "--n", "5"), "--n is 5: at alpha = 0.001 even unanimous votes certify nothing; use --n >= 10"),
    ((*CERTIFY, "--n0", "0"), "--n0 is 0: it must be an integer, at least 1"),
    ((*CERTIFY, "--alpha", "2"), "--alpha is 2.0: it is a failure probability"),
    ((*CERTIFY, "--seed", "-1"), "--seed is -1: it must be an integer"),
    ((*CERTIFY, "--batch-size", "0"), "--batch-size is 0: it must be an integer, at least 1"),
    ((*CERTIFY, "--levels", "9", "--noise", "gaussian"), "--levels is 9, but --noise is 'gaussian'"),
    ((*CERTIFY, "--radius", "0.2", "--budget", "9"), "--radius is 0.2 and --budget is 9: give one of them"),
    ((*CERTIFY, "--radius", "0.2", "--runner-up"), "--runner-up is given, but a radius is decided"),
    ((*CERTIFY, "--guide", "old"), "--guide is old, but there is no budget for it to divide: give --budget"),
    ((*CERTIFY, "--limit", "0"), "--limit is 0: take at least 1 input"),
    ((*CERTIFY, "--skip", "0"), "--skip is 0: take every 1st input"),
    ((*CERTIFY, "--device", "nonsense"), "--device is 'nonsense', which is none that PyTorch knows"),
    ((*CERTIFY, "--device", "meta"), "--device is 'meta', which cannot be used here"),
    ((*CERTIFY, "--device", "cuda:99"), "--device is 'cuda:99', which cannot be used here"),
    ((*CERTIFY, "--data", "broken.npz"), "broken.npz is damaged"),
    ((*CERTIFY, "--data", "images"), "images has 1 subfolders: give one for each of at least 2 classes"),
    ((*CERTIFY, "--data", "nowhere"), "nowhere is no dataset that is known here"),
    ((*RECERTIFY, "--n-p", "0"), "--n-p is 0: it must be an integer, at least 1"),
    ((*RECERTIFY, "--n-p", "9999"), "--n-p is 9999, but the cache"),
    ((*RECERTIFY, "--n-p", "9999", "--dry-run"), "--n-p is 9999, but the cache"),
    ((*RECERTIFY, "--n-p", "9", "--holdout", "0:9"), "--n-p is 9 and --holdout is 0:9: give one of them"),
    ((*RECERTIFY, "--alpha-zeta", "1"), "--alpha-zeta is 1.0: it is a failure probability, 0 < --alpha-zeta < 1"),
    ((*RECERTIFY, "--radius", "0.1", "--spread", "even"), "--radius has a rule of its own: leave out bound"),
    ((*RECERTIFY, "--candidate", "candidates_of_mine:raises"), "raised RuntimeError: no such layer"),
    ((*RECERTIFY, "--candidate", "candidates_of_mine:number"), "returned a int: it should return"),
    (
        (*RECERTIFY[:2], "--candidate", "candidates_of_mine:still_later", "--n-p", "50"),
        "candidates_of_mine.py, line 17: KeyError",
    ),
    ((*RECERTIFY[:2], "--candidate", "candidates_of_mine:later"), "KeyError: 'oops'"),
    (("compare", CACHE, "--radii", "0.25,x"), "--radii is '0.25,x': give radii with commas between them"),
    (("compare", CACHE, "--min-certified-accuracy", "2@0"), "--min-certified-accuracy is '2@0'"),
    (("compare", CACHE, "--confidence", "2"), "--confidence is 2.0: give a value between 0 and 1"),
    ((*PLAN, "--n-p", "0"), "--n-p is 0: it must be an integer, at least 1"),
    ((*PLAN, "--radius", "0.1", "--disagreement", "-1"), "--disagreement is -1.0: give a positive number"),
    (("plan", "--p-a", "x", "--sigma", "0.5"), "--p-a is 'x': give numbers with commas between them"),
    (("audit", CACHE, "--candidate", "bf16", "--seed", "7", "--n-p", "9"), "--model is missing: on fresh noise"),
]  # fmt: skip

MINE = """
def raises(module):
    raise RuntimeError("no such layer")

def later(module):
    import torch
    class Later(torch.nn.Module):
        def forward(self, x):
            raise KeyError("oops")
    return Later()

def still_later(module):
    import torch
    class Later(torch.nn.Module):
        def forward(self, x):
            if len(x) > 64:
                raise KeyError("oops")
            return x.flatten(1)[:, :10]
    return Later()

def number(module):
    return 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "candidates_of_mine", raising=False)
    (tmp_path / "candidates_of_mine.py").write_text(MINE)
    (tmp_path / "broken.npz").write_bytes(b"PK no archive")
    (tmp_path / "images" / "only").mkdir(parents=True)
    (tmp_path / "images" / "only" / "a.png").write_bytes(b"no image")
    return tmp_path


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_input_ends_in_one_line(
    run: Any, trained: Path, here: Path, arguments: tuple[str, ...], message: str
) -> None:
    places = {MODEL: trained / "checkpoint.safetensors", CACHE: trained / "cache"}
    before = sorted(path.name for path in (trained / "cache" / "candidates").iterdir())
    status, out, err = run(*(places.get(word, word) for word in arguments))
    assert status == 2
    *_, last = err.splitlines()
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in err
    assert out == ""
    assert not (here / "new").exists(), "nothing was begun"
    assert {*before} | {"candidates_of_mine-still_later"} >= {
        p.name for p in (trained / "cache" / "candidates").iterdir()
    }


def test_only_options_are_renamed_and_only_where_something_is_said_of_them() -> None:
    flags = {"data": "--data", "n": "--n", "n_p": "--n-p", "out": "--out"}
    for text in (
        "f.pt has 10 classes, but the data has 3",
        "x[2] is not in runs/n_p/cache",
        "the module was run out of data; n samples",
        "sigma is 0",
    ):
        assert with_flags(text, flags) == text
    assert with_flags("out=f holds another fit", flags) == "--out=f holds another fit"


def test_in_python_errors_name_the_argument() -> None:
    import smoothcert as sc
    from closed_form import half_space

    with pytest.raises(sc.InvalidArgumentError, match=r"^n0 is 0: "):
        sc.certify(half_space(), np.zeros((1, 2), np.float32), sigma=0.5, n0=0)


def test_warnings_of_others_are_hidden_and_ours_are_shown(
    run: Any, trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "warns.py").write_text(
        "import warnings\n"
        "def make(module):\n"
        "    warnings.warn('theirs', UserWarning, stacklevel=1)\n"
        "    warnings.warn_explicit('ours', UserWarning, 'f', 1, module='smoothcert.votes')\n"
        "    return 3\n"
    )
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings():
        _, _, err = run("recertify", trained / "cache", "--candidate", "warns:make", "--n-p", "50")
    assert "theirs" not in err
    assert "warning: ours\n" in err


def test_an_unexpected_error_shows_its_traceback_to_developers(
    run: Any, trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smoothcert.cli.shows_tracebacks", lambda: True)
    with pytest.raises(KeyError, match="oops"):
        run("recertify", trained / "cache", "--candidate", "candidates_of_mine:still_later", "--n-p", "50")
