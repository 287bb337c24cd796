"""What tests that send what nobody should send stand on: a server that must be none the worse for it."""
import pytest

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def unharmed(request):
    """After each test on the shared server: it lives, it is ready, and it has not grown without bound."""
    if "shared" not in request.fixturenames:
        yield
        return
    server = request.getfixturevalue("shared")
    before = server.resident_bytes()
    yield
    server.assert_healthy()
    assert server.resident_bytes() - before < 64 * MEBIBYTE


@pytest.fixture
def still_usable(shared):
    """A connection that must be good for another request after whatever the test sends."""
    with shared.connect() as connection:
        yield connection
        answer = connection.request("GET", "/v1/users?limit=1")
        assert answer.status == 200, answer
