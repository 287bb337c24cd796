"""The OpenAPI document is true: every operation is driven from it, and every answer is checked against its schema."""
import base64
import json
import re
import subprocess
import time

import jsonschema
import pytest

from watchword import Server, assert_problem, base32, have, hotp, steady, unbase32


def each_name_once(pairs):
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"said twice in one object: {sorted(name for name in names if names.count(name) > 1)}"
    return dict(pairs)


METHODS = ("get", "post", "put", "patch", "delete")


class Described:
    """A server and its document: answers are checked as they come."""

    def __init__(self, server):
        self.server = server
        answer = server.call("GET", "/openapi.json", key="no-key-is-needed")
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        self.document = json.loads(answer.body, object_pairs_hook=each_name_once)
        self.operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in self.document["paths"].items() for method, operation in methods.items()}
        self.seen = set()  # (operation, status)

    def resolved(self, thing):
        while "$ref" in thing:
            part = self.document
            for name in thing["$ref"].removeprefix("#/").split("/"):
                part = part[name]
            thing = part
        return thing

    def check(self, schema, value):
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)

    def path(self, template, given):
        from urllib.parse import quote
        return re.sub(r"\{(\w+)\}", lambda name: quote(given.get(name[1], "nobody"), safe=""), template)

    def call(self, operation_id, status, body=None, bearer=None, query="", headers=None, **given):
        """One request of the operation; its answer has this status and is what the document says."""
        method, template, operation = self.operations[operation_id]
        if body is not None and status < 400 and isinstance(body, (dict, list)):
            media = next(iter(operation["requestBody"]["content"].values()))
            self.check(media["schema"], body)
        answer = self.server.call(method.upper(), self.path(template, given) + query, body, bearer, headers)
        assert answer.status == status, (operation_id, answer)
        if answer.headers.get("connection") == "close":
            self.server._forget_connection()
        assert str(status) in operation["responses"], f"{operation_id} answers {status}, which the document does not know"
        response = self.resolved(operation["responses"][str(status)])
        for name, header in response.get("headers", {}).items():
            assert name.lower() in answer.headers, (operation_id, name)
        if "content" not in response:
            assert answer.body == b"" and "content-type" not in answer.headers, (operation_id, answer)
        else:
            media = answer.headers["content-type"].split(";")[0]
            assert media in response["content"], (operation_id, answer)
            schema = response["content"][media]["schema"]
            if media.endswith("json") and media != "application/x-ndjson":
                self.check(schema, answer.json())
            elif media == "application/x-ndjson":
                for line in answer.body.splitlines():
                    self.check(schema, json.loads(line))
        self.seen.add((operation_id, status))
        if not answer.body:
            return None
        return answer.json() if answer.headers["content-type"].endswith("/json") else answer.body


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    server = Server(folder / "server", config=f'[backup]\ndir = "{folder}/backups"\n').start()
    described = Described(server)
    yield described
    server.end()
    driven = {operation for operation, status in described.seen if status < 300}
    assert driven == set(described.operations), "every operation was driven, and answered"
    documented = {(name, int(status)) for name, (_, _, operation) in described.operations.items()
                  for status in operation["responses"]}
    # What needs a server in trouble, or a client that waits, has tests of its own.
    left = {one for one in documented - described.seen if one[1] not in (408, 503)}
    assert not left, f"refusals that nobody saw: {sorted(left)}"


def registered(api, user, name="phone"):
    """A device that is active, its secret, and the step that is used up."""
    begun = api.call("beginRegistration", 201, {"name": name}, user=user)
    step = steady() - 1
    api.call("confirmRegistration", 200, {"code": hotp(unbase32(begun["secret"]), step)}, user=user, device=begun["id"])
    return begun["id"], unbase32(begun["secret"]), step


