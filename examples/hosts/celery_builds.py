from celery import Celery

import runcast

app = Celery("celery_builds", broker="redis://localhost", backend="redis://localhost")


@app.task(bind=True, acks_late=True)
def build(self, target):
    run = runcast.start(["make", target], name=f"build {target}", key=self.request.id)
    return str(run.wait())
