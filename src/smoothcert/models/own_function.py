"""A user's own function, by the name ``PACKAGE.MODULE:FUNCTION``."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from smoothcert.classifiers import Classifier, FunctionClassifier, as_classifier, is_estimator
from smoothcert.errors import InvalidArgumentError, SmoothcertError

__all__ = ["call_function", "classifier_of", "function_name", "import_function", "takes_a_module"]

_FUNCTION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)", re.ASCII)


def function_name(spec: str) -> tuple[str, str] | None:
    """Return the module and the function that a specification names; None when it has another form."""
    match = _FUNCTION.fullmatch(spec)
    return None if match is None else (match[1], match[2])


def import_function(spec: str) -> Callable[..., Any]:
    """Import the function ``PACKAGE.MODULE:FUNCTION``, from the current directory first.

    Raises
    ------
    InvalidArgumentError
        When there is no such module or function.
    """
    module_name, name = function_name(spec) or ("", "")
    with _current_directory_first():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # the user's module may raise anything
            raise InvalidArgumentError(
                f"{spec!r} cannot be imported from {Path.cwd()} or the installed packages: "
                f"{type(error).__name__}: {error}"
            ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidArgumentError(f"{spec!r} names no function: {module.__file__} has no callable {name!r}")
    return function  # type: ignore[no-any-return]


def call_function(spec: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Call a user's function; whatever it raises becomes one error that names it."""
    try:
        with _current_directory_first():
            return function(*arguments)
    except (SmoothcertError, MemoryError):
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        raise InvalidArgumentError(f"{spec!r} raised {type(error).__name__}: {error} ({where})") from error


def takes_a_module(function: Callable[..., Any]) -> bool:
    """Whether a function needs an argument: it changes a module, others build one."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins that do not say
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)


def classifier_of(spec: str, made: object, num_classes: int | None) -> Classifier:
    """Return what a user's function returned as a classifier, if it is one or an estimator."""
    if is_estimator(made):
        return FunctionClassifier.from_estimator(made, num_classes=num_classes)
    classifier = as_classifier(made)
    if classifier is None:
        raise InvalidArgumentError(
            f"{spec!r} returned a {type(made).__name__}: it should return a torch.nn.Module, a Classifier or a "
            "scikit-learn estimator"
        )
    return classifier


@contextlib.contextmanager
def _current_directory_first() -> Iterator[None]:
    """Find modules in the current directory, as ``python -m`` does and an installed script does not."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
