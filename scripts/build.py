"""Build the sdist and the wheel with the locked backend, offline. Argument: the folder for both."""

import sys

from hatchling import build

if __name__ == "__main__":
    folder = sys.argv[1]
    print(build.build_sdist(folder))
    print(build.build_wheel(folder))
