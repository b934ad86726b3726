import asyncio

from arq.connections import RedisSettings
from shop import ship

import runcast


async def send_order(ctx, order):
    with runcast.attach("send order", key=ctx["job_id"]):
        await asyncio.to_thread(ship, order)


class WorkerSettings:
    functions = (send_order,)
    redis_settings = RedisSettings.from_dsn("redis://localhost")
