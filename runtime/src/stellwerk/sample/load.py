"""The load that the switches put on a request: processor time, and a share of failures."""

import asyncio
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

_BLOCK = bytes(64 * 1024)


class Calculator:
    """Burns processor time for one request after the other, beside the event loop.

    One worker, so that requests queue when they ask for more than one core has; /health is answered
    meanwhile.
    """

    def __init__(self) -> None:
        self._worker: ThreadPoolExecutor | None = None
        self._stopped = threading.Event()

    async def calculate(self, cpu_ms: float) -> float:
        """Use `cpu_ms` milliseconds of processor time; the answer is the seconds waited for the
        turn.
        """
        if cpu_ms <= 0:
            return 0.0
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="calculator")
        asked = time.monotonic()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._burn, cpu_ms / 1000) - asked

    def close(self) -> None:
        """End the running calculation and forget those that wait."""
        if self._worker is None:
            return
        # In this order: a worker that is stopped first takes up the next one meanwhile.
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._stopped.set()
        self._worker.shutdown(wait=True)

    def _burn(self, seconds: float) -> float:
        began = time.monotonic()
        end = time.thread_time() + seconds
        while time.thread_time() < end and not self._stopped.is_set():
            # hashlib releases the interpreter's lock on large blocks, so the event loop is not held
            # up.
            hashlib.sha256(_BLOCK).digest()
        return began


class ErrorShare:
    """Decides which requests fail: evenly spread and exact, so that a test can count on it."""

    def __init__(self) -> None:
        self._owed = 0.0

    def due(self, share: float) -> bool:
        """Whether this request fails, so that of many a `share` from 0 to 1 does."""
        self._owed += share
        if self._owed < 1 - 1e-9:
            return False
        self._owed -= 1
        return True
