export RUNCAST_STORE='redis://:PASSWORD@engine.example:6379/0?store=/var/lib/runs'
export RQ_REDIS_URL='redis://:PASSWORD@engine.example:6379/1'
rq worker
