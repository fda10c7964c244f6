"""Time and memory of the statistics on large data, each beside another package in the same run: benchmarks/stats.md.

    python benchmarks/stats.py [--peer-python /path/to/a/venv/with/evalica/bin/python] [--repeat 3]

Every row is a fresh process; seconds are the median over the repeats. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "stats.md"
PARTS = {"Ratings": "bench_ratings.py", "Agreement": "bench_agreement.py"}
PACKAGES = ("numpy", "scipy", "krippendorff", "scikit-learn")

HEAD = """\
# Time and memory of the statistics

Made by `python benchmarks/stats.py` on {cores} cores of {machine}, Python {python}, {packages}. Every row is a fresh
process, its seconds the median of {repeat}; making the data and importing are left out of the time and are part of the
memory.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="an interpreter that has evalica")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = HEAD.format(
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        packages=packages,
        repeat=options.repeat,
    )
    for title, part in PARTS.items():
        peer = ["--peer-python", options.peer_python] if options.peer_python and part == "bench_ratings.py" else []
        command = [sys.executable, str(HERE / part), "--repeat", str(options.repeat), *peer]
        lines += f"\n## {title}\n\n" + subprocess.run(command, check=True, capture_output=True, text=True).stdout
    PAGE.write_text(lines, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
