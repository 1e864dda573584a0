"""A certification cache as the guide of a budget: another model's votes say what a sample of an input is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import Predicted, predicted_from_votes
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import Purpose
from smoothcert.procedures.guide import Guidance, divide_samples
from smoothcert.sampling import votes_for
from smoothcert.votes import Smoothed, require_radius, tally_of
from smoothcert.votes.store import CertificationCache

__all__ = ["CacheGuide", "predicted_from_cache"]


def predicted_from_cache(count: NDArray[np.int64], n: int, spread: float) -> Predicted:
    """Predict p_A of a model from another one's votes, shape (m,); `spread` is how much the two differ."""
    voted = predicted_from_votes(count, n)
    return Predicted(voted.probit, np.hypot(voted.spread, spread))


@dataclass(frozen=True)
class CacheGuide:
    """Spend the samples of `certify_with_budget` where the votes of another model say that they pay.

    The other model may be an older version of f, or one of its family. Whatever it is, the certificates hold: its
    votes are on noise of another seed than those that are counted, as the cache says.

    Attributes
    ----------
    cache : str or Path
        Folder of a certification cache of the inputs.
    radius : float, optional
        Spend on certifying this radius for as many inputs as possible, instead of on the mean radius.
    spread : float
        By how much Phi^-1(p_A) of the two models is expected to differ (standard deviation).
    least : int, optional
        Estimation samples that every input gets: the margin against wrong predictions, see `allocate_samples`.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> def linear(threshold):
    ...     def logits(batch):
    ...         return np.stack([threshold - batch[:, 0], batch[:, 0] - threshold], axis=1)
    ...     return sc.FunctionClassifier(logits, num_classes=2, fingerprint=f"x0 > {threshold}")
    >>> x = np.array([[0.51, 0.0], [0.7, 0.0], [0.95, 0.0]])
    >>> with tempfile.TemporaryDirectory() as old:
    ...     run = sc.certify(linear(0.5), x, sigma=0.25, n=1000, cache=old)
    ...     run = sc.certify_with_budget(linear(0.52), x, 30_000, sigma=0.25, guide=old, seed=1)
    >>> bool(run.certificates.n[0] < run.certificates.n[1] < run.certificates.n[2])
    True
    """

    cache: str | Path
    radius: float | None = None
    spread: float = 0.15
    least: int | None = None

    def __post_init__(self) -> None:
        if self.radius is not None:
            require_radius("radius", self.radius)
        if not 0 < self.spread < np.inf:
            raise InvalidArgumentError(
                f"spread is {self.spread!r}: give a positive standard deviation, such as 0.15"
            )

    def guidance(self, g: Smoothed, n: int, alpha: float) -> Guidance:
        """Divide n samples an input, on average; see `Guide`."""
        store = CertificationCache(self.cache)
        for name, have, want in (
            ("sigma", store.manifest.sigma, g.noise.sigma),
            ("num_classes", store.manifest.num_classes, g.classifier.num_classes),
        ):
            if have != want:
                raise CacheMismatchError(
                    f"{store.path} was made with {name} = {have!r}, but the call has {want!r}: it cannot guide it"
                )
        store.require(g.keys)
        self._require_other_noise(store, g)
        tally = tally_of((store[key] for key in g.keys), store.manifest.n)
        # Votes to fit a surrogate to come without a selection.
        top_class = np.where(tally.top_class >= 0, tally.top_class, tally.counts.argmax(axis=1))
        return divide_samples(
            predicted_from_cache(votes_for(top_class, tally.counts), store.manifest.n, self.spread),
            top_class,
            n,
            alpha,
            sigma=g.noise.sigma,
            radius=self.radius,
            least=self.least,
            settings={"cache": store.manifest.digest, "spread": float(self.spread)},
        )

    def _require_other_noise(self, store: CertificationCache, g: Smoothed) -> None:
        """Refuse votes on noise that is going to be counted: n would follow from what f may vote on it."""
        counted = store.manifest.purpose == Purpose.ESTIMATION.name.lower()
        if counted and store.manifest.seed == g.noise.seed:
            raise InvalidArgumentError(
                f"seed is {g.noise.seed}, which is that of {store.path}: a guide must not have seen the noise of "
                "the votes that are counted; give another seed"
            )
