"""Paths, methods, media types and keys that nobody should send: a clear 4xx, and a server that is none the worse for it."""
import pytest

from hostile import still_usable, unharmed  # noqa: F401: fixtures
from watchword import Connection, assert_problem

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
