"""The layers of the settings on some storage, made when they are first asked for."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from stellwerk.caching.codec import codec_for
from stellwerk.caching.compression import compressor
from stellwerk.caching.encryption import keyring
from stellwerk.caching.envelope import Sealer
from stellwerk.caching.errors import DeclarationError, KeyFieldError
from stellwerk.caching.figures import counters, figures
from stellwerk.caching.flights import Tower
from stellwerk.caching.invalidating import Invalidator
from stellwerk.caching.keys import Pattern
from stellwerk.caching.layer import Layer, Loader, Services
from stellwerk.caching.layers import Layers, declared
from stellwerk.caching.storage import Plan, Storage
from stellwerk.caching.usage import Usage
from stellwerk.caching.waking import Waking
from stellwerk.settings.caching import Caching


class LayerSet:
    """The layers of the settings on some storage."""

    def __init__(
        self,
        settings: Caching,
        storage: Storage,
        waking: Waking,
        local_allowed: Callable[[], bool],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.declared: Layers = declared(settings)
        self.usage = Usage(storage)
        self.invalidator = Invalidator(self.declared, storage, settings.client.stream_length)
        self._settings = settings
        self._layers: dict[str, Layer[Any]] = {}
        self._given: dict[str, tuple[Any, Any]] = {}
        self._services = Services(
            storage=storage,
            tower=Tower(storage, waking, 1000 * settings.client.lease_seconds),
            invalidator=self.invalidator,
            usage=self.usage,
            retry_pause=settings.client.retry_pause_seconds,
            local_allowed=local_allowed,
            clock=clock or monotonic,
        )

    def layer(self, name: str, kind: Any = None, load: Loader[Any] | None = None) -> Layer[Any]:
        """The layer of this name; see Cache.layer."""
        found = self._layers.get(name)
        if found is None:
            found = self._layers[name] = self._made(name, kind, load)
            self._given[name] = (kind, load)
            return found
        kind_before, load_before = self._given[name]
        if (kind, load) != (None, None) and (kind, load) != (kind_before, load_before):
            raise DeclarationError(
                f"The layer {name} was asked for with another type or loader before: give both"
                " where it is asked for first."
            )
        return found

    async def invalidate(self, what: Plan) -> bool:
        """Carry a plan out."""
        return await self.invalidator.invalidate(what)

    def patterns(self, event: str, parameters: Mapping[str, object]) -> list[str]:
        """The patterns of an event, filled."""
        declared_events = self._settings.invalidation.events
        if event not in declared_events:
            raise DeclarationError(
                f"No event {event} is declared in caching.invalidation.events; declared:"
                f" {', '.join(declared_events) or 'none'}."
            )
        wanted = [Pattern(text) for text in declared_events[event]]
        unknown = set(parameters) - {field for pattern in wanted for field in pattern.fields}
        if unknown:
            raise KeyFieldError(f"The event {event} has no parameter {min(unknown)}.")
        return [pattern.filled(parameters) for pattern in wanted]

    def figures(self) -> dict[str, float]:
        """The numbers of all layers that were asked for, by names for metrics."""
        found: dict[str, float] = {}
        for name, layer in self._layers.items():
            found.update(figures(name, layer.statistics))
        return found

    def counted(self) -> dict[str, dict[str, float]]:
        """What was counted in each of these layers."""
        return {name: counters(layer.statistics) for name, layer in self._layers.items()}

    async def close(self) -> None:
        """End the loads under way."""
        for layer in self._layers.values():
            await layer.close()

    def _made(self, name: str, kind: Any, load: Loader[Any] | None) -> Layer[Any]:
        declaration = self.declared[name]
        sealer = Sealer(
            codec_for(kind),
            compressor(self._settings.compression, wanted=declaration.compressed),
            keyring(self._settings.encryption) if declaration.encrypted else None,
        )
        buckets = self._settings.metrics.response_time_buckets_ms
        return Layer(declaration, sealer, self._services, buckets, load)
