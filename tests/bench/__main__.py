"""`make bench`: every measurement, or those named: `python -m tests.bench deploys`."""

import importlib
import sys

MEASUREMENTS = ("deploys", "loadtest", "database", "rollouts", "edits")

for name in sys.argv[1:] or MEASUREMENTS:
    importlib.import_module(f"tests.bench.{name}").main()
