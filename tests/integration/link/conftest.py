"""Real engines, each started once for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.helpers.engines import Server, cluster, redis, serving, valkey


@pytest.fixture(scope="module", params=["valkey", "redis", "cluster"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """Give the servers of an engine: Valkey, Redis 7, and a cluster of three Valkeys."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "cluster":
        with cluster(folder) as servers:
            yield servers
    else:
        with serving({"valkey": valkey, "redis": redis}[request.param](), folder) as server:
            yield [server]
