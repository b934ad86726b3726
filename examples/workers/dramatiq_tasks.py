import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage
from shop import ship

import runcast

dramatiq.set_broker(RedisBroker(url="redis://localhost"))
dramatiq.get_broker().add_middleware(CurrentMessage())


@dramatiq.actor
def send_order(order):
    with runcast.attach("send order", key=CurrentMessage.get_current_message().message_id):
        ship(order)
