"""When each request of a scenario is meant to start. Pure: times are seconds from the start."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A rate that rises evenly from nothing during the ramp-up and then stays."""

    requests_per_second: float
    duration: float
    ramp_up: float = 0.0

    @property
    def total(self) -> int:
        """How many requests there are."""
        return self.before(self.duration)

    def before(self, moment: float) -> int:
        """How many requests are meant to start before `moment`."""
        # Rounded, as 0.1 x 30 must not make a fourth request.
        return math.ceil(round(self._planned(min(max(moment, 0.0), self.duration)), 6))

    def start_of(self, number: int) -> float:
        """When request `number`, counted from 0, is meant to start: the inverse of `_planned`."""
        rate, ramp_up = self.requests_per_second, self.ramp_up
        in_ramp_up = rate * ramp_up / 2
        if number < in_ramp_up:
            return math.sqrt(2 * number * ramp_up / rate)
        return ramp_up + (number - in_ramp_up) / rate

    def scaled(self, scale: float) -> "Schedule":
        """The same rate for `scale` times the duration and the ramp-up."""
        return Schedule(self.requests_per_second, self.duration * scale, self.ramp_up * scale)

    def _planned(self, moment: float) -> float:
        """The integral of the rate up to `moment`."""
        rising = min(moment, self.ramp_up)
        ramped = self.requests_per_second * rising**2 / (2 * self.ramp_up) if rising else 0.0
        return ramped + self.requests_per_second * (moment - rising)
