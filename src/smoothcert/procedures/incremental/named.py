"""Candidates by name: what a text asks for, and the folder and record by which comparisons find them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.sampling import GivenInputs, calibration_batch
from smoothcert.votes.store import CertificationCache, candidate_folder, read_provenance

if TYPE_CHECKING:
    from smoothcert.approximate import Candidate

__all__ = ["NamedCandidate", "name_candidate"]


@dataclass(frozen=True, eq=False)
class NamedCandidate:
    """A changed classifier, with what is known of it.

    Attributes
    ----------
    classifier : Classifier
        The changed classifier.
    candidate : Candidate or None
        Its name and description; None for a classifier without.
    out : Path or None
        Where its votes are kept: where the caller says, or below the cache under its name.
    below : bool
        Whether that is below the cache, where comparisons look for candidates.
    """

    classifier: Classifier
    candidate: Candidate | None
    out: Path | None
    below: bool

    @contextmanager
    def own_folder(self) -> Iterator[None]:
        """Where kept votes do not fit, say what to remove."""
        try:
            yield
        except CacheMismatchError as error:
            if self.candidate is None or str(self.out) not in str(error):
                raise
            what = self.candidate.spec or self.candidate.name
            raise CacheMismatchError(f"{error}; to start {what!r} anew, remove {self.out}") from error


def name_candidate(
    candidate: Classifier | Candidate | str,
    given: GivenInputs,
    cache: str | Path,
    *,
    base: Classifier | None,
    samples: int | range | None,
    out: str | Path | None,
    suffix: str = "",
) -> NamedCandidate:
    """Make the candidate that a text asks for, and say where its votes belong.

    Parameters
    ----------
    candidate : Classifier or Candidate or str
        A specification such as ``"int8"`` needs the base, or a cache that says what its base is.
    given : GivenInputs
        The inputs: int8 is calibrated on noisy copies of them.
    cache : str or Path
        Folder of the certification cache.
    base : Classifier, optional
        What to make candidates of.
    samples : int, range or None
        Votes on a held-out range have a folder of their own.
    out : str or Path, optional
        Overrides the folder below the cache.
    suffix : str
        Of the folder's name.
    """
    if isinstance(candidate, str):
        candidate = _made(candidate, given, CertificationCache(cache), base)
    folder = None if out is None else Path(out)
    if not _is_candidate(candidate):
        return NamedCandidate(cast("Classifier", candidate), None, folder, below=False)
    start = f"-from-{samples.start}" if isinstance(samples, range) else ""
    own = folder or candidate_folder(Path(cache), f"{candidate.name}{start}{suffix}")
    return NamedCandidate(candidate.classifier, candidate, own, below=folder is None)


def _is_candidate(value: Any) -> TypeGuard[Candidate]:
    """Tell a `Candidate` from a classifier, without importing what makes candidates."""
    return hasattr(value, "classifier") and hasattr(value, "name")


def _made(spec: str, given: GivenInputs, store: CertificationCache, base: Classifier | None) -> Candidate:
    from smoothcert.approximate import make_candidate

    keys = list(input_keys(given.inputs))
    calibration = calibration_batch(given.inputs, keys, store.manifest.noise(str(store.path)))
    return make_candidate(spec, base or _recorded_base(spec, store), calibration=calibration)


def _recorded_base(spec: str, store: CertificationCache) -> Classifier:
    """Load the model that a cache says it is of."""
    from smoothcert.models import load_model

    found = read_provenance(store.path)
    if found is None:
        raise InvalidArgumentError(
            f"candidate is {spec!r}, but {store.path} does not say what model it is of: give base, the classifier "
            "that was certified, for a candidate to be made of"
        )
    opened = load_model(
        found.model, num_classes=store.manifest.num_classes, arch=found.arch, normalization=found.normalization
    )
    return opened.classifier
