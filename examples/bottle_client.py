"""Print the lines of bottle_lines.py as they come, with requests as it is."""

import sys

import requests

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080/stream"
with requests.get(url, stream=True, timeout=60) as response:
    for line in response.iter_lines():
        print(line.decode(), flush=True)
