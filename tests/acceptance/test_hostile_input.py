"""What nobody should send: a clear 4xx or a closed connection, and a server that is none the worse for it."""
import json
import select
import socket
import threading
import time

import pytest

from watchword import (
    Closed,
    Connection,
    assert_problem,
    eventually,
    open_files_limit,
    path_of,
    request_bytes,
)

HEADER_TIMEOUT_S = 2
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def phone(shared):
    return shared.register("ada", step_back=1)


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


# ------------------------------------------------------------------------------------------------------------ the body

FULL_WIDTH = "１２３４５６"
CODES = {
    "leading space": " 123456",
    "inner space": "123 456",
    "trailing space": "123456 ",
    "trailing newline": "123456\n",
    "sign": "+123456",
    "minus": "-12345",
    "full-width digits": FULL_WIDTH,
    "Arabic-Indic digits": "١٢٣٤٥٦",
    "five digits": "12345",
    "nine digits": "123456789",
    "empty": "",
    "hexadecimal": "0x1234",
    "exponent": "1e5000",
    "decimal point": "1234.6",
    "letters": "abcdef",
    "NUL inside": "123\x00456",
    "NUL behind": "123456\x00",
    "combining mark": "123456\u0301",
    "zero-width space": "123\u200b456",
    "sixty kilobytes": "1" * 60000,
}
NOT_TEXTS = {"number": 123456, "float": 123456.0, "true": True, "null": None, "list": ["123456"], "object": {"code": "123456"}}


@pytest.mark.parametrize("code", CODES.values(), ids=CODES.keys())
def test_a_code_that_is_not_exactly_digits_is_refused(still_usable, phone, code):
    answer = still_usable.request("POST", "/v1/verify", {"user": "ada", "code": code})
    assert_problem(answer, range(400, 500), "code")


@pytest.mark.parametrize("code", ["1234567", "12345678"])
def test_a_code_of_another_length_than_the_devices_is_refused(still_usable, phone, code):
    assert_problem(still_usable.request("POST", "/v1/verify", {"user": "ada", "code": code}), range(400, 500), "code")


@pytest.mark.parametrize("code", list(CODES.values()) + ["1234567"], ids=list(CODES) + ["seven digits"])
def test_the_same_holds_for_confirmation(shared, still_usable, code):
    begun = shared.begin(f"confirm-{abs(hash(code))}")
    path = path_of(f"confirm-{abs(hash(code))}", "devices", begun["id"], "confirm")
    assert_problem(still_usable.request("POST", path, {"code": code}), range(400, 500), "code")


@pytest.mark.parametrize("value", NOT_TEXTS.values(), ids=NOT_TEXTS.keys())
@pytest.mark.parametrize("field", ["user", "code", "device", "request_id"])
def test_a_field_of_the_wrong_type_is_refused(still_usable, phone, field, value):
    body = {"user": "ada", "code": "123456", field: value}
    assert_problem(still_usable.request("POST", "/v1/verify", body), range(400, 500), field)


def test_a_megabyte_of_digits_is_too_large(shared, phone):
    with shared.connect() as connection:
        try:
            answer = connection.request("POST", "/v1/verify", {"user": "ada", "code": "1" * MEBIBYTE})
        except (Closed, OSError):
            pytest.fail("no answer: the refusal must arrive before the connection closes")
        assert_problem(answer, 413)


USERS = {
    "empty": '""',
    "257 bytes": json.dumps("x" * 257),
    "128 characters of 3 bytes": json.dumps("名" * 128, ensure_ascii=False),
    "NUL": '"a\\u0000b"',
    "line break": '"a\\nb"',
    "delete": '"a\\u007fb"',
    "C1 control": '"a\\u0085b"',
    "lone surrogate": '"a\\ud800b"',
    "raw broken UTF-8": b'"a\xffb"',
    "overlong slash": b'"a\xc0\xafb"',
    "encoded surrogate": b'"a\xed\xa0\x80b"',
    "cut sequence": b'"a\xe2\x82"',
}


@pytest.mark.parametrize("user", USERS.values(), ids=USERS.keys())
def test_a_user_that_cannot_be_is_refused(still_usable, user):
    user = user if isinstance(user, bytes) else user.encode()
    body = b'{"user":' + user + b',"code":"123456"}'
    problem = assert_problem(still_usable.request("POST", "/v1/verify", body), range(400, 500))
    assert problem.get("field") in ("user", None), problem


@pytest.mark.parametrize("user", ["a/b", "a%2Fb", "../../etc/passwd", "'; DROP TABLE users; --", "x" * 256, "ß" * 128, "."])
def test_a_strange_but_possible_user_is_just_a_user(still_usable, user):
    assert still_usable.verify(user, "123456") == {"result": "no_device", "user": user}


