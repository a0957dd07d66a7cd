"""How often Python looks for objects that only refer to each other."""

import gc
from typing import Final

_MADE: Final = 10_000
"""Objects after which it looks, some collections' worth. By default it looks several times in each,
and finds nothing: what a collection makes lives until the next one takes its place.
"""


def look_seldom() -> None:
    """To be called when all is imported: that stays, so it is not looked at at all."""
    gc.freeze()
    gc.set_threshold(_MADE)
