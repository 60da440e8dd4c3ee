"""Fixtures: a cluster on the memory stores in one process, and the same as separate daemons on a private Redis."""

import pytest

from cluster import TrialCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """All six daemons in one process; its log is printed when a test fails, and it must exit 0."""
    running = TrialCluster(tmp_path_factory.mktemp("hawser"))
    yield running
    running.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    running = item.funcargs.get("cluster") if hasattr(item, "funcargs") else None
    if report.failed and running is not None:
        report.sections.append(("hawser log (tail)", running.log_tail()))
