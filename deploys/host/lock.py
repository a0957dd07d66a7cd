"""One writer at a time on this host, also when the run that started it is long gone."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .command import Failure
from .paths import LOCK

WAIT_SECONDS = 120  # an orphaned package installation ends well within this


@contextmanager
def host_lock(what: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the host's lock.

    Raises:
        Failure: another run held it for `wait_seconds`; the message names it.
    """
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Failure(
                        f"another Stellwerk run works on this host ({_holder(descriptor)});"
                        " wait for it to end and run again"
                    ) from None
                time.sleep(0.2)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "what": what}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']}: {holder['what']}"
    except (ValueError, KeyError):
        return "its process is not known"
