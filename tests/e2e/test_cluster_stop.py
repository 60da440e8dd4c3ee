"""What the other tests end with: a cluster of which one daemon has died is stopped whole, and says which one it was."""

import pytest

from daemons import Cluster


def test_one_has_died(tmp_path):
    """The last one to be started is killed, so that all others are still to be stopped when it is found."""
    cluster = Cluster(tmp_path)
    try:
        cluster.all()[-1].kill()
        with pytest.raises(AssertionError, match="exit -9"):
            cluster.stop()
        assert [daemon.name for daemon in cluster.all() if daemon.process.poll() is None] == []
    finally:
        cluster.kill_all()
