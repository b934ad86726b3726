from celery import Celery
from shop import ship

import runcast

app = Celery("celery_tasks", broker="redis://localhost")


@app.task(bind=True)
def send_order(self, order):
    with runcast.attach("send order", key=self.request.id):
        ship(order)