BODIES = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"hello",
    "cut off": b'{"user":"ada","code":"123456"',
    "behind it more": b'{"user":"ada","code":"123456"}{"x":1}',
    "trailing comma": b'{"user":"ada","code":"123456",}',
    "comment": b'{"user":"ada",/* */"code":"123456"}',
    "single quotes": b"{'user':'ada','code':'123456'}",
    "a text": b'"ada"',
    "a list": b'[{"user":"ada","code":"123456"}]',
    "a number": b"1",
    "null": b"null",
    "byte order mark": b'\xef\xbb\xbf{"user":"ada","code":"123456"}',
    "UTF-16": '{"user":"ada","code":"123456"}'.encode("utf-16"),
    "NaN": b'{"user":"ada","code":NaN}',
    "a thousand lists": b"[" * 1000 + b"]" * 1000,
    "a thousand objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "a thousand lists in a field": b'{"user":' + b"[" * 1000 + b"]" * 1000 + b',"code":"123456"}',
    "thirty thousand open lists": b"[" * 30000,
    "a huge number": b'{"user":"ada","code":' + b"9" * 30000 + b"}",
    "a huge name": b'{"' + b"x" * 30000 + b'":1}',
    "control character in a text": b'{"user":"a\x01b","code":"123456"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("path", ["/v1/verify", "/v1/verify/batch", "/v1/users/ada/devices", "/v1/policy", "/v1/api-keys"])
def test_a_broken_body_is_refused(still_usable, path, body):
    method = "PUT" if path == "/v1/policy" else "POST"
    assert_problem(still_usable.request(method, path, body), range(400, 500))


FIELDS = [
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "colour": "red"}, "colour"),
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "User": "ada"}, "User"),
    ("POST", "/v1/verify", {"user": "ada"}, "code"),
    ("POST", "/v1/verify", {"code": "123456"}, "user"),
    ("POST", "/v1/verify", {}, None),
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "device": "x"}, "device"),
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "device": "../../../../a"}, "device"),
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "request_id": ""}, "request_id"),
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "request_id": "x" * 5000}, "request_id"),
    ("POST", "/v1/verify", {"user": "ada", "code": "123456", "request_id": "a\nb"}, "request_id"),
    ("POST", "/v1/verify", b'{"user":"ada","user":"bob","code":"123456"}', "user"),
    ("POST", "/v1/verify", b'{"user":"ada","code":"123456","code":"123456"}', "code"),
    ("POST", "/v1/verify", b'{"user":"ada","\\u0075ser":"bob","code":"123456"}', "user"),
    ("POST", "/v1/verify/batch", {}, "items"),
    ("POST", "/v1/verify/batch", {"items": {}}, "items"),
    ("POST", "/v1/verify/batch", {"items": []}, "items"),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada", "code": "123456"}] * 1001}, "items"),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada", "code": "123456"}, {"user": "ada"}]}, "items[1].code"),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada", "code": "12 456"}]}, "items[0].code"),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada", "code": "123456", "x": 1}]}, "items[0].x"),
    ("POST", "/v1/verify/batch", {"items": [1]}, None),
    ("POST", "/v1/verify/batch", {"items": [{"user": "a", "code": "123456"}], "more": 1}, "more"),
    ("POST", "/v1/users/ada/devices", {"name": "x", "status": "active"}, "status"),
    ("POST", "/v1/users/ada/devices", b'{"name":"x","name":"y"}', "name"),
    ("POST", "/v1/api-keys", {"name": "x", "scopes": ["root"]}, "scopes"),
    ("POST", "/v1/api-keys", {"name": "x", "scopes": []}, "scopes"),
    ("POST", "/v1/api-keys", {"name": "x", "scopes": "admin"}, "scopes"),
    ("POST", "/v1/api-keys", {"name": "", "scopes": ["read"]}, "name"),
    ("POST", "/v1/api-keys", {"name": "x", "scopes": ["read"], "key": "mine"}, "key"),
]


@pytest.mark.parametrize("method,path,body,field", FIELDS, ids=[str(i) for i in range(len(FIELDS))])
def test_a_field_at_fault_is_named(still_usable, method, path, body, field):
    assert_problem(still_usable.request(method, path, body), range(400, 500), field)


@pytest.mark.parametrize("size,status", [(64 * 1024, range(400, 413)), (64 * 1024 + 1, 413), (9 * MEBIBYTE, 413)])
def test_a_body_may_have_64_kib(shared, size, status):
    start = b'{"user":"ada","code":"'
    with shared.connect() as connection:
        answer = connection.request("POST", "/v1/verify", start + b"1" * (size - len(start) - 2) + b'"}')
        assert_problem(answer, status)