def test_the_document_is_openapi_3_1_and_its_schemas_and_examples_are_good(api):
    document = api.document
    assert document["openapi"].startswith("3.1.") and document["info"]["version"][0].isdigit()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)

    def walk(thing):
        if isinstance(thing, dict):
            if "$ref" in thing:
                api.resolved(thing)
            if "schema" in thing and "example" in thing and not isinstance(thing["example"], str):
                api.check(thing["schema"], thing["example"])
            for part in thing.values():
                walk(part)
        elif isinstance(thing, list):
            for part in thing:
                walk(part)

    walk(document)
    for name, (method, path, operation) in api.operations.items():
        assert method in METHODS and operation["summary"] and operation["tags"]
        names = {api.resolved(one)["name"] for one in operation.get("parameters", []) if api.resolved(one)["in"] == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", path)), name
        secured = operation.get("security", document["security"])
        assert bool(secured) == (path.startswith("/v1/") or path == "/metrics"), name


def test_every_path_allows_the_documents_methods_and_no_other(api):
    for path, methods in api.document["paths"].items():
        if path.startswith("/v1/verify"):
            allowed = "POST"
        else:
            allowed = {name.upper() for name in methods} | ({"HEAD"} if "get" in methods else set())
        answer = api.server.call("OPTIONS", api.path(path, {"device": "0" * 15 + "1"}))
        assert_problem(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == (allowed if isinstance(allowed, set) else {allowed}), path


def test_what_every_operation_refuses(api):
    slow = api.server.expect(201, "POST", "/v1/api-keys", {"name": "slow", "scopes": ["admin"], "requests_per_second": 1})["key"]
    strangers = [api.server.new_key("metrics")["key"], api.server.new_key("verify")["key"]]
    for name, (method, path, operation) in api.operations.items():
        if operation.get("security") == []:
            continue
        content = operation.get("requestBody", {}).get("content", {})
        rows = "application/x-ndjson" in content
        headers = {"Content-Type": "application/x-ndjson"} if rows else None
        body = b"" if rows else {} if content else None
        given = {"user": "nobody", "device": "0" * 15 + "1", "key": "nothing"}
        api.call(name, 401, body, bearer="wrong", headers=headers, **given)
        api.call(name, 403, body, bearer=strangers[name == "showMetrics"], headers=headers, **given)
        api.call(name, 400, body, query="?no-such-parameter=1", headers=headers, **given)
        if content:
            api.call(name, 415, b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}, **given)
        if "404" in operation["responses"] and name not in ("showMetrics", "patchDevice", "confirmRegistration", "resyncDevice"):
            api.call(name, 404, body, headers=headers, **given)
        while api.server.call("GET", "/v1/policy", None, slow).status != 429:
            pass
        api.call(name, 429, body, bearer=slow, headers=headers, **given)
    one = {"user": "nobody", "device": "0" * 15 + "1"}
    api.call("patchDevice", 404, {"enabled": True}, **one)
    api.call("confirmRegistration", 404, {"code": "123456"}, **one)
    api.call("resyncDevice", 404, {"code1": "123456", "code2": "234567"}, **one)
    api.call("verify", 413, {"user": "ada", "code": "1" * 70_000})


def test_a_device_from_its_registration_to_its_end(api):
    begun = api.call("beginRegistration", 201, {"name": "phone"}, user="ada")
    secret, device = unbase32(begun["secret"]), begun["id"]
    one = {"user": "ada", "device": device}
    assert base64.b64decode(begun["qr"]["png"])[:4] == b"\x89PNG"
    assert api.call("showQrSvg", 200, **one).startswith(b"<") and api.call("showQrPng", 200, **one)[:4] == b"\x89PNG"
    api.call("beginRegistration", 409, {"name": "phone"}, user="ada")
    api.call("beginRegistration", 422, {"name": "other", "secret": base32(b"short")}, user="ada")
    api.call("resyncDevice", 409, {"code1": "123456", "code2": "234567"}, **one)
    api.call("patchDevice", 409, {"enabled": False}, **one)
    api.call("confirmRegistration", 422, {"code": "12345678"}, **one)
    step = steady()
    assert "clock_offset_s" in api.call("confirmRegistration", 200, {"code": hotp(secret, step - 20)}, **one)
    api.call("confirmRegistration", 200, {"code": hotp(secret, step - 1)}, **one)
    api.call("confirmRegistration", 409, {"code": "123456"}, **one)
    api.call("showQrSvg", 409, **one)
    api.call("showQrPng", 409, **one)
    api.call("showDevice", 200, **one)
    api.call("listDevices", 200, user="ada")
    assert api.call("verify", 200, {"user": "ada", "code": hotp(secret, step), "request_id": "r1"})["result"] == "accepted"
    assert api.call("verify", 200, {"user": "ada", "code": hotp(secret, step), "request_id": "r1"})["repeated"] is True
    assert api.call("verify", 200, {"user": "ada", "code": hotp(secret, step)})["result"] == "replayed"
    api.call("verify", 422, {"user": "ada", "code": "12345678"})
    resynced = api.call("resyncDevice", 200, {"code1": hotp(secret, step + 2), "code2": hotp(secret, step + 3)}, **one)
    assert resynced["result"] == "accepted"
    api.call("resyncDevice", 200, {"code1": "000000", "code2": "000001"}, **one)
    api.call("resyncDevice", 422, {"code1": "1234567", "code2": "2345678"}, **one)
    results = api.call("verifyBatch", 200, {"items": [{"user": "ada", "code": hotp(secret, step + 3)}, {"user": "x", "code": "123456"},
                                                      {"user": "ada", "code": "12345678"}]})["results"]
    assert [item["result"] for item in results] == ["replayed", "no_device", "invalid"]
    api.call("verifyBatch", 413, b'{"items":[' + b" " * (9 << 20) + b"]}", headers={"Content-Type": "application/json"})
    tag = {"If-Match": '"nothing"'}
    api.call("patchDevice", 200, {"name": "new phone", "enabled": False}, **one)
    api.call("patchDevice", 412, {"enabled": True}, headers=tag, **one)
    api.call("removeDevice", 412, headers=tag, **one)
    api.call("removeUser", 412, headers=tag, user="ada")
    api.call("removeDevice", 204, **one)
    api.call("removeUser", 204, user="ada")


def test_a_registration_that_ran_out(api):
    begun = api.call("beginRegistration", 201, {"name": "phone"}, user="late")
    one = {"user": "late", "device": begun["id"]}
    right = {hotp(unbase32(begun["secret"]), int(time.time()) // 30 + k) for k in range(-130, 131)}
    wrong = next(code for code in map(str, range(111111, 999999)) if code not in right)
    for _ in range(10):
        assert api.call("confirmRegistration", 200, {"code": wrong}, **one) == {"result": "rejected"}
    api.call("confirmRegistration", 410, {"code": wrong}, **one)
    api.call("showQrSvg", 410, **one)
    api.call("showQrPng", 410, **one)
    api.call("patchDevice", 410, {"name": "other"}, **one)


def test_the_longest_registration_has_a_picture(api):
    user = "\U00010348" * 64
    before = api.call("showPolicy", 200)
    api.call("replacePolicy", 200, {**before, "issuer": "\U00010348" * 64})
    begun = api.call("beginRegistration", 201, {"name": "phone", "secret": base32(bytes(range(256)))}, user=user)
    api.call("replacePolicy", 200, before)
    assert begun["qr"] is not None
    api.call("showQrPng", 200, user=user, device=begun["id"])


def test_people(api):
    registered(api, "bo")
    codes = api.call("makeRecoveryCodes", 201, user="bo")["codes"]
    used = api.call("verify", 200, {"user": "bo", "code": codes[0]})
    assert used["result"] == "accepted" and used["recovery_codes_left"] == 9
    assert api.call("verify", 200, {"user": "bo", "code": codes[0]})["result"] == "replayed"
    for _ in range(10):
        api.call("verify", 200, {"user": "bo", "code": codes[0][:-1] + ("H" if codes[0][-1] != "H" else "J")})
    locked = api.call("showUser", 200, user="bo")
    assert locked["locked"] and locked["retry_after_s"] >= 1
    assert api.call("verify", 200, {"user": "bo", "code": "123456"})["result"] in ("locked", "rejected")
    assert api.call("unlockUser", 200, user="bo")["locked"] is False
    assert api.call("showRequirement", 200, user="bo") == {"requirement": "verify"}
    assert api.call("showRequirement", 200, user="who?") == {"requirement": "register"}
    assert api.call("makePortalLink", 201, {"expires_in_s": 60}, user="bo")["url"].startswith("http")
    registered(api, "bob")
    page = api.call("listUsers", 200, query="?prefix=bo&limit=1")
    assert [one["user"] for one in page["users"]] == ["bo"]
    page = api.call("listUsers", 200, query=f"?prefix=bo&limit=1&cursor={page['next_cursor']}")
    assert [one["user"] for one in page["users"]] == ["bob"] and "next_cursor" not in page


def test_policy_keys_and_the_trail(api):
    policy = api.call("showPolicy", 200)
    api.call("replacePolicy", 200, policy)
    api.call("replacePolicy", 412, policy, headers={"If-Match": '"nothing"'})
    api.call("replacePolicy", 422, {**policy, "window_steps": 11})
    made = api.call("createApiKey", 201, {"name": "vpn", "scopes": ["verify"]})
    listed = api.call("listApiKeys", 200)["api_keys"]
    assert made["id"] in {one["id"] for one in listed}
    assert api.call("rotateApiKey", 200, {"overlap_s": 60}, key=made["id"])["key"] != made["key"]
    for _ in range(4):
        last = api.server.call("POST", f"/v1/api-keys/{made['id']}/rotate", {"overlap_s": 60}).status
    assert last == 409
    api.call("rotateApiKey", 409, {"overlap_s": 60}, key=made["id"])
    api.call("revokeApiKey", 204, key=made["id"])
    admins = [one["id"] for one in listed if "admin" in one["scopes"]]
    own = api.server.admin.split("_")[1]
    for other in admins:
        if other != own:
            api.call("revokeApiKey", 204, key=other)
    api.call("revokeApiKey", 409, key=own)
    page = api.call("listAudit", 200, query="?limit=2")
    assert len(page["entries"]) == 2
    api.call("listAudit", 200, query=f"?cursor={page['next_cursor']}&action=api_key.create")


def test_bulk_and_operations(api):
    rows = b'{"user":"cy","name":"phone","secret":"%s"}\n{"user":"di"}\n' % base32(b"c" * 20).encode()
    told = api.call("importDevices", 200, rows, headers={"Content-Type": "application/x-ndjson"})
    assert told["imported"] == 1 and told["refused"][0]["line"] == 2
    assert b'"cy"' in api.call("exportDevices", 200)
    api.call("makeBackup", 201)
    assert b"watchword_" in api.call("showMetrics", 200)
    for name in ("showHealth", "showReadiness", "showOpenapi"):
        api.call(name, 200, bearer="no-key-is-needed")


def test_keys_are_shown_and_rotated(api, make_server):
    api.call("showKeys", 200)
    assert len(api.call("rotateKeys", 202, {})["data_keys"]) == 2
    other = Described(make_server().start())
    (other.server.data_dir / "master.key").write_text("0" * 64 + "\n")
    other.call("rotateKeys", 409, {})
    api.seen |= other.seen


def test_what_is_switched_off_is_refused(api, make_server):
    other = Described(make_server(config="[metrics]\nenabled = false\n").start())
    other.call("makeBackup", 409)
    other.call("showMetrics", 404)
    api.seen |= other.seen


def test_the_documentation_is_a_page_without_scripts(api):
    page = api.server.call("GET", "/docs", key="no-key-is-needed")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    text = page.body.decode()
    assert "<script" not in text and "style=" not in text and not re.search(r'(src|href)="(https?:)?//', text)
    for _, path, operation in api.operations.values():
        assert operation["summary"] in text and path in text
    style = api.server.call("GET", "/docs/style.css")
    assert style.status == 200 and style.headers["content-type"].startswith("text/css")
    assert_problem(api.server.call("POST", "/docs", {}), 405)
    for link in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{link}"' in text, link


@pytest.mark.skipif(not have("chromium"), reason="needs chromium")
def test_a_browser_shows_the_documentation_and_finds_nothing_to_refuse(api, tmp_path):
    picture = tmp_path / "docs.png"
    done = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}/browser",
                           "--window-size=1280,1600", f"--screenshot={picture}", f"http://127.0.0.1:{api.server.port}/docs"],
                          capture_output=True, text=True, timeout=120)
    assert picture.exists() and picture.stat().st_size > 50_000, done.stderr
    assert "CONSOLE" not in done.stderr and "Refused" not in done.stderr, done.stderr
