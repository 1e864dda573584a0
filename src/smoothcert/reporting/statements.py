"""What a comparison claims, in words: for each candidate alone, for all together, and under which premise."""

from __future__ import annotations

from collections.abc import Sequence

from smoothcert.evaluation import CandidateResult, Comparison, Verdict, any_false, false_certificates
from smoothcert.votes.store import GatedComparison

__all__ = ["premises", "repetition", "selection_warning", "statements", "verdict_line"]


def statements(comparison: Comparison, confidence: float) -> list[str]:
    """Say how many certificates may be false, for one candidate and for all."""
    found = list(comparison.recertified.values())
    if not found:
        return []
    m, alpha = len(comparison.base), max(c.alpha for c in found)
    b = false_certificates(m, alpha, confidence=confidence)
    lines = [
        f"each candidate alone: a certificate is false with probability at most {alpha:g}, so with confidence "
        f"{confidence:g} at most {b} of its {m} are; no correction is needed to report each by itself"
    ]
    if len(found) > 1:
        shared = 1 - (1 - confidence) / len(found)
        b = max(false_certificates(m, c.alpha, confidence=shared) for c in found)
        lines.append(
            f"all {len(found)} together: for one input any of its certificates is false with probability at most "
            f"{any_false(found):.4g}; with confidence {confidence:g} at most {b} of {m} are for every candidate"
        )
    return lines


def premises(comparison: Comparison) -> list[str]:
    """Say, for every range of samples, which candidates were evaluated on it and what their claims presuppose."""
    groups: dict[tuple[str, str], list[str]] = {}
    for result in comparison.candidates:
        key = (_samples(result), result.incremental.premise)
        groups.setdefault(key, []).append(result.record.name)
    return [
        f"{', '.join(names)} on {samples}: provided that {premise}" for (samples, premise), names in groups.items()
    ]


def selection_warning(comparison: Comparison) -> str | None:
    """Warn that the best-looking of several candidates is not as sure as each; None for a single one."""
    found = list(comparison.recertified.values())
    if len(found) < 2:
        return None
    alpha = max(c.alpha for c in found)
    return (
        f"{len(found)} candidates were evaluated, and the best-looking of them was selected: "
        f"a certificate of the one that is picked here is false with probability up to {any_false(found):.4g}, "
        f"not {alpha:g}. Recertify the one that is picked on samples that nobody looked at (recertify --holdout "
        "START:STOP), audit it on fresh noise (audit), or report the larger probability. And a candidate that is "
        "changed after this comparison is tuned on these samples: they no longer certify it"
    )


def repetition(
    comparison: Comparison,
    confidence: float | None,
    before: Sequence[GatedComparison],
    after: Sequence[GatedComparison],
) -> list[str]:
    """Say what holds of several comparisons at once, and which candidates came after the first.

    Parameters
    ----------
    comparison : Comparison
        This one.
    confidence : float or None
        Of all its verdicts together; None where none was asked for.
    before, after : sequence of GatedComparison
        Those that put gates to candidates of this cache before this one was first made, and since.

    Returns
    -------
    list of str
        Empty where there are no others.
    """
    lines = []
    errors = [1 - c.confidence for c in (*before, *after) if c.confidence is not None]
    if errors and confidence is not None:
        together = max(0.0, confidence - sum(errors))
        lines.append(
            f"{len(errors)} other comparisons of this cache had a confidence of their own: the verdicts of all "
            f"{len(errors) + 1} are right at once with confidence {together:.6g}"
        )
    shown = {digest for c in before for digest in c.candidates.values()}
    new = [result.record.name for result in comparison.candidates if result.votes not in shown]
    if before and new:
        lines.append(
            f"{', '.join(new)} came after a comparison of this cache: what was made or changed because of what "
            "that showed is tuned on these samples, and no verdict here is proven for it; recertify it on samples "
            "that nobody looked at (recertify --holdout START:STOP), or audit it on fresh noise (audit)"
        )
    return lines


def verdict_line(verdict: Verdict, confidence: float | None) -> str:
    """Say how a candidate stands to a gate."""
    at = f"{verdict.candidate}: certified accuracy at radius {verdict.gate.radius:g}"
    relation = "is at least" if verdict.passed else "is below"
    if confidence is None or verdict.together is None or verdict.alone is None:
        return f"{at} {relation} {verdict.gate.least:g}"
    shown = "is shown to be at least" if verdict.passed else "is not shown to be at least"
    return (
        f"{at} {shown} {verdict.gate.least:g} with confidence {confidence:g}: {verdict.observed:.4g} observed, at "
        f"least {verdict.together:.4g} for all verdicts together, {verdict.alone:.4g} for this one alone"
    )


def _samples(result: CandidateResult) -> str:
    record = result.record
    held_out = ", held out" if record.holdout else ""
    beyond = record.bound == "auto" and result.share("direct") > 0
    fresh = " (some inputs on samples beyond the cache)" if beyond else ""
    if record.stop == record.start:
        return "samples beyond the cache"
    return f"samples {record.start} to {record.stop - 1}{held_out}{fresh}"
