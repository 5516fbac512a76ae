"""One timed run of ``benchmarks.preview``: nothing but the mock runtime is loaded before the clock starts."""

import json
import sys
import time
from pathlib import Path

from llmos.synth import synth

if __name__ == "__main__":
    raw, main = json.load(sys.stdin), Path(sys.argv[1])
    started = time.perf_counter()
    synth(raw, stack="dev", preview=True, main=main)
    print(time.perf_counter() - started)
