"""Kill a certification with SIGKILL at random moments, continue it each time, and compare bytes.

python experiments/kill_and_continue.py MODEL --data digits --sigma 0.25 --limit 300 --n 5000 --kills 20
"""

from __future__ import annotations

import argparse
import filecmp
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def certify(arguments: list[str], cache: Path) -> subprocess.Popen[bytes]:
    """Start a certification into a folder."""
    command = [sys.executable, "-m", "smoothcert.cli", "certify", *arguments, "--cache", str(cache)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    """Run undisturbed, run with kills, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    known, arguments = parser.parse_known_args()
    moments = random.Random(known.seed)  # noqa: S311 (moments to kill at, no secret)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        began = time.perf_counter()
        if certify(arguments, whole).wait() != 0:
            print("certify failed: check the arguments")
            return 2
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        certify(arguments, whole).wait()  # nothing left to do: this is what starting takes
        startup = time.perf_counter() - began
        kills = late = 0
        while kills < known.kills:
            child = certify(arguments, killed)
            # Some lives end while starting, most at a random moment of the work, of which each does a share.
            working = 1.0 * (seconds - startup) / known.kills * moments.random()
            try:
                child.wait(timeout=startup * moments.random() if moments.random() < 0.2 else startup + working)
                late += 1
                if late > 3:  # it is finished: kill lives that only re-check the cache
                    break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += 1
                parts = len(list((killed / "parts").glob("part-*"))) if (killed / "parts").exists() else 0
                print(f"kill {kills:2}: {parts} parts written")
        if certify(arguments, killed).wait() != 0:
            print("the continued run failed")
            return 1
        names = ["manifest.json", "index.jsonl", *(f"parts/{p.name}" for p in sorted((whole / "parts").iterdir()))]
        _, different, missing = filecmp.cmpfiles(whole, killed, names, shallow=False)
        extra = {p.name for p in (killed / "parts").iterdir()} - {p.name for p in (whole / "parts").iterdir()}
        same = not (different or missing or extra)
        print(f"{kills} kills, undisturbed run {seconds:.1f} s; {len(names)} files bit-identical: {same}")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
