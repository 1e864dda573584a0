"""Gates on certified accuracy, and what holds for one candidate and for all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from smoothcert.certificate import Certificates
from smoothcert.certified_result import HasCertificates, certificates_in
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation.confidence import certified_accuracy_lower
from smoothcert.evaluation.metrics import certified_accuracy

__all__ = ["Gate", "Verdict", "any_false", "judge"]


@dataclass(frozen=True)
class Gate:
    """The least certified accuracy at a radius.

    Attributes
    ----------
    least : float
        In [0, 1].
    radius : float
        In the units of the input, not negative.
    """

    least: float
    radius: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a candidate passes a gate.

    Attributes
    ----------
    candidate : str
        Its name.
    gate : Gate
        The gate.
    observed : float
        Share of the inputs that are certified at the gate's radius.
    alone, together : float or None
        Lower bounds on the share that truly is: for this verdict by itself, and such that the bounds of all
        verdicts of the call hold at once. None where no confidence was asked for.
    """

    candidate: str
    gate: Gate
    observed: float
    alone: float | None
    together: float | None

    @property
    def passed(self) -> bool:
        """Whether the bound that holds together with all others, or else the observed share, is large enough."""
        return (self.observed if self.together is None else self.together) >= self.gate.least


def judge(
    candidates: Mapping[str, Certificates | HasCertificates],
    y: ArrayLike,
    gates: Iterable[Gate],
    *,
    confidence: float | None = None,
) -> list[Verdict]:
    """Hold every candidate against every gate.

    Without `confidence` the observed certified accuracy is compared, in which alpha is not accounted for. With it,
    a gate passes when the *true* certified accuracy on these inputs is at least what it asks for, and all the
    verdicts "passed" of the call are right at once with that confidence. The error is divided by the number of
    verdicts (Bonferroni): the number of false certificates has so light a tail that this costs about two inputs
    in 500 for twenty candidates, less than accounting for the failures that the candidates share. So a winner may
    be picked among those that passed; what selection does to the level of its single certificates is `any_false`.

    Parameters
    ----------
    candidates : mapping of str to a result or Certificates
        For each name, those of the same m inputs.
    y : array_like of int, shape (m,)
        True classes, not negative.
    gates : iterable of Gate
        The gates.
    confidence : float, optional
        In (0, 1), such as 0.99.

    Returns
    -------
    list of Verdict
        Gate by gate, in the order of the candidates.

    Raises
    ------
    InvalidArgumentError
        As for `certified_accuracy_lower`, or when certificates claim less than the guarantee ``certified``.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc
    >>> f = sc.FunctionClassifier(lambda batch: batch - 0.5, num_classes=2, fingerprint="larger coordinate")
    >>> x = np.array([[0.2, 0.9]] * 30 + [[0.5, 0.5]] * 20)
    >>> found = sc.certify(f, x, sigma=0.25, n=1000).certificates
    >>> [verdict] = judge({"f": found}, np.ones(50, int), [Gate(0.55, 0.3)], confidence=0.99)
    >>> verdict.observed, verdict.together, verdict.passed
    (0.6, 0.58, True)
    """
    found = {name: certificates_in(each) for name, each in candidates.items()}
    for name, certificates in found.items():
        if confidence is not None and certificates.guarantee != "certified":
            raise InvalidArgumentError(
                f"confidence is {confidence}, but {name} is {certificates.guarantee}: only certificates that each "
                "hold with probability 1 - alpha give a confidence"
            )
    asked = [(gate, name, certificates) for gate in gates for name, certificates in found.items()]

    def lower(gate: Gate, certificates: Certificates, statements: int) -> float | None:
        if confidence is None:
            return None
        level = 1 - (1 - confidence) / statements
        return certified_accuracy_lower(certificates, y, gate.radius, alpha=certificates.alpha, confidence=level)

    return [
        Verdict(
            candidate=name,
            gate=gate,
            observed=float(certified_accuracy(certificates, y, gate.radius)),
            alone=lower(gate, certificates, 1),
            together=lower(gate, certificates, len(asked)),
        )
        for gate, name, certificates in asked
    ]


def any_false(candidates: Sequence[Certificates | HasCertificates]) -> float:
    """Bound the probability that, for one input, any of the candidates' certificates is false.

    It also bounds how often the certificate of the best-looking candidate is false. Candidates that were
    recertified together (`recertify` with `together`) share their alpha, when the group and the alpha are the same
    for each; else only the sum is proven. The candidates may depend on each other in any way, but not on the
    cache.

    Parameters
    ----------
    candidates : sequence of results or Certificates
        Of the same inputs, recertified from the same cache.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> alone, together = (SimpleNamespace(alpha=0.002, together=size) for size in (1, 10))
    >>> round(any_false([alone] * 10), 6), any_false([together] * 10)
    (0.02, 0.002)
    """
    found = [certificates_in(each) for each in candidates]
    if len({(c.together, c.alpha) for c in found}) == 1 and len(found) <= found[0].together:
        return found[0].alpha
    return min(1.0, sum(c.alpha for c in found))
