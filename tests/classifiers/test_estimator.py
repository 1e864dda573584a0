"""Fitted scikit-learn classifiers, in one line."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smoothcert import certify
from smoothcert.classifiers import FunctionClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError

pytest.importorskip("sklearn")
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

DIGITS = load_digits()
X, Y = (DIGITS.data[:300] / 16).astype(np.float32), DIGITS.target[:300]
IMAGES = X.reshape(-1, 1, 8, 8)


MAKERS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(max_iter=500),
    "forest": lambda: RandomForestClassifier(10, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "svc": lambda: SVC(break_ties=True),
    "linear svc": lambda: LinearSVC(random_state=0),
    "ridge": lambda: RidgeClassifier(),
    "neighbours": lambda: KNeighborsClassifier(3),
    "mlp": lambda: MLPClassifier((8,), early_stopping=True, max_iter=400, random_state=0),
    "pipeline": lambda: make_pipeline(StandardScaler(), SVC(break_ties=True)),
    "search": lambda: GridSearchCV(RidgeClassifier(), {"alpha": [0.5, 1.0]}, cv=2),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("classes", [2, 10])
def test_it_votes_as_the_estimator_predicts(name: str, classes: int) -> None:
    x, y = (X, Y) if classes == 10 else (X[Y < 2], Y[Y < 2])
    estimator = MAKERS[name]().fit(x, y)
    classifier = FunctionClassifier.from_estimator(estimator)
    assert classifier.num_classes == classes
    np.testing.assert_array_equal(classifier.classify(x.reshape(-1, 1, 8, 8)), estimator.predict(x))
    np.testing.assert_array_equal(classifier.classify(x), estimator.predict(x))
    assert classifier.description["name"].startswith("sklearn.")
    assert classifier.logits(x[:0]).shape == (0, classes)


@pytest.mark.parametrize("name", MAKERS)
def test_the_fingerprint_is_the_same_in_another_process(name: str, tmp_path: Path) -> None:
    estimator = MAKERS[name]().fit(X, Y)
    fingerprint = FunctionClassifier.from_estimator(estimator).fingerprint
    estimator.predict(X)
    assert FunctionClassifier.from_estimator(estimator).fingerprint == fingerprint
    (tmp_path / "estimator").write_bytes(pickle.dumps(estimator))
    code = (
        "import pickle, sys; from smoothcert import FunctionClassifier\n"
        "print(FunctionClassifier.from_estimator(pickle.load(open(sys.argv[1], 'rb'))).fingerprint)"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "estimator")]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == fingerprint
    other = MAKERS[name]().fit(X[:200], Y[:200])
    assert FunctionClassifier.from_estimator(other).fingerprint != fingerprint


def test_a_fingerprint_may_be_given() -> None:
    estimator = RidgeClassifier().fit(X, Y)
    assert FunctionClassifier.from_estimator(estimator, fingerprint="mine").fingerprint == "mine"
    with pytest.raises(InvalidArgumentError, match="fingerprint is empty"):
        FunctionClassifier.from_estimator(estimator, fingerprint="")


@pytest.mark.parametrize("name", ["logistic", "ridge", "svc"])
def test_classes_that_were_missing_never_get_a_vote(name: str) -> None:
    keep = (Y == 1) | (Y == 4) | (Y == 7)
    estimator = MAKERS[name]().fit(X[keep], Y[keep])
    classifier = FunctionClassifier.from_estimator(estimator, num_classes=10)
    logits = classifier.logits(IMAGES)
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(classifier.classify(IMAGES), estimator.predict(X))
    fitted = logits[:, [1, 4, 7]].min(axis=1)
    assert (np.delete(logits, [1, 4, 7], axis=1) < fitted[:, None]).all()
    with pytest.raises(InvalidArgumentError, match=r"classes \[1, 4, 7\].*LabelEncoder.*give num_classes"):
        FunctionClassifier.from_estimator(estimator)
    with pytest.raises(InvalidArgumentError, match="num_classes is 7: give at least 8"):
        FunctionClassifier.from_estimator(estimator, num_classes=7)


def test_it_is_certified_quietly() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    classifier = FunctionClassifier.from_estimator(LogisticRegression(max_iter=500).fit(frame, Y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = certify(classifier, IMAGES[:5], sigma=0.25, n=500)
    assert (run.certificates.prediction == Y[:5]).any()


def test_what_cannot_be_hashed_needs_a_fingerprint() -> None:
    from sklearn.preprocessing import FunctionTransformer

    estimator = make_pipeline(FunctionTransformer(lambda x: x), RidgeClassifier()).fit(X, Y)
    with pytest.raises(InvalidArgumentError, match=r"cannot be hashed .*: give its fingerprint"):
        FunctionClassifier.from_estimator(estimator)
    classifier = FunctionClassifier.from_estimator(estimator, fingerprint="mine")
    np.testing.assert_array_equal(classifier.classify(IMAGES), estimator.predict(X))


def strings() -> Any:
    return np.array([f"class {y}" for y in Y])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogisticRegression(), "LogisticRegression that is not fitted: call its fit"),
        (lambda: make_pipeline(StandardScaler(), SVC()), "Pipeline that is not fitted"),
        (lambda: LogisticRegression, "is the class LogisticRegression: make one and fit it"),
        (lambda: LinearRegression().fit(X, Y), "LinearRegression, which is no classifier"),
        (lambda: StandardScaler().fit(X), "is a StandardScaler: give a fitted scikit-learn classifier"),
        (lambda: len, "is a builtin_function_or_method: give a fitted"),
        (lambda: RidgeClassifier().fit(X, strings()), r"\['class 0', .*\] of type <U7.*LabelEncoder"),
        (lambda: RidgeClassifier().fit(X, Y > 4), "of type bool.*LabelEncoder"),
        (lambda: RidgeClassifier().fit(X, Y + 1), r"\[1, 2, 3, 4, \.\.\.\].*LabelEncoder"),
        (lambda: SVC(decision_function_shape="ovo").fit(X, Y), "'ovo'.*set it to 'ovr'"),
        (
            lambda: make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")).fit(X, Y),
            "'ovo'.*set it to 'ovr'",
        ),
        (lambda: RandomForestClassifier(2).fit(X, np.stack([Y, Y], 1)), "of several outputs"),
        (
            lambda: VotingClassifier([("a", RidgeClassifier()), ("b", LinearSVC())]).fit(X, Y),
            "neither predict_proba nor decision_function.*estimator.predict",
        ),
    ],
)
def test_what_is_no_fitted_classifier_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        FunctionClassifier.from_estimator(make())


def test_inputs_of_another_size_are_refused() -> None:
    classifier = FunctionClassifier.from_estimator(RidgeClassifier().fit(X, Y))
    with pytest.raises(InvalidArgumentError, match=r"\(1, 7, 8\) have 56 values, .* fitted to 64"):
        classifier.logits(IMAGES[:, :, :7])


def test_other_classifiers_point_to_it() -> None:
    estimator: Any = RidgeClassifier().fit(X, Y)
    message = r"RidgeClassifier: use FunctionClassifier\.from_estimator\(estimator\)"
    with pytest.raises(InvalidArgumentError, match=message):
        FunctionClassifier(estimator, 10, "f")
    with pytest.raises(InvalidArgumentError, match=message):
        TorchClassifier(estimator, 10)
    with pytest.raises(InvalidArgumentError, match="which cannot be called"):
        FunctionClassifier(3, 10, "f")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=r"module is a function: give a torch\.nn\.Module"):
        TorchClassifier(lambda x: x, 10)  # type: ignore[arg-type]
