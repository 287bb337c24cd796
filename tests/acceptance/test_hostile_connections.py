"""Messages that are no HTTP, connections that are slow, and crowds of both: a clear 4xx or a closed connection, and a server
that is none the worse for it."""
import select
import socket
import threading
import time

import pytest

from hostile import MEBIBYTE, unharmed  # noqa: F401: fixtures
from watchword import Closed, assert_problem, eventually, open_files_limit, path_of, request_bytes

HEADER_TIMEOUT_S = 2


# ---------------------------------------------------------------------------------------------------------------- HTTP

GOOD_BODY = b'{"user":"ada","code":"123456"}'
SMUGGLED = b"GET /v1/users HTTP/1.1\r\nHost: x\r\n\r\n"


def message(*lines, body=b""):
    return "\r\n".join(["POST /v1/verify HTTP/1.1", "Host: x", "Authorization: Bearer KEY", "Content-Type: application/json",
                        *lines]).encode("latin-1") + b"\r\n\r\n" + body


CL = f"Content-Length: {len(GOOD_BODY)}"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD_BODY), GOOD_BODY)
MESSAGES = {
    "length and chunks": message(CL, "Transfer-Encoding: chunked", body=CHUNKS),
    "chunks and length": message("Transfer-Encoding: chunked", CL, body=CHUNKS),
    "two lengths": message(CL, "Content-Length: 5", body=GOOD_BODY),
    "one length twice": message(CL, CL, body=GOOD_BODY),
    "lengths in a list": message("Content-Length: 30, 30", body=GOOD_BODY),
    "signed length": message(f"Content-Length: +{len(GOOD_BODY)}", body=GOOD_BODY),
    "negative length": message("Content-Length: -1", body=GOOD_BODY),
    "hexadecimal length": message("Content-Length: 0x1e", body=GOOD_BODY),
    "length of 2^64": message("Content-Length: 18446744073709551616", body=GOOD_BODY),
    "no length's value": message("Content-Length:", body=GOOD_BODY),
    "space before the colon": message(f"Content-Length : {len(GOOD_BODY)}", body=GOOD_BODY),
    "folded line": message(CL, "X-A: b", "  folded", body=GOOD_BODY),
    "folded coding": message("Transfer-Encoding:", " chunked", body=CHUNKS),
    "other coding": message("Transfer-Encoding: xchunked", body=CHUNKS),
    "gzip, chunked": message("Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "chunked, identity": message("Transfer-Encoding: chunked, identity", body=CHUNKS),
    "chunked twice": message("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKS),
    "coding with a vertical tab": message("Transfer-Encoding: \x0bchunked", body=CHUNKS),
    "chunk size that is none": message("Transfer-Encoding: chunked", body=b"xyz\r\n" + GOOD_BODY),
    "signed chunk size": message("Transfer-Encoding: chunked", body=b"+1e\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n"),
    "chunk size of 2^64 + 30": message("Transfer-Encoding: chunked", body=b"1000000000000001e\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n"),
    "chunk longer than it says": message("Transfer-Encoding: chunked", body=b"5\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n"),
    "bare line feeds": message(CL, body=GOOD_BODY).replace(b"\r\n", b"\n"),
    "one bare line feed": message(CL, body=GOOD_BODY).replace(b"Host: x\r\n", b"Host: x\n"),
    "bare carriage return": message("X-A: a\rContent-Length: 5", CL, body=GOOD_BODY),
    "NUL in a header": message("X-A: a\x00b", CL, body=GOOD_BODY),
    "NUL in a name": message("X-\x00A: b", CL, body=GOOD_BODY),
    "no colon": message("X-A", CL, body=GOOD_BODY),
    "empty name": message(": x", CL, body=GOOD_BODY),
    "no host": message(CL, body=GOOD_BODY).replace(b"Host: x\r\n", b""),
    "two hosts": message("Host: y", CL, body=GOOD_BODY),
    "two keys": message("Authorization: Bearer other", CL, body=GOOD_BODY),
    "HTTP/1.2": message(CL, body=GOOD_BODY).replace(b"HTTP/1.1", b"HTTP/1.2"),
    "HTTP/2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "lower-case version": message(CL, body=GOOD_BODY).replace(b"HTTP/1.1", b"http/1.1"),
    "two spaces": message(CL, body=GOOD_BODY).replace(b"POST /v1", b"POST  /v1"),
    "NUL in the target": message(CL, body=GOOD_BODY).replace(b"/v1/verify", b"/v1/ver\x00ify"),
    "space in the target": message(CL, body=GOOD_BODY).replace(b"/v1/verify", b"/v1/ver ify"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": b"\x00" * 5000,
    "noise": bytes((i * 197 + 31) % 256 for i in range(5000)),
}


@pytest.mark.parametrize("data", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_message_that_could_be_read_in_two_ways_ends_the_connection(shared, data):
    """One refusal at most, then the end: what stands behind it is never taken for a request."""
    with shared.connect() as connection:
        try:
            connection.send(data.replace(b"KEY", shared.admin.encode()) + SMUGGLED)
            answer = connection.read()
            assert answer.status in (400, 401, 404, 413, 417, 421, 431, 501, 505), answer
            assert answer.status != 401 or data.startswith((b"GET", b"PRI")), answer
            if answer.headers.get("content-type", "").startswith("application/problem+json"):
                assert_problem(answer, answer.status)
            with pytest.raises(Closed):
                more = connection.read()
                pytest.fail(f"a second answer: {more}")
        except (Closed, OSError):
            pass


def test_a_header_block_may_have_8_kib(shared):
    with shared.connect() as connection:
        good = connection.request("GET", "/v1/users?limit=1", headers={f"X-{i}": "v" * 1000 for i in range(7)})
        assert good.status == 200
        answer = connection.request("GET", "/v1/users?limit=1", headers={f"X-{i}": "v" * 1000 for i in range(9)})
        assert_problem(answer, 431)


@pytest.mark.parametrize("data", [b"GET /" + b"x" * 100000, b"GET / HTTP/1.1\r\nX: " + b"v" * 100000,
                                  b"G" * 100000, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20000])
def test_a_header_that_does_not_end_is_refused(shared, data):
    with shared.connect() as connection:
        try:
            connection.send(data)
            answer = connection.read()
            assert answer.status in (400, 414, 431), answer
        except (Closed, OSError):
            pass
        assert connection.closed_by_server()


def test_chunks_are_understood_and_limited(shared):
    head = request_bytes("POST", "/v1/verify", b"", shared.admin, {"Transfer-Encoding": "chunked"})
    with shared.connect() as connection:
        for cut in (1, 5, 30):
            parts = [GOOD_BODY[i : i + cut] for i in range(0, len(GOOD_BODY), cut)]
            connection.send(head + b"".join(b"%X;ext=1\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n")
            assert connection.read().status == 200
        connection.send(head)
        try:
            for _ in range(20):
                connection.send(b"2000\r\n" + b" " * 0x2000 + b"\r\n")
        except OSError:
            pass
        try:
            assert_problem(connection.read(), 413)
        except Closed:
            pytest.fail("no answer: the refusal must arrive before the connection closes")


def test_a_client_that_asks_first_whether_it_may_send_is_told(shared):
    with shared.connect() as connection:
        head, _, body = request_bytes("POST", "/v1/verify", GOOD_BODY, shared.admin,
                                      {"Expect": "100-continue"}).partition(b"\r\n\r\n")
        connection.send(head + b"\r\n\r\n")
        eventually(lambda: select.select([connection.socket], [], [], 0)[0], what="100 Continue")
        assert connection.socket.recv(1000).startswith(b"HTTP/1.1 100")
        connection.send(body)
        assert connection.read().status == 200


def test_http_1_0_and_connection_close_are_honoured(shared):
    for head in (b"GET /healthz HTTP/1.0\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        with shared.connect() as connection:
            connection.send(head)
            assert connection.read().status == 200
            assert connection.closed_by_server()


def test_a_hundred_pipelined_requests_are_answered_in_order(shared):
    with shared.connect() as connection:
        connection.send(b"".join(
            request_bytes("POST", "/v1/verify", {"user": f"u{i}", "code": "123456"}, shared.admin) if i % 3 else
            request_bytes("GET", path_of(f"u{i}"), None, shared.admin) for i in range(100)))
        for i in range(100):
            answer = connection.read()
            if i % 3:
                assert answer.json() == {"result": "no_device", "user": f"u{i}"}
            else:
                assert_problem(answer, 404)


def test_a_request_in_single_bytes_is_a_request(shared):
    with shared.connect() as connection:
        for byte in request_bytes("POST", "/v1/verify", {"user": "x", "code": "123456"}, shared.admin):
            connection.send(bytes([byte]))
        assert connection.read().status == 200


def test_a_client_that_hangs_up_midway_harms_nobody(shared):
    data = request_bytes("POST", "/v1/verify", {"user": "ada", "code": "123456"}, shared.admin)
    for end in range(0, len(data) + 1, 7):
        with shared.connect() as connection:
            connection.send(data[:end])
    for _ in range(50):
        connection = shared.connect()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # resets
        connection.send(data * 20)
        connection.close()


# ------------------------------------------------------------------------------------------------------- slow and many


@pytest.fixture
def strict(make_server):
    return make_server(config=f"[server]\nheader_timeout_s = {HEADER_TIMEOUT_S}\nbody_timeout_s = {HEADER_TIMEOUT_S}\n"
                              f"idle_timeout_s = 4\nwrite_timeout_s = 2\n").start()


def drip(connection, data, every_s=1.0, deadline_s=30):
    """Sends a byte a second until the server closes; returns after how many seconds it did, and its answer if any."""
    begin = time.monotonic()
    received = b""
    for byte in data:
        try:
            connection.send(bytes([byte]))
        except OSError:
            break
        if select.select([connection.socket], [], [], every_s)[0]:
            try:
                part = connection.socket.recv(65536)
            except OSError:
                break
            if not part:
                break
            received += part
        assert time.monotonic() - begin < deadline_s, "never closed"
    return time.monotonic() - begin, received


@pytest.mark.parametrize("part", ["header", "body"])
def test_one_byte_a_second_is_closed(strict, part):
    data = request_bytes("POST", "/v1/verify", {"user": "ada", "code": "123456"}, strict.admin)
    with strict.connect() as connection:
        if part == "body":
            head, _, data = data.partition(b"\r\n\r\n")
            connection.send(head + b"\r\n\r\n")
        took_s, received = drip(connection, data)
    assert HEADER_TIMEOUT_S - 1 <= took_s <= HEADER_TIMEOUT_S + 5
    assert received == b"" or received.startswith(b"HTTP/1.1 408")
    strict.assert_healthy()


def test_a_connection_that_says_nothing_is_closed(strict):
    with strict.connect() as silent, strict.connect() as served:
        assert served.request("GET", "/healthz").status == 200
        assert silent.closed_by_server(within_s=15)
        assert served.closed_by_server(within_s=15)
    strict.assert_healthy()


@pytest.mark.parametrize("path", ["/v1/policy", "/v1/verify"])
def test_a_client_that_never_reads_takes_no_memory_and_is_closed(strict, path):
    ask = ("POST", path, {"user": strict.register("reads-not").user, "code": "1234567"}) if path == "/v1/verify" else ("GET", path, None)
    # The connection that asked for readiness may still be closing; an idle one is cut after 4 s.
    eventually(lambda: len({(time.sleep(0.1), strict.open_sockets())[1] for _ in range(5)}) == 1, 20, "a quiet server")
    before, sockets_before = strict.resident_bytes(), strict.open_sockets()
    request = request_bytes(*ask, strict.admin) * 100
    with strict.connect() as connection:
        eventually(lambda: strict.open_sockets() > sockets_before, 5, "the connection")
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.setblocking(False)
        sent, grown, end = 0, 0, time.monotonic() + 40
        # The client's kernel may learn of it much later: it waits longer and longer between its probes.
        while strict.open_sockets() > sockets_before:
            assert time.monotonic() < end, "never closed"
            try:
                sent += connection.socket.send(request)
            except BlockingIOError:
                select.select([], [connection.socket], [], 0.1)
            except OSError:
                pass
            grown = max(grown, strict.resident_bytes() - before)
            assert sent < 1 << 30
    assert grown < 64 * MEBIBYTE
    strict.assert_healthy()


def test_ten_thousand_idle_connections_cost_little_and_keep_nobody_out(make_server):
    wanted = 10000
    if open_files_limit(wanted + 2000) < wanted + 1000:
        pytest.skip("the limit of open files here is below ten thousand connections")
    server = make_server(config="[server]\nidle_timeout_s = 120\nheader_timeout_s = 60\n").start()
    assert server.call("GET", "/v1/users").status == 200
    before = server.resident_bytes()
    idle = []
    try:
        for i in range(wanted):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            if i % 2:
                connection.send(b"POST /v1/verify HTT")  # half of them stop in the middle of a request
            idle.append(connection)
        answers = []
        for _ in range(20):
            begin = time.monotonic()
            with server.connect() as connection:
                assert connection.request("GET", "/healthz").status == 200
                assert connection.verify("nobody", "123456")["result"] == "no_device"
            answers.append(time.monotonic() - begin)
        assert sorted(answers)[10] < 0.5
        assert server.resident_bytes() - before < 150 * MEBIBYTE
        readable = select.poll()
        for connection in idle:
            readable.register(connection, select.POLLIN)
        assert len(readable.poll(0)) == 0, "idle connections were closed"
    finally:
        for connection in idle:
            connection.close()
    server.assert_healthy()
    server.stop()


def test_a_storm_of_hostile_clients_leaves_honest_ones_alone(make_server):
    server = make_server().start()
    phones = [server.register(f"honest{i}", step_back=1) for i in range(10)]
    before = server.resident_bytes()
    over = threading.Event()
    messages = [data.replace(b"KEY", server.admin.encode()) for data in MESSAGES.values()]

    def storm(k):
        i = k
        while not over.is_set():
            i += 1
            try:
                with server.connect() as connection:
                    connection.send(messages[i % len(messages)])
                    if i % 2:
                        connection.socket.recv(1000)
            except OSError:
                pass

    threads = [threading.Thread(target=storm, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    try:
        for phone in phones:
            at = time.time()
            result = server.result(phone.user, phone.code(at + 30))
            assert result == "accepted"
            assert server.result(phone.user, phone.code(at + 30)) == "replayed"
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert server.resident_bytes() - before < 64 * MEBIBYTE
    server.assert_healthy()
