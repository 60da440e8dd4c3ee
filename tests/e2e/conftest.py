"""Fixtures: a cluster on the memory stores in one process, and the same as separate daemons on a private Redis."""

import contextlib

import pytest

from cluster import TrialCluster
from daemons import Cluster, MariaDB, Redis


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: fills the machine, or counts on answers within some seconds; runs beside no other test")


@pytest.fixture(scope="module", params=["memory", "redis"])
def cluster(request, tmp_path_factory):
    """All six daemons in one process on memory stores, and two of each on a private Redis; their logs are printed when a test fails,
    and each must exit 0."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "memory":
        running = TrialCluster(folder)
        yield running
        running.stop()
    else:
        redis = Redis(folder / "redis")
        running = Cluster(folder, redis=redis, register=2, saver=2, room=2, center=2, dispatcher=2)
        yield running
        running.stop()
        redis.stop()


@pytest.fixture
def stores(tmp_path):
    """A private Redis and a private MariaDB."""
    with contextlib.ExitStack() as running:
        redis, maria = Redis(tmp_path / "redis"), MariaDB(tmp_path / "mariadb")
        running.callback(redis.stop)
        running.callback(maria.stop)
        yield redis, maria


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    running = item.funcargs.get("cluster") if hasattr(item, "funcargs") else None
    if report.failed and running is not None:
        report.sections.append(("hawser log (tail)", running.log_tail()))
