"""The cache manager: layers of typed values in Redis that are never stale and never stampede.

async with Cache(settings, address) as cache:
    summary = cache.layer("portfolio.summary", type=Summary)
    value = await summary.get(id=42, load=lambda: compute(42))
"""

from stellwerk.caching.addresses import Credentials, RedisAddress, Sentinels
from stellwerk.caching.blocking import BlockingCache
from stellwerk.caching.cache import Cache
from stellwerk.caching.decorating import cached
from stellwerk.caching.errors import (
    CacheError,
    DeclarationError,
    KeyFieldError,
    RedisAwayError,
    UnknownLayerError,
    UnsupportedValueError,
)
from stellwerk.caching.layer import Layer
from stellwerk.caching.rate_limit import Allowance
from stellwerk.endpoint import Endpoint

__all__ = [
    "Allowance",
    "BlockingCache",
    "Cache",
    "CacheError",
    "Credentials",
    "DeclarationError",
    "Endpoint",
    "KeyFieldError",
    "Layer",
    "RedisAddress",
    "RedisAwayError",
    "Sentinels",
    "UnknownLayerError",
    "UnsupportedValueError",
    "cached",
]
