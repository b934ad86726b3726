from apscheduler.schedulers.blocking import BlockingScheduler
from shop import ship

import runcast

scheduler = BlockingScheduler()


@scheduler.scheduled_job("interval", seconds=1, id="send orders")
def send_orders():
    with runcast.attach("send orders", key="send orders"):
        ship("of today")


if __name__ == "__main__":
    scheduler.start()