def test_a_batch_may_have_8_mib(shared):
    item = {"user": "u" * 256, "code": "123456", "request_id": "r" * 128}
    padded = json.dumps({"items": [item] * 1000}).encode()
    with shared.connect(timeout_s=60) as connection:
        body = padded + b" " * (8 * MEBIBYTE - len(padded))
        answer = connection.request("POST", "/v1/verify/batch", body)
        assert answer.status == 200 and len(answer.json()["results"]) == 1000
        assert_problem(connection.request("POST", "/v1/verify/batch", body + b" "), 413)


def test_a_body_that_only_claims_to_be_huge_is_refused_at_once(shared):
    with shared.connect() as connection:
        head = request_bytes("POST", "/v1/verify", b"", shared.admin, {"Content-Length": str(10**12)})
        connection.send(head)
        assert_problem(connection.read(), 413)


# ----------------------------------------------------------------------------------------------- path, method, type, key

PATHS = [
    ("/v1/users//devices", range(400, 500)),
    ("/v1/users/%00/devices", 400),
    ("/v1/users/a%00b", 400),
    ("/v1/users/%FF", 400),
    ("/v1/users/%C0%AF", 400),
    ("/v1/users/" + "x" * 257, 400),
    ("/v1/users/a%0Ab", 400),
    ("/v1/users/%", 400),
    ("/v1/users/%G1", 400),
    ("/v1/users/a/b", 404),
    ("/v1/users/a%2Fb", 404),
    ("/v1/users/nobody/devices", 404),
    ("/v1/users/nobody/devices/../../ada", range(400, 500)),
    ("/v1/users/nobody/devices/0123456789abcdef", 404),
    ("/v1/users/nobody/devices/not-an-id", range(400, 500)),
    ("/v1/nothing", 404),
    ("/v2/verify", 404),
    ("/", 404),
    ("//", 404),
    ("/v1/users/", range(400, 500)),
    ("/V1/users", 404),
    ("/v1/users?limit=1&limit=2", 400),
    ("/v1/policy?x=1", 400),
    ("/etc/passwd", 404),
    ("/../../etc/passwd", range(400, 500)),
    ("/%2e%2e/%2e%2e/etc/passwd", range(400, 500)),
]


@pytest.mark.parametrize("path,status", PATHS, ids=[path[:40] for path, _ in PATHS])
def test_a_wrong_path_is_refused(still_usable, path, status):
    assert_problem(still_usable.request("GET", path), status)


METHODS = [
    ("GET", "/v1/verify", {"POST"}),
    ("PUT", "/v1/verify", {"POST"}),
    ("DELETE", "/v1/verify/batch", {"POST"}),
    ("TRACE", "/v1/verify", {"POST"}),
    ("OPTIONS", "/v1/verify", {"POST"}),
    ("POST", "/v1/users", {"GET"}),
    ("PUT", "/v1/users/ada", {"GET", "DELETE"}),
    ("DELETE", "/v1/users/ada/devices", {"GET", "POST"}),
    ("GET", "/v1/users/ada/devices/0123456789abcdef/confirm", {"POST"}),
    ("POST", "/v1/policy", {"GET", "PUT"}),
    ("TRACE", "/v1/policy", {"GET", "PUT"}),
    ("PATCH", "/v1/api-keys", {"GET", "POST"}),
    ("POST", "/healthz", {"GET"}),
    ("DELETE", "/readyz", {"GET"}),
    ("BREW", "/v1/policy", {"GET", "PUT"}),
]


@pytest.mark.parametrize("method,path,allowed", METHODS)
def test_a_wrong_method_is_refused_and_says_what_is_allowed(shared, method, path, allowed):
    with shared.connect() as connection:
        answer = connection.request(method, path)
        if method == "BREW" and answer.status in (400, 501):
            return  # no method that HTTP knows
        assert_problem(answer, 405)
        assert {one.strip() for one in answer.headers["allow"].split(",")} - {"HEAD", "OPTIONS"} == allowed
        assert connection.request("GET", "/healthz").status == 200


def test_head_is_get_without_the_body(still_usable):
    for path in ("/healthz", "/v1/policy", "/v1/users"):
        answer = still_usable.request("HEAD", path)
        assert answer.status == 200 and answer.body == b""


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonx",
                                        "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("method,path,body", [
    ("POST", "/v1/verify", {"user": "ada", "code": "123456"}),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada", "code": "123456"}]}),
    ("POST", "/v1/users/typed/devices", {"name": "x"}),
])
def test_a_body_of_another_media_type_is_refused(still_usable, method, path, body, media_type):
    answer = still_usable.request(method, path, body, {"Content-Type": media_type})
    assert_problem(answer, 415)


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_by_any_of_its_names_is_taken(still_usable, media_type):
    answer = still_usable.request("POST", "/v1/verify", {"user": "x", "code": "123456"}, {"Content-Type": media_type})
    assert answer.status == 200, answer


