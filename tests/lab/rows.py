"""Which rows of a table of cases are in every run of the tests, and which in thorough ones only."""

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet


def rows(names: Iterable[str], *quick: str) -> list[ParameterSet]:
    """A parameter for each row; all but the `quick` ones are left to `make test-all`."""
    every = list(names)
    assert set(quick) <= set(every), f"{set(quick) - set(every)}: no such row"
    return [
        pytest.param(name, marks=() if name in quick else pytest.mark.thorough) for name in every
    ]
