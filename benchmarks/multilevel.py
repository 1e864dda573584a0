"""When it pays to certify a model through its own cheap version: seconds at equal ACR, in one process.

python benchmarks/multilevel.py CHECKPOINT --data DATA --out benchmarks/results/multilevel.json

Model and proxy vote on the same noise, both in the best runtime found and timed by what their votes took. For
each number N of samples of the model alone, the cheapest (n, n_p) is sought, n samples of the proxy and n_p of
the model, whose ACR is at least that of N. The ratio of seconds is given for the measured cost of a proxy's
sample and for cheaper ones, which says how cheap a proxy would have to be. N and (n, n_p) are chosen after the
fact: these are the most that could be gained, not what a user who has to choose them beforehand gets.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import machine
import numpy as np
from numpy.typing import NDArray

import smoothcert as sc
from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.cache import CachedInput, CertificationCache
from smoothcert.cli.common import load_data, load_model
from smoothcert.cli.runtime import cheap_version, run_by
from smoothcert.procedures import Method, pair, recertificates, stack_pairs
from smoothcert.sampling import count_votes

ASSUMED = (0.5, 0.25, 0.1, 0.05, 0.02)
ALPHA = 0.001

Array = NDArray[np.float64]


def votes(
    classifier: sc.Classifier, x: Any, sigma: float, n: int, folder: Path
) -> tuple[list[CachedInput], float]:
    """Return every vote, and seconds per sample."""
    run = sc.certify(classifier, x, sigma=sigma, n=n, alpha=ALPHA, cache=folder)
    store = CertificationCache(folder)
    return [store[key] for key in run.keys], run.timing.seconds / run.timing.samples


def direct_acr(rows: list[CachedInput], N: int, sigma: float, y: NDArray[np.int64]) -> float:
    """ACR of the model alone with N samples."""
    count = np.array([int((row.votes[:N] == row.top_class).sum()) for row in rows])
    radius = certified_radius(lower_confidence_bound(count, N, ALPHA), sigma)
    return float(np.where([row.top_class for row in rows] == y, radius, 0).mean())


def proxy_acr(
    cheap: list[CachedInput],
    own: list[CachedInput],
    n: int,
    n_p: int,
    store: CertificationCache,
    y: NDArray[np.int64],
) -> float:
    """ACR with n samples of the proxy and n_p of the model; alpha in all."""
    k = store.manifest.num_classes
    cut = [replace(row, votes=row.votes[:n], counts=count_votes(row.votes[:n], k)) for row in cheap]
    pairs = stack_pairs([pair(q, f, n_p) for q, f in zip(cut, own, strict=True)])
    manifest = replace(store.manifest, n=n, alpha=ALPHA / 2)
    found, _ = recertificates(pairs, manifest, Method(bound="joint", alpha_zeta=ALPHA / 2))
    return float(np.where(found.prediction == y, found.radius, 0).mean())


def main() -> None:
    """Vote, compare and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--skip", type=int, default=100)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--proxies", nargs="+", default=["int8", "bf16"])
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    data = load_data(a.data, "test", None, a.skip)
    _, module = load_model(a.model, None, data.num_classes)
    y = np.asarray(data.labels)
    model = run_by(module, "auto", data, a.sigma).classifier
    results = []
    with tempfile.TemporaryDirectory() as folder:
        own, slow = votes(model, data.inputs, a.sigma, a.n, Path(folder) / "model")
        sizes = np.unique(np.geomspace(100, a.n, 15).astype(int)).tolist()
        alone = {N: direct_acr(own, N, a.sigma, y) for N in (300, 1000, 3000)}
        for spec in a.proxies:
            proxy = cheap_version(spec, module, data, a.sigma, 0)
            cheap, quick = votes(proxy, data.inputs, a.sigma, a.n, Path(folder) / spec.replace(":", "-"))
            store = CertificationCache(Path(folder) / spec.replace(":", "-"))
            acr = {(n, m): proxy_acr(cheap, own, n, m, store, y) for n in sizes for m in sizes if m <= n}
            for N, target in alone.items():
                reached = {key: value for key, value in acr.items() if value >= target}
                for ratio in (quick / slow, *ASSUMED):
                    n, m = min(reached, key=lambda key: key[0] * ratio + key[1], default=(0, 0))
                    cost = n * ratio + m
                    results.append(
                        {
                            "proxy": spec,
                            "N": N,
                            "ACR": round(target, 4),
                            "cost of a proxy's sample": round(ratio, 3),
                            "measured": ratio == quick / slow,
                            "n": n,
                            "n_p": m,
                            "seconds of N": round(N * slow, 3),
                            "seconds by proxy": round(cost * slow, 3) if n else None,
                            "speedup": round(N / cost, 3) if n else None,
                        }
                    )
                    print(*results[-1].values(), sep="\t", flush=True)
    described = {"machine": machine.describe(), "inputs": len(y), "samples/s of the model": round(1 / slow, 1)}
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text(json.dumps({**described, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
