from rq import get_current_job

import runcast


def build(target):
    run = runcast.start(["make", target], name=f"build {target}", key=get_current_job().id)
    return str(run.wait())
