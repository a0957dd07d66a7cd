"""The shipped settings of the cache, and variations of them for tests."""

import runpy
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from stellwerk.settings.caching import Caching

KEY = urlsafe_b64encode(bytes(range(32))).decode()
PATIENT = {"operation_timeout_ms": 10_000}
"""A busy machine is not taken for a Redis that is away."""
_GROUP_DATA = Path(__file__).parents[3] / "group_data" / "caching.py"


def shipped() -> Caching:
    """What group_data ships, with a key for the encrypted cache."""
    data = runpy.run_path(str(_GROUP_DATA))["caching"]
    return Caching.model_validate(data | {"encryption": {"key": KEY}, "client": PATIENT})


def caching(**cache: Any) -> Caching:
    """One cache `shop` of one layer `item` with keys item:{shop}:{id}, changed as said."""
    shop = {
        "key_pattern": "shop:{shop}:{id}:{part}",
        "ttl_seconds": 60,
        "strategy": "cache-aside",
        "layers": {
            "item": {"ttl_seconds": 60, "key_pattern": "item:{shop}:{id}"} | cache.pop("layer", {})
        },
    }
    client = PATIENT | cache.pop("client", {})
    rest = cache.pop("rest", {})
    return Caching.model_validate({"caches": {"shop": shop | cache}, "client": client} | rest)
