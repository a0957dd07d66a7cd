"""One load for several entries: what `get_many` gives the loads of what it did not find."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batch(Generic[T]):
    """One load for those of several entries that nobody else is loading."""

    def __init__(
        self,
        load: Callable[[list[Mapping[str, object]]], Awaitable[Sequence[T]]],
        fields: list[Mapping[str, object]],
    ) -> None:
        self._load = load
        self._fields = fields
        self._wanted: dict[int, asyncio.Future[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def loading(self, number: int) -> Callable[[], Awaitable[T]]:
        """What loads the entry of this number, together with others that are asked for."""

        async def load() -> T:
            loop = asyncio.get_running_loop()
            future = self._wanted.setdefault(number, loop.create_future())
            if len(self._wanted) == 1:
                task = asyncio.create_task(self._run())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            return await future

        return load

    async def _run(self) -> None:
        # Leases of one batch are granted within a turn or two of the loop; the rest comes later.
        await asyncio.sleep(0)
        wanted, self._wanted = self._wanted, {}
        try:
            values = await self._load([self._fields[number] for number in wanted])
            for future, value in zip(wanted.values(), values, strict=True):
                if not future.done():
                    future.set_result(value)
        except Exception as error:  # whoever waits for a value is told
            for future in wanted.values():
                if not future.done():
                    future.set_exception(error)
