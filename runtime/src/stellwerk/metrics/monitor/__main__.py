"""The monitor's program, started by `stellwerk monitor`."""

import sys
from pathlib import Path

from stellwerk.metrics.monitor.process import main

main(*map(Path, sys.argv[1:]))
