"""The tab-separated log of Cohen et al.'s code, which everybody's scripts read.

One line for each input: idx, label, predict (-1 is an abstention), radius (3 significant digits), correct, time.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert._results import Brief
from smoothcert.certificate import ABSTAIN, Certificates
from smoothcert.certified_result import HasCertificates, certificates_in
from smoothcert.errors import DataError, InvalidArgumentError
from smoothcert.evaluation import correct
from smoothcert.reporting.files import replacing
from smoothcert.reporting.rounding import to_significant

__all__ = ["CohenLog", "read_cohen_log", "write_cohen_log"]

_HEADER = ("idx", "label", "predict", "radius", "correct", "time")
_CLOCK = re.compile(r"(?:(\d+) days?, )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CohenLog(Brief):
    """A log of certification, as its author wrote it.

    It has the `prediction` and `radius` that the metrics of `smoothcert.evaluation` read. It is no `Certificates`:
    a log does not say sigma, alpha, n or the noise, and most of them have radii rounded to nearest.

    Attributes
    ----------
    idx : ndarray of int64, shape (m,)
        Positions in the data set.
    label : ndarray of int64, shape (m,)
        True classes.
    prediction : ndarray of int64, shape (m,)
        Predicted classes; -1 is an abstention.
    radius : ndarray of float64, shape (m,)
        Radii, in the units of the author's input.
    correct : ndarray of bool, shape (m,)
        What the author counted as correct. Some published logs set it on abstentions; the metrics compare
        `prediction` with `label` instead.
    seconds : ndarray of float64, shape (m,)
        Time for each input, in seconds; NaN where unknown.
    """

    idx: NDArray[np.int64]
    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]
    correct: NDArray[np.bool_]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.idx)


def write_cohen_log(
    path: str | os.PathLike[str],
    certificates: Certificates | HasCertificates,
    y: ArrayLike,
    *,
    idx: ArrayLike | None = None,
    seconds: ArrayLike | None = None,
) -> Path:
    """Write certificates as a tab-separated log; radii are rounded down to 3 significant digits.

    Parameters
    ----------
    path : path-like
        The file to write or replace.
    certificates : CertificationRun or another result, or Certificates
        Certificates of m inputs with guarantee ``"certified"``: the format has no place to name a weaker one.
    y : array_like of int, shape (m,)
        True classes, not negative.
    idx : array_like of int, shape (m,), optional
        Positions in the data set, not negative, each once; by default 0 .. m - 1.
    seconds : array_like of float, shape (m,), optional
        Time for each input, in seconds; by default unknown, written ``nan``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidArgumentError
        When the guarantee is another one, a radius is not finite, or a length or value does not fit.

    References
    ----------
    https://github.com/locuslab/smoothing, ``code/certify.py``.
    """
    certificates = certificates_in(certificates)
    m = len(certificates)
    if certificates.guarantee != "certified":
        raise InvalidArgumentError(
            f"certificates have guarantee {certificates.guarantee!r}, but this format cannot say so, and its "
            "readers would take them for 'certified': use write_certificates"
        )
    right = correct(certificates, y)
    if not np.isfinite(certificates.radius).all():
        raise InvalidArgumentError("certificates.radius contains inf: give finite radii")
    positions = _positions(idx, m)
    times = np.full(m, np.nan) if seconds is None else np.asarray(seconds, np.float64)
    if times.shape != (m,) or (times < 0).any() or np.isinf(times).any():
        raise InvalidArgumentError(f"seconds has shape {times.shape}: give {m} finite times of at least 0, or NaN")
    radius = np.where(certificates.certified, certificates.radius, 0.0)
    columns = (positions, np.asarray(y), certificates.prediction, radius, right, times)
    with replacing(path) as file:
        file.write(("\t".join(_HEADER) + "\n").encode())
        for i, label, predict, r, is_right, time in zip(*(column.tolist() for column in columns), strict=True):
            line = f"{i}\t{label}\t{predict}\t{to_significant(r, 3, 'lower')}\t{is_right:d}\t{time:.6f}\n"
            file.write(line.encode())
    return Path(path)


def read_cohen_log(path: str | os.PathLike[str]) -> CohenLog:
    r"""Read a tab-separated log; times may be in seconds or h:mm:ss.ffffff.

    Parameters
    ----------
    path : path-like
        The file to read.

    Returns
    -------
    CohenLog
        The columns as arrays.

    Raises
    ------
    DataError
        When the file cannot be read, its header is another one, a line is malformed or an input appears twice; the
        message names file and line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from smoothcert.evaluation import average_certified_radius
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.tsv"
    ...     header = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
    ...     _ = path.write_text(header + "20\t7\t7\t0.413\t1\t0:00:17.2\n")
    ...     log = read_cohen_log(path)
    >>> average_certified_radius(log, log.label), log.seconds.tolist()
    (0.413, [17.2])
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from error
    if not lines or tuple(lines[0].split("\t")) != _HEADER:
        found = lines[0][:80] if lines else ""
        raise DataError(
            f"{path}, line 1: the header is {found!r}, but should be {' '.join(_HEADER)}, tab-separated"
        )
    rows: dict[int, tuple[int, int, int, float, bool, float]] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = _parse(line)
            if row[0] in rows:
                raise ValueError(f"idx {row[0]} appears a second time")
            rows[row[0]] = row
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}; the line is {line[:80]!r}") from error
    idx, label, prediction, radius, marked, seconds = zip(*rows.values(), strict=True) if rows else ((),) * 6
    return CohenLog(
        idx=np.array(idx, np.int64),
        label=np.array(label, np.int64),
        prediction=np.array(prediction, np.int64),
        radius=np.array(radius, np.float64),
        correct=np.array(marked, np.bool_),
        seconds=np.array(seconds, np.float64),
    )


