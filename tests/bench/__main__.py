"""`make bench`: every measurement, or those named: `python -m tests.bench deploys`."""

import importlib
import sys

MEASUREMENTS = (
    "caching",
    "database",
    "deploys",
    "edits",
    "history",
    "loadtest",
    "monitor",
    "rollouts",
    "scaling",
)

for name in sys.argv[1:] or MEASUREMENTS:
    importlib.import_module(f"tests.bench.{name}").main()
