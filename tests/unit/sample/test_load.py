"""The load that the switches put on requests."""

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.sample.load import Calculator, ErrorShare

BURNT_SECONDS = 0.05  # of processor time, by which a calculation is seen to run


@given(st.floats(0, 1), st.integers(1, 500))
def test_the_error_share_is_exact(share: float, requests: int) -> None:
    errors = ErrorShare()
    failed = sum(errors.due(share) for _ in range(requests))
    assert abs(failed - share * requests) < 1 + 1e-6


def test_a_request_that_asks_to_fail_does_not_spare_another() -> None:
    errors = ErrorShare()
    outcomes = [errors.due(share) for share in (0.5, 1.0, 0.5, 0.5, 0.5)]
    assert outcomes == [False, True, True, False, True]


def test_a_calculation_uses_at_least_the_processor_time_it_was_asked_for() -> None:
    async def used() -> float:
        calculator = Calculator()
        before = time.process_time()
        await calculator.calculate(20)
        calculator.close()
        return time.process_time() - before

    assert asyncio.run(used()) >= 0.02


def test_no_calculation_starts_no_thread() -> None:
    async def waited() -> float:
        calculator = Calculator()
        try:
            return await calculator.calculate(0)
        finally:
            calculator.close()

    assert asyncio.run(waited()) == 0


def test_closing_ends_the_running_calculation_and_forgets_the_rest() -> None:
    async def close_early() -> list[object]:
        calculator = Calculator()
        before = time.process_time()
        calculations = [asyncio.ensure_future(calculator.calculate(60_000)) for _ in range(3)]
        while time.process_time() - before < BURNT_SECONDS:
            await asyncio.sleep(0.01)
        calculator.close()
        return list(await asyncio.gather(*calculations, return_exceptions=True))

    outcomes = asyncio.run(close_early())
    assert isinstance(outcomes[0], float)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[1:])