def _parse(line: str) -> tuple[int, int, int, float, bool, float]:
    fields = line.split("\t")
    if len(fields) != len(_HEADER):
        raise ValueError(f"there are {len(fields)} tab-separated fields, not {len(_HEADER)}")
    idx, label = (_integer(name, text, 0) for name, text in zip(_HEADER[:2], fields[:2], strict=True))
    predict = _integer("predict", fields[2], ABSTAIN)
    radius = float(fields[3])
    if not 0 <= radius < np.inf:
        raise ValueError(f"radius is {fields[3]}, not a finite number of at least 0")
    if fields[4] not in ("0", "1"):
        raise ValueError(f"correct is {fields[4]!r}, not 0 or 1")
    return idx, label, predict, radius, fields[4] == "1", _seconds(fields[5])


def _integer(name: str, text: str, least: int) -> int:
    value = int(text)
    if not least <= value < 2**63:
        raise ValueError(f"{name} is {value}, not an integer of at least {least}")
    return value


def _seconds(text: str) -> float:
    clock = _CLOCK.fullmatch(text)
    if clock:
        days, hours, minutes, seconds = clock.groups(default="0")
        return ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)
    value = float(text)
    if value < 0 or value == np.inf:
        raise ValueError(f"time is {text}, not a finite time of at least 0")
    return value


def _positions(idx: ArrayLike | None, m: int) -> NDArray[np.int64]:
    if idx is None:
        return np.arange(m)
    positions = np.asarray(idx)
    if positions.shape != (m,) or not np.issubdtype(positions.dtype, np.integer):
        raise InvalidArgumentError(
            f"idx has shape {positions.shape} and dtype {positions.dtype}: give {m} integers, one for each input"
        )
    if (positions < 0).any() or len(np.unique(positions)) != m:
        raise InvalidArgumentError(
            "idx contains a negative or a repeated position: give each input's position once"
        )
    return positions.astype(np.int64)
