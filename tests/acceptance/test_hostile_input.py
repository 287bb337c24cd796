"""Bodies that nobody should send: a clear 4xx, and a server that is none the worse for it."""
import json

import pytest

from hostile import MEBIBYTE, still_usable, unharmed  # noqa: F401: fixtures
from watchword import Closed, assert_problem, path_of, request_bytes


@pytest.fixture(scope="module")
def phone(shared):
    return shared.register("ada", step_back=1)


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
