"""More than a loop can take on at once: what is beyond is refused at once with 503, in its place among the answers, and nothing is lost."""
import contextlib
import hashlib
import re
import threading

import pytest

from watchword import Closed, Phone, in_parallel, request_bytes, unbase32

CONNECTIONS, REQUESTS = 64, 400


def import_two_each(server):
    secret = unbase32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    server.stop()
    server.import_phones([Phone(secret, user=f"u{i}-{k}") for i in range(CONNECTIONS) for k in range(2)])
    server.start()
    for i in range(CONNECTIONS):
        for k in range(2):
            assert server.result(f"u{i}-{k}", "000000") in ("rejected", "accepted", "locked")


def refused_so_far(server):
    text = server.call("GET", "/metrics").body.decode()
    return (int(re.search(r'watchword_verifications_total\{result="overloaded"\} (\d+)', text)[1]),
            sum(int(n) for n in re.findall(r'watchword_http_requests_total\{(?=[^}]*route="/v1/verify")(?=[^}]*status="503")[^}]*\} (\d+)', text)))


@pytest.mark.parametrize("headers", [{}, {"X-Note": "content-length: 5"}], ids=["usual", "whose length is not alone"])
def test_a_flood_is_answered_in_order_and_the_rest_refused_with_retry_after(server, headers):
    import_two_each(server)

    asked = [[f"u{i}-{n * n % 3 % 2}" for n in range(REQUESTS)] for i in range(CONNECTIONS)]
    floods = [b"".join(request_bytes("POST", "/v1/verify", {"user": user, "code": "000000"}, server.admin, headers) for user in users) for users in asked]
    connections = [server.connect() for _ in range(CONNECTIONS)]

    def flood(i):
        connections[i].send(floods[i])

    def refused_of(users, connection):
        refused = 0
        for user in users:
            answer = connection.read()
            if answer.status == 503:
                refused += 1
                assert answer.headers["retry-after"] == "1" and answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["type"] == "urn:watchword:problem:overloaded" and answer.json()["status"] == 503
            else:
                assert answer.status == 200 and answer.json()["user"] == user, "answers stand in the order of the requests"
        connection.close()
        return refused

    in_parallel(CONNECTIONS, flood)
    refused = sum(refused_of(users, connection) for users, connection in zip(asked, connections))
    assert 0 < refused < CONNECTIONS * REQUESTS, "some are answered, some refused"
    assert refused_so_far(server) == (refused, refused)
    # Back to normal at once.
    for i in range(CONNECTIONS):
        assert server.call("POST", "/v1/verify", {"user": f"u{i}-0", "code": "000000"}).status == 200
    assert refused_so_far(server) == (refused, refused)


def send_until(stopped, connection, requests):
    """A hundred at a time, and no more once it is `stopped`: a server that goes reads what lies there, but not for ever."""
    with contextlib.suppress(OSError):
        for at in range(0, len(requests), 100):
            if stopped.is_set():
                return
            connection.send(b"".join(requests[at:at + 100]))


def groups_so_far(server):
    return int(re.search(r"watchword_commit_duration_seconds_count (\d+)", server.call("GET", "/metrics").body.decode())[1])


def phones_in_memory(timed, count):
    timed.clock.freeze(timed.now())
    timed.stop()
    phones = [Phone(hashlib.sha1(b"deep %d" % i).digest(), user=f"deep{i}") for i in range(count)]
    timed.import_phones(phones)
    timed.start()
    for at in range(0, count, 1000):  # nobody's code, but then all of them are in memory
        timed.batch([{"user": phone.user, "code": "1234567"} for phone in phones[at:at + 1000]])
    return phones


def test_pipelined_codes_are_accepted_once_and_in_order_more_than_64_at_a_time(timed):
    """Each person's code twice, some hundred requests apart: accepted, then replayed. As many acceptances as are outstanding share a sync."""
    count, apart = 6000, 300
    phones = phones_in_memory(timed, count)
    asked = []
    for i in range(count + apart):
        if i < count:
            asked.append((phones[i], "accepted"))
        if i >= apart:
            asked.append((phones[i - apart], "replayed"))
    flood = b"".join(request_bytes("POST", "/v1/verify", {"user": phone.user, "code": phone.code(timed.now())}, timed.admin) for phone, _ in asked)
    before = groups_so_far(timed)
    with timed.connect() as connection:
        sender = threading.Thread(target=connection.send, args=(flood,))
        sender.start()
        for phone, result in asked:
            answer = connection.read()
            assert answer.status == 200, answer.json()
            assert answer.json()["user"] == phone.user, "answers stand in the order of the requests"
            assert answer.json()["result"] == result
        sender.join()
    # 70 to 80; where no more than 64 may be outstanding, 250 to 265.
    assert groups_so_far(timed) - before < 180


def test_what_is_outstanding_when_the_server_stops_is_answered_and_nothing_else_was_judged(timed):
    count, until_stop = 20_000, 400  # after some two hundred answers 256 may be outstanding
    phones = phones_in_memory(timed, count)
    flood = [request_bytes("POST", "/v1/verify", {"user": phone.user, "code": phone.code(timed.now())}, timed.admin) for phone in phones]
    answered, faults, stopped = 0, [], threading.Event()

    def stop():
        try:
            timed.stop()
        except BaseException as fault:
            faults.append(fault)

    stopper = threading.Thread(target=stop)
    with timed.connect() as connection:
        sender = threading.Thread(target=send_until, args=(stopped, connection, flood))
        sender.start()
        with contextlib.suppress(Closed):
            while True:
                answer = connection.read()
                assert answer.status == 200 and answer.json()["user"] == phones[answered].user and answer.json()["result"] == "accepted"
                answered += 1
                if answered == until_stop:
                    stopped.set()
                    stopper.start()
        assert answered >= until_stop
        stopper.join()
        sender.join()
    assert not faults and answered < count
    timed.start()
    asked = [timed.batch([{"user": phone.user, "code": phone.code(timed.now())} for phone in phones[at:at + 1000]]) for at in range(0, count, 1000)]
    results = [one["result"] for answer in asked for one in answer]
    assert results == ["replayed"] * answered + ["accepted"] * (count - answered)


def test_batches_side_by_side_are_taken(server):
    import_two_each(server)
    items = [{"user": f"u{i % CONNECTIONS}-0", "code": "000000"} for i in range(1000)]

    def ask(_):
        with server.connect() as connection:
            connection.send(request_bytes("POST", "/v1/verify/batch", {"items": items}, server.admin))
            return connection.read()

    answers = in_parallel(3, ask)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert all(len(answer.json()["results"]) == 1000 for answer in answers)
