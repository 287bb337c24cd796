import pytest

from watchword import Clock, Server


@pytest.fixture
def server(tmp_path):
    """A server of the test's own, on the real clock."""
    made = Server(tmp_path / "server").start()
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server for all tests of a file, on the real clock; each test has users of its own."""
    made = Server(tmp_path_factory.mktemp("shared")).start()
    yield made
    made.end()


@pytest.fixture
def timed(tmp_path):
    """A server whose clock the test moves; it stands in the middle of a 30 s step."""
    clock = Clock(tmp_path, at=1_800_000_015)
    made = Server(tmp_path / "server", clock=clock).start()
    yield made
    made.end()


@pytest.fixture
def make_server(tmp_path):
    """Servers that the test starts itself; all are ended with it."""
    servers = []

    def make(name="server", **options):
        servers.append(Server(tmp_path / name, **options))
        return servers[-1]

    yield make
    for made in servers:
        made.end()
