from huey import RedisHuey
from shop import ship

import runcast

huey = RedisHuey(url="redis://localhost")


@huey.task(context=True)
def send_order(order, task=None):
    with runcast.attach("send order", key=task.id):
        ship(order)
