"""More than a loop can take on at once: what is beyond is refused at once with 503, in its place among the answers, and nothing is lost."""
import hashlib
import re

import pytest

from watchword import Phone, in_parallel, request_bytes, unbase32

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


def test_hundreds_of_durable_answers_may_be_outstanding_on_a_connection_and_stand_in_order(timed):
    """More than the 64 that other requests may have. Each person's code twice, some hundred requests apart: accepted, then replayed."""
    count, apart = 1000, 300
    timed.clock.freeze(timed.now())
    timed.stop()
    phones = [Phone(hashlib.sha1(b"deep %d" % i).digest(), user=f"deep{i}") for i in range(count)]
    timed.import_phones(phones)
    timed.start()
    timed.batch([{"user": phone.user, "code": "1234567"} for phone in phones])  # nobody's, but then all of them are in memory
    asked = []
    for i in range(count + apart):
        if i < count:
            asked.append((phones[i], "accepted"))
        if i >= apart:
            asked.append((phones[i - apart], "replayed"))
    with timed.connect() as connection:
        connection.send(b"".join(request_bytes("POST", "/v1/verify", {"user": phone.user, "code": phone.code(timed.now())}, timed.admin)
                                 for phone, _ in asked))
        seen = []
        for phone, _ in asked:
            answer = connection.read()
            if answer.status == 503:  # a slow disk, or a slow machine
                seen.append(None)
                continue
            assert answer.status == 200 and answer.json()["user"] == phone.user, "answers stand in the order of the requests"
            seen.append(answer.json()["result"])
    accepted = set()
    for (phone, _), result in zip(asked, seen):
        if result == "accepted":
            assert phone.user not in accepted, "accepted twice"
            accepted.add(phone.user)
        elif result is not None:
            assert result == "replayed" and phone.user in accepted
    assert len(accepted) > 64
    if None not in seen:
        assert seen == [result for _, result in asked]


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
