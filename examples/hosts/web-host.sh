export RUNCAST_STORE='redis://:PASSWORD@engine.example:6379/0?store=/var/lib/runs'
export RUNCAST_TOKEN="$(cat /etc/runcast.token)"    # the same on all hosts
runcast serve --host 0.0.0.0
