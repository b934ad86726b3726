from rq import get_current_job
from shop import ship

import runcast


def send_order(order):
    with runcast.attach("send order", key=get_current_job().id):
        ship(order)
