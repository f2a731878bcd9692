"""All that is in Redis, as text: for tests that look for what must not be there."""

from __future__ import annotations

from core.storage.client import Store


async def everything(store: Store) -> list[str]:
    """Every key with all its values."""
    redis, found = store.redis, list[str]()
    async for key in redis.scan_iter(match="*", count=1000):
        match await redis.type(key):
            case "string":
                found.append(f"{key} {await redis.get(key)}")
            case "list":
                found += [f"{key} {value}" for value in await redis.lrange(key, 0, -1)]
            case "set":
                found += [f"{key} {value}" for value in await redis.smembers(key)]
            case "zset":
                found += [f"{key} {value}" for value in await redis.zrange(key, 0, -1)]
            case "hash":
                found += [f"{key} {name} {value}" for name, value in (await redis.hgetall(key)).items()]
            case "stream":
                found += [f"{key} {fields}" for _, fields in await redis.xrange(key)]
            case "none":
                continue  # it has ended meanwhile
            case kind:
                raise AssertionError(f"{key} is a {kind}")
    return found
