"""A surrogate as the guide of a budget: it says how many samples each input is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import Predicted, allocate_samples
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import Purpose
from smoothcert.procedures import Guidance, divide_samples
from smoothcert.surrogate.certify import require_fitted_for
from smoothcert.surrogate.model import Surrogate
from smoothcert.surrogate.prediction import Prediction
from smoothcert.votes import Smoothed, require_radius

__all__ = ["SurrogateGuide", "plan_samples"]

_GAUSSIAN = math.sqrt(math.pi / 2)  # standard deviation over mean absolute error


@dataclass(frozen=True)
class SurrogateGuide:
    """Spend the samples of `certify_with_budget` where a surrogate expects them to pay.

    The surrogate predicts each input's p_A from the input alone. It must not have been fitted to votes on the
    noise of the call, since it might remember what is counted. `collect_votes` draws noise of its own; where a
    surrogate was fitted to a certification's votes, their seed is refused for the inputs that it knows.

    Attributes
    ----------
    surrogate : Surrogate
        From `fit_surrogate` or `load_surrogate`, fitted for the classifier, sigma and noise of the call.
    radius : float, optional
        Spend on certifying this radius for as many inputs as possible, instead of on the mean radius.
    least : int, optional
        Estimation samples that every input gets: the margin against wrong predictions, see `allocate_samples`.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile, torch
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     votes = sc.collect_votes(f, x, sigma=0.25, n=100, cache=folder)
    >>> h = sc.fit_surrogate(votes, module=torch.nn.Linear(2, 2), recipe="fast").surrogate
    >>> run = sc.certify_with_budget(f, x[:5], 5_000, sigma=0.25, guide=sc.SurrogateGuide(h))
    >>> run.certificates.method, run.timing.samples <= 5_000
    ('guided', True)
    """

    surrogate: Surrogate
    radius: float | None = None
    least: int | None = None

    def __post_init__(self) -> None:
        if self.radius is not None:
            require_radius("radius", self.radius)

    def guidance(self, g: Smoothed, n: int, alpha: float) -> Guidance:
        """Divide n samples an input, on average; see `Guide`."""
        record, noise = self.surrogate.record, g.noise
        fields = {"noise_law": noise.law, "noise_digest": noise.digest, "input_shape": g.shape}
        record.require("the call", sigma=noise.sigma, **fields)
        require_fitted_for(self.surrogate, g.classifier, g.identity)
        self._require_unseen(g)
        prediction = self.surrogate.predict(g.inputs)
        return divide_samples(
            _believed(prediction),
            prediction.top_class,
            n,
            alpha,
            sigma=noise.sigma,
            radius=self.radius,
            least=self.least,
            settings={"surrogate": record.digest},
        )

    def _require_unseen(self, g: Smoothed) -> None:
        """Refuse noise that the surrogate has seen: n would follow from votes that it remembers."""
        record, seed = self.surrogate.record, g.noise.seed
        if record.purpose == Purpose.FITTING.name.lower() or record.seed not in (None, seed):
            return
        seen = np.flatnonzero(self.surrogate.was_fitted_to(g.keys))
        if len(seen):
            unknown = "noise that its record does not name" if record.seed is None else f"noise of seed {seed}"
            remedy = "fit it again" if record.seed is None else "give another seed"
            raise InvalidArgumentError(
                f"the surrogate was fitted to votes on {unknown} around {len(seen)} of these inputs, the first of "
                f"them x[{seen[0]}], and may remember what would be counted: {remedy}, or leave these inputs out"
            )


def plan_samples(
    prediction: Prediction,
    n: int,
    alpha: float,
    *,
    at: float | None = None,
    least: int | None = None,
    most: int | None = None,
) -> NDArray[np.int64]:
    """Return how many samples each input is worth, from a surrogate's prediction; see `allocate_samples`."""
    return allocate_samples(_believed(prediction), n, alpha, at=at, least=least, most=most)


def _believed(prediction: Prediction) -> Predicted:
    return Predicted(prediction.probit, prediction.spread * _GAUSSIAN)
