"""Follow a run that somebody else started: python follow_run.py ID"""

import sys

import runcast

run = runcast.get(sys.argv[1])
for line in run.lines():
    print(line)
print(run.wait())
