"""Certify classifiers by randomized smoothing, and recertify changed ones from cached votes.

A smoothed classifier returns the class that a classifier f gives most often to noisy copies of an input. Votes of
f on such copies bound how often it is returned, and with it an L2 radius within which it does not change.

Certify
    `certify` (Cohen et al.'s CERTIFY), `certify_at_radius`, `certify_with_budget`, `predict`
Recertify a changed classifier from the cached votes of the one that it came from
    `recertify`, `recertify_at_radius`, with the bounds `Joint` and `Irs`; `audit`
Plan
    `plan`, `assumed_base`
Learn the votes
    `collect_votes`, `fit_surrogate`, `calibrate_surrogate`, `certify_with_surrogate`, `load_surrogate`
Wrap a classifier
    `TorchClassifier`, `OnnxClassifier`, `FunctionClassifier`, `from_huggingface`, `Denoised`,
    `DiffusionDenoiser`; `load_model` opens one of any kind by name, `make_candidate` changes one
Compare and report
    `compare`, `report`, `load_cache`
Results
    `Certificates`, `CertificationRun`, `Recertification`, `Plan`, `Audit`, `CertificationCache`;
    `certified_accuracy`, `average_certified_radius`
Bounds
    `lower_confidence_bound`, `upper_confidence_bound`, `certified_radius`
Errors
    `SmoothcertError`, `InvalidArgumentError`

Names are imported on first use, so that ``import smoothcert`` and ``smoothcert --help`` load neither torch nor
SciPy.

Examples
--------
A linear classifier in two dimensions, certified around two inputs:

>>> import numpy as np, smoothcert as sc
>>> def logits(batch):
...     return np.stack([0.5 - batch[:, 0], batch[:, 0] - 0.5], axis=1)
>>> f = sc.FunctionClassifier(logits, num_classes=2, fingerprint="x0 > 1/2")
>>> run = sc.certify(f, np.array([[0.7, 0.0], [0.5, 0.0]]), sigma=0.25, n=10_000, seed=1)
>>> print(run.summary())
certified: 1 of 2 inputs, each wrong with probability at most 0.001
>>> run[0].prediction, run[1].reason
(1, 'p_lower <= 1/2')
"""

import lazy_loader

_lazy, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    return _lazy(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
