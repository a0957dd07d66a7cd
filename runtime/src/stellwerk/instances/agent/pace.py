"""How soon a balancer is looked at again."""

import time
from collections.abc import Callable
from typing import Final

RESTING_SECONDS: Final = 10.0  # nothing is under way
MOVING_SECONDS: Final = 0.5  # something drains or comes up
WAITING_SECONDS: Final = 2.0  # and has for longer than this:
_MOVING_FOR_SECONDS: Final = 30.0


class Pace:
    """Quick while something moves, slower when it takes long, slowest at rest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: object = None
        self._since = clock()
        self.pause = MOVING_SECONDS

    def look(self, state: object, settled: bool) -> None:
        """Note what was seen; a state that differs from the one before is movement."""
        now = self._clock()
        if state != self._state:
            self._state, self._since = state, now
        if settled:
            self.pause = RESTING_SECONDS
        elif now - self._since < _MOVING_FOR_SECONDS:
            self.pause = MOVING_SECONDS
        else:
            self.pause = WAITING_SECONDS
