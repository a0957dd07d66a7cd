"""`python3 FOLDER/host COMMAND` runs the tools from wherever they were put."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from host.main import main  # type: ignore[import-not-found]

sys.exit(main())
