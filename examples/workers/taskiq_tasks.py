from typing import Annotated

from shop import ship
from taskiq import Context, TaskiqDepends
from taskiq_redis import ListQueueBroker

import runcast

broker = ListQueueBroker("redis://localhost")


@broker.task
def send_order(order: str, context: Annotated[Context, TaskiqDepends()]) -> None:
    with runcast.attach("send order", key=context.message.task_id):
        ship(order)
