"""What holds for every test: no claim is about time, so property tests have no deadline."""

import pytest
from hypothesis import settings

CLUSTERS = ("six", "solo", "caches", "encrypted", "swapped", "scaled")
"""Fixtures that take minutes to be made: the tests with one of them go to one worker of pytest."""

settings.register_profile("stellwerk", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile("stellwerk")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep together what shares a cluster, or else the module's own fixtures."""
    module = item.nodeid.partition("::")[0]
    item.add_marker(pytest.mark.xdist_group(_cluster(item) or module))


def _cluster(item: pytest.Item) -> str | None:
    asked = {*getattr(item, "fixturenames", ())}
    if callspec := getattr(item, "callspec", None):
        asked |= {one for one in callspec.params.values() if isinstance(one, str)}
    return next((name for name in CLUSTERS if name in asked), None)
