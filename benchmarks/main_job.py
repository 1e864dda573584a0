"""Time and peak memory of the main job: certify, recertify candidates, compare; each step a process of its own.

python benchmarks/main_job.py CHECKPOINT --data DATA --out benchmarks/results/main_job.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine

CANDIDATES = ("fp16", "bf16", "int8", "prune:0.05", "prune:0.10", "prune:0.20")


def run(*arguments: str) -> dict[str, Any]:
    """Run one command of smoothcert; return its name, seconds and peak resident memory."""
    return measure(arguments[0], [sys.executable, "-m", "smoothcert.cli", *arguments])


def measure(step: str, command: list[str]) -> dict[str, Any]:
    """Run a process; return its seconds and peak resident memory."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        message = child.stderr.read().decode()[-2000:] if child.stderr else ""
        raise SystemExit(f"{' '.join(command)} failed: {message}")
    result = {"step": step, "seconds": round(seconds, 2), "peak_mib": round(usage.ru_maxrss / 1024, 1)}
    print(result, flush=True)
    return result


def main() -> None:
    """Run the job, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", default="0.5")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="keep the caches in this folder")
    a = parser.parse_args()
    common = [a.model, "--data", a.data, "--sigma", a.sigma]
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.work or temporary
        base = f"{folder}/base"
        steps = [
            {
                **run("certify", *common, "--limit", "50", "--n", "10000", "--cache", base),
                "what": "50 inputs, n = 10,000",
            }
        ]
        for candidate in CANDIDATES:
            result = run("recertify", base, "--candidate", candidate, "--n-p", "1000")
            steps.append({**result, "what": f"{candidate}, n_p = 1,000, and 100 selection samples"})
        steps.append({**run("compare", base), "what": "base and all candidates"})
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text(json.dumps({"machine": machine.describe(), "steps": steps}, indent=2) + "\n")


if __name__ == "__main__":
    main()
