"""The cache as its layers: answers kept by `stellwerk.caching`, as the settings of the cache say.

One request loads an answer for all that ask for it meanwhile, in all instances. Without Redis each
instance does that for itself, and keeps nothing.
"""

import json
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from stellwerk.caching import addresses
from stellwerk.caching.cache import Cache
from stellwerk.caching.errors import CacheError
from stellwerk.caching.layer import Layer
from stellwerk.sample.answer import Answer, Load, Source
from stellwerk.sample.availability import Availability
from stellwerk.sample.configuration import CacheAddress, ConfigurationError
from stellwerk.sample.query import AssetQuery, PortfolioQuery, Query, Question, TradeQuery
from stellwerk.settings.caching import Caching

_LAYERS: Final[Mapping[type[Query], str]] = {
    PortfolioQuery: "api_response./api/portfolios",
    AssetQuery: "api_response./api/assets",
    TradeQuery: "api_response",
}

_logger = logging.getLogger(__name__)


class LayeredCache:
    """Answers in the layers of the settings. What has no layer there is not kept."""

    def __init__(self, settings: Caching, address: CacheAddress, service: str) -> None:
        self.availability = Availability(f"Redis {address.master}")
        self._service = service
        self._cache = Cache(settings, _redis(address))
        self._cache.client.on_loss.append(lambda: self.availability.lost("its connection was lost"))
        self._layers = {kind: self._layer(kind, name) for kind, name in _LAYERS.items()}
        self._is_open = False

    async def through(self, question: Question, load: Load) -> Answer:
        """The kept answer, else the loaded one, which is kept. Raises what `load` raises."""
        layer = self._layers[type(question.query)]
        loads: list[bytes] = []

        async def loading() -> bytes:
            loads.append(await load())
            return loads[0]

        if layer is None:
            return Answer(await load(), Source.STORE)
        body = await layer.get_by(self._fields(question.query), loading)
        return Answer(body, Source.STORE if loads else Source.CACHE)

    async def probe(self) -> None:
        """Connect at first; later the connection is kept by itself."""
        if not self._is_open:
            self._is_open = True
            await self._cache.__aenter__()
        if self._cache.connected:
            self.availability.found()
        else:
            self.availability.lost("it cannot be reached")

    async def close(self) -> None:
        """Close the connections."""
        if self._is_open:
            await self._cache.__aexit__(None, None, None)

    def _layer(self, kind: type[Query], name: str) -> Layer[bytes] | None:
        """The layer of a kind of answers; None where the settings have none that fits."""
        try:
            layer = self._cache.layer(name, type=bytes)
            layer.declaration.locate(self._fields(kind()))
        except CacheError as error:
            _logger.warning("Answers are not cached: %s", error)
            return None
        return layer

    def _fields(self, query: Query) -> dict[str, object]:
        """What tells an answer from others of its layer."""
        of_service: dict[str, object] = {"service": self._service}
        if isinstance(query, PortfolioQuery):
            # Portfolios have no dates: which part of them is asked for is what a range would be.
            return of_service | {"user_id": query.user_id, "date_range": f"first {query.limit}"}
        if isinstance(query, AssetQuery):
            return of_service | {"symbol": query.symbol, "data_type": "asset"}
        asked = {"portfolio_id": query.portfolio_id, "limit": query.limit}
        return of_service | {"endpoint": "trades"} | asked


def read_layers(path: Path) -> Caching:
    """The settings of the cache, as a deploy writes them. Raises ConfigurationError."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        return Caching.model_validate(document["caching"])
    except OSError as error:
        reason = error.strerror or "unreadable"
    except (ValidationError, ValueError, KeyError, TypeError):
        reason = "no settings of the cache are in it"
    raise ConfigurationError(f"CACHE_SETTINGS is {str(path)!r}: {reason}; run the deploy again.")


def _redis(address: CacheAddress) -> addresses.RedisAddress:
    password = address.password.value if address.password else None
    sentinel_password = address.sentinel_password.value if address.sentinel_password else None
    tls = ssl.create_default_context(cafile=address.tls_ca) if address.tls_ca else None
    sentinels = addresses.Sentinels(
        address.sentinels,
        address.master,
        addresses.Credentials(password=sentinel_password),
    )
    return addresses.RedisAddress(sentinels, addresses.Credentials(address.user, password), tls)