KEYED = [
    ("POST", "/v1/verify", {"user": "ada", "code": "123456"}, {"verify"}),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada", "code": "123456"}]}, {"verify"}),
    ("GET", "/v1/users", None, {"read"}),
    ("GET", "/v1/users/nobody", None, {"read"}),
    ("GET", "/v1/users/nobody/requirement", None, {"verify", "read"}),
    ("POST", "/v1/users/keyed/devices", {"name": ""}, {"enroll"}),
    ("DELETE", "/v1/users/nobody", None, set()),
    ("POST", "/v1/users/nobody/unlock", None, set()),
    ("PUT", "/v1/policy", {}, set()),
    ("GET", "/v1/api-keys", None, set()),
    ("POST", "/v1/api-keys", {}, set()),
]


@pytest.fixture(scope="module")
def keys(shared):
    return {scope: shared.new_key(scope)["key"] for scope in ("verify", "enroll", "read", "audit", "metrics", "admin")}


@pytest.mark.parametrize("method,path,body,scopes", KEYED, ids=[f"{one[0]} {one[1]}" for one in KEYED])
def test_every_scope_opens_its_doors_and_no_others(shared, keys, method, path, body, scopes):
    with shared.connect() as connection:
        connection.key = None
        answer = connection.request(method, path, body)
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        for scope, key in keys.items():
            answer = connection.request(method, path, body, key=key)
            if scope in scopes or scope == "admin":
                assert answer.status not in (401, 403), (scope, answer)
            else:
                assert_problem(answer, 403)


@pytest.mark.parametrize("header", [
    "", "Bearer", "Bearer ", "Bearer x", "Basic YWRtaW46YWRtaW4=", "bearer", "Bearer ww_0000000000000000_" + "A" * 43,
    "Bearer " + "A" * 5000, "Bearer \xff\xfe",
])
def test_what_is_no_key_opens_nothing(shared, header):
    with shared.connect() as connection:
        connection.key = None
        for method, path in (("POST", "/v1/verify"), ("GET", "/v1/users")):
            body = {"user": "ada", "code": "123456"} if method == "POST" else None
            assert_problem(connection.request(method, path, body, {"Authorization": header}), 401)


def test_a_key_with_a_changed_character_opens_nothing(shared):
    key = shared.new_key("read")["key"]
    for at in range(len(key)):
        other = "B" if key[at] != "B" else "C"
        assert shared.call("GET", "/v1/users", key=key[:at] + other + key[at + 1 :]).status == 401, at
    assert shared.call("GET", "/v1/users", key=key + "A").status == 401
    assert shared.call("GET", "/v1/users", key=key[:-1]).status == 401
    assert shared.call("GET", "/v1/users", key=key).status == 200


def test_a_revoked_key_is_refused_at_once_on_connections_that_are_open(shared):
    made = shared.new_key("verify", "read")
    connections = [shared.connect(key=made["key"]) for _ in range(8)]
    try:
        for connection in connections:
            assert connection.verify("nobody", "123456")["result"] == "no_device"
        assert shared.call("DELETE", f"/v1/api-keys/{made['id']}").status == 204
        for connection in connections:
            assert_problem(connection.request("POST", "/v1/verify", {"user": "nobody", "code": "123456"}), 401)
            assert_problem(connection.request("GET", "/v1/users"), 401)
    finally:
        for connection in connections:
            connection.close()


def test_the_last_admin_key_cannot_be_revoked(server):
    listed = server.expect(200, "GET", "/v1/api-keys")["api_keys"]
    assert len(listed) == 1 and "key" not in listed[0] and listed[0]["scopes"] == ["admin"]
    assert_problem(server.call("DELETE", f"/v1/api-keys/{listed[0]['id']}"), 409)
    assert server.call("GET", "/v1/api-keys").status == 200


def test_health_needs_no_key(shared):
    for path in ("/healthz", "/readyz"):
        with Connection(shared.port) as connection:
            assert connection.request("GET", path).status == 200


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


def test_a_client_that_never_reads_takes_no_memory_and_is_closed(strict):
    # The connection that asked for readiness may still be closing; an idle one is cut after 4 s.
    eventually(lambda: len({(time.sleep(0.1), strict.open_sockets())[1] for _ in range(5)}) == 1, 20, "a quiet server")
    before, sockets_before = strict.resident_bytes(), strict.open_sockets()
    request = request_bytes("GET", "/v1/policy", None, strict.admin) * 100
    with strict.connect() as connection:
        eventually(lambda: strict.open_sockets() > sockets_before, 5, "the connection")
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.setblocking(False)
        sent, grown, end = 0, 0, time.monotonic() + 20
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
