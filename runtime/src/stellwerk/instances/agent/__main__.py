"""The agent's program, started by `stellwerk agent`. What is imported here is kept small."""

import sys

# Both would load OpenSSL beside libpq's own: 7 MB for nothing, as the agent's only TLS is libpq's
# and Python has the hash functions without it.
sys.modules["ssl"] = None  # type: ignore[assignment]
sys.modules["_hashlib"] = None  # type: ignore[assignment]

import asyncio  # noqa: E402
import gc  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402

from stellwerk.host.systemd import UnitError  # noqa: E402
from stellwerk.instances.agent.process import DBusLostError, password, serve  # noqa: E402
from stellwerk.instances.configuration import ConfigurationError, read  # noqa: E402


def main(configuration: Path, state: Path) -> None:
    """Run until SIGTERM; what prevents that is said in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    gc.freeze()  # what is imported stays: no need to look at it again and again
    try:
        asyncio.run(serve(read(configuration), password(os.environ), state))
    except (ConfigurationError, UnitError, DBusLostError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
