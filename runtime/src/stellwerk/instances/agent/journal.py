"""The last lines of a unit's journal, for people who look at what failed."""

import asyncio
import contextlib
from typing import Final

LINES: Final = 30
_SECONDS: Final = 5.0
_BYTES: Final = 16 * 1024


async def last_lines(unit: str) -> str:
    """The unit's last lines; empty where they cannot be read in time. It says the same as
    `journalctl --unit UNIT`, and needs the group systemd-journal."""
    command = ("journalctl", "--unit", unit, "--lines", str(LINES), "--quiet", "--no-pager")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return ""
    return output[-_BYTES:].decode(errors="replace").strip()
