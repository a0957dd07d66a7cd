"""How many examples a property test is given where each of them is heavy."""

from collections.abc import Callable
from typing import Any

from hypothesis import settings


def one_in(share: int, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a property test that share of the examples of the profile the tests run with.

    `options` are further settings of hypothesis, such as health checks that do not apply.
    """
    return settings(max_examples=max(1, settings().max_examples // share), **options)
