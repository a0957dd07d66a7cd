"""One of several processes that ask for the same entry: `python -m ... PORT CALLERS SECONDS`.

Prints a line when it is connected, waits for one on its input, and prints how often it loaded and
what its callers got.
"""

import asyncio
import json
import sys

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.cache import Cache
from stellwerk.endpoint import Endpoint
from tests.unit.caching.shipped import caching


async def main(port: int, callers: int, seconds: float) -> None:
    """Ask as so many callers at once, the first of which is cancelled at once where it loads."""
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        await asyncio.sleep(seconds)
        return "value"

    address = RedisAddress(Endpoint("127.0.0.1", port))
    async with Cache(caching(client={"lease_seconds": 1}), address) as cache:
        layer = cache.layer("shop.item")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tasks = [asyncio.create_task(layer.get(shop=1, id=2, load=load)) for _ in range(callers)]
        while not loads and not tasks[0].done():
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        values = await asyncio.gather(*tasks, return_exceptions=True)
        got = [value for value in values if isinstance(value, str)]
        print(json.dumps({"loads": loads, "values": got}), flush=True)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
