"""The portal's API as a browser uses it, and what it refuses: sessions, links, codes before changes, other sites, other cookies."""
import os
import re
import stat
import time

import pytest

from watchword import Clock, Connection, Phone, assert_problem, in_parallel, path_of, steady, unbase32

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PROXY_SECRET = "p" * 40


class Browser:
    """Keeps one cookie and one token, as a page does."""

    def __init__(self, server, plane="portal"):
        self.server = server
        self.plane = plane
        self.cookie = None
        self.token = None
        self.more = {}

    def call(self, method, path, body=None, headers=None, token=True):
        sent = dict(self.more)
        if self.cookie:
            sent["Cookie"] = self.cookie
        if self.token and token and method not in ("GET", "HEAD"):
            sent["X-CSRF-Token"] = self.token
        sent.update(headers or {})
        with Connection(self.server.port) as connection:
            answer = connection.request(method, f"/{self.plane}/api/{path}", body, sent)
        assert answer.headers.get("content-security-policy") == CSP, answer
        assert answer.headers.get("cache-control") == "no-store", answer
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
        if path == "session" and answer.status in (200, 201):
            self.token = answer.json()["csrf_token"]
        return answer

    def expect(self, status, *arguments, **more):
        answer = self.call(*arguments, **more)
        assert answer.status == status, (arguments, answer)
        return answer.json() if answer.body else None

    def refused(self, status, slug, *arguments, **more):
        problem = assert_problem(self.call(*arguments, **more), status)
        assert problem["type"] == f"urn:watchword:problem:{slug}", problem


def mint(server, user, **more):
    return server.expect(201, "POST", path_of(user, "portal-links"), more or None)


def token_of(link):
    return link["url"].partition("#link=")[2]


def enter(server, user):
    browser = Browser(server)
    session = browser.expect(201, "POST", "session", {"link": token_of(mint(server, user))})
    assert session["user"] == user and session["entry"] == "link" and session["step_up_until"] is None
    return browser


def register(server, browser, name, step_back=0):
    begun = browser.expect(201, "POST", "devices", {"name": name})
    phone = Phone(unbase32(begun["secret"]), device=begun["id"])
    code = phone.code(server.now() - 30 * step_back)
    confirmed = browser.expect(200, "POST", f"devices/{phone.device}/confirm", {"code": code})
    assert confirmed["result"] == "accepted"
    return phone


def audit(server, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return server.expect(200, "GET", f"/v1/audit?{text}")["entries"]


def test_a_person_registers_through_a_link_and_signs_in(shared):
    steady()
    user = "ada lovelace@example.org"
    browser = enter(shared, user)
    shown = browser.expect(200, "GET", "devices")
    assert shown["devices"] == [] and shown["may_register"] and shown["reason"] is None and not shown["code_needed"]
    begun = browser.expect(201, "POST", "devices", {"name": "My phone"})
    assert begun["server_time"].endswith("Z") and begun["qr"]["svg"].startswith("<")
    picture = browser.call("GET", f"devices/{begun['id']}/qr.svg")
    assert picture.status == 200 and picture.headers["content-type"] == "image/svg+xml"
    phone = Phone(unbase32(begun["secret"]))
    wrong = browser.expect(200, "POST", f"devices/{begun['id']}/confirm", {"code": phone.wrong_code(shared.now())})
    assert wrong["result"] == "rejected"
    right = browser.expect(200, "POST", f"devices/{begun['id']}/confirm", {"code": phone.code(shared.now())})
    assert right["result"] == "accepted" and right["status"] == "active" and right["step_up_until"]
    # The code that confirmed is used up; the next one works.
    assert shared.result(user, phone.code(shared.now())) == "replayed"
    assert shared.result(user, phone.code(shared.now() + 30)) == "accepted"
    browser.refused(409, "not_pending", "GET", f"devices/{begun['id']}/qr.svg")
    renamed = browser.expect(200, "PATCH", f"devices/{begun['id']}", {"name": "Old phone"})
    assert renamed["name"] == "Old phone"
    browser.refused(400, "bad_request", "PATCH", f"devices/{begun['id']}", {"name": "x", "enabled": False})
    browser.expect(204, "DELETE", f"devices/{begun['id']}")
    assert browser.expect(200, "GET", "devices")["devices"] == []


def test_a_second_device_and_a_removal_need_a_code_of_the_first(shared):
    steady(room_s=8)
    user = "second"
    phone = register(shared, enter(shared, user), "first", step_back=1)
    browser = enter(shared, user)
    shown = browser.expect(200, "GET", "devices")
    assert shown["code_needed"] and shown["may_register"] and shown["reason"] == "code_needed"
    browser.refused(403, "code_needed", "POST", "devices", {"name": "another"})
    browser.refused(403, "code_needed", "DELETE", f"devices/{phone.device}")
    browser.refused(403, "code_needed", "POST", "recovery-codes")
    wrong = browser.expect(200, "POST", "code", {"code": phone.wrong_code(shared.now())})
    assert wrong == {"result": "rejected"}
    assert shared.user(user)["failures"] == 1, "a code in the portal is a guess like any other"
    code = phone.code(shared.now())
    assert browser.expect(200, "POST", "code", {"code": code})["step_up_until"]
    assert shared.result(user, code) == "replayed", "and used up like any other"
    assert browser.expect(200, "POST", "code", {"code": code})["result"] == "replayed"
    assert not browser.expect(200, "GET", "devices")["code_needed"]
    register(shared, browser, "another")
    browser.refused(422, "code_length", "POST", "code", {"code": "12345678"})


def test_a_registration_begun_before_there_was_a_device_does_not_get_around_its_code(shared):
    user = "early"
    stranger = enter(shared, user)
    begun = stranger.expect(201, "POST", "devices", {"name": "stranger's"})
    register(shared, enter(shared, user), "own")
    phone = Phone(unbase32(begun["secret"]))
    path = f"devices/{begun['id']}/confirm"
    stranger.refused(403, "code_needed", "POST", path, {"code": phone.code(shared.now())})
    other = enter(shared, user)
    other.refused(404, "device_not_found", "GET", f"devices/{begun['id']}/qr.svg")


def test_policy_denies_registration_and_says_so(make_server):
    server = make_server().start()
    server.set_policy(self_registration="denied")
    browser = enter(server, "denied")
    shown = browser.expect(200, "GET", "devices")
    assert not shown["may_register"] and shown["reason"] == "policy_denied"
    browser.refused(403, "self_registration_denied", "POST", "devices", {"name": "phone"})
    server.set_policy(self_registration="allowed", max_devices_per_user=1)
    register(server, browser, "only")
    shown = browser.expect(200, "GET", "devices")
    assert not shown["may_register"] and shown["reason"] == "device_limit" and shown["max_devices"] == 1


def test_a_link_works_once_among_64_at_once(shared):
    link = token_of(mint(shared, "crowd"))
    answers = in_parallel(64, lambda _: Browser(shared).call("POST", "session", {"link": link}))
    assert sorted(answer.status for answer in answers) == [201] + [403] * 63
    Browser(shared).refused(403, "link_unknown", "POST", "session", {"link": link})
    Browser(shared).refused(403, "link_unknown", "POST", "session", {"link": "A" * 43})
    Browser(shared).refused(403, "link_unknown", "POST", "session", {"link": ""})


def test_links_outlive_a_crash_and_stay_used_up(make_server):
    server = make_server().start()
    kept, used = (token_of(mint(server, "durable")) for _ in range(2))
    Browser(server).expect(201, "POST", "session", {"link": used})
    server.restart(hard=True)
    Browser(server).refused(403, "link_unknown", "POST", "session", {"link": used})
    Browser(server).expect(201, "POST", "session", {"link": kept})
    store = b"".join(file.read_bytes() for file in server.data_dir.rglob("*") if file.is_file())
    assert kept.encode() not in store and used.encode() not in store
    assert kept not in server.log()


def test_links_and_sessions_expire(timed):
    link = mint(timed, "late", expires_in_s=60)
    timed.clock.forward(61)
    Browser(timed).refused(403, "link_expired", "POST", "session", {"link": token_of(link)})
    browser = enter(timed, "late")
    for _ in range(4):
        timed.clock.forward(850)
        browser.expect(200, "GET", "session")
    timed.clock.forward(850)
    browser.refused(401, "no_session", "GET", "session")  # an hour in any case
    idle = enter(timed, "late")
    timed.clock.forward(901)
    idle.refused(401, "no_session", "GET", "devices")
    for seconds in (59, 604801, -1):
        assert_problem(timed.call("POST", path_of("late", "portal-links"), {"expires_in_s": seconds}), 400, "expires_in_s")


def test_a_step_up_ends(timed):
    browser = enter(timed, "stepped")
    register(timed, browser, "phone")
    assert not browser.expect(200, "GET", "devices")["code_needed"]
    timed.clock.forward(301)
    assert browser.expect(200, "GET", "devices")["code_needed"]


def test_the_cookie_is_told_to_nobody_else(shared):
    browser = Browser(shared)
    answer = browser.call("POST", "session", {"link": token_of(mint(shared, "cookie"))})
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == "watchword_portal" and rest.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert len(rest.split(";")[0]) >= 43
    before = browser.cookie
    again = browser.call("POST", "session", {"link": token_of(mint(shared, "cookie"))})
    assert again.status == 201 and browser.cookie != before
    old = Browser(shared)
    old.cookie = before
    old.refused(401, "no_session", "GET", "session")
    assert browser.call("DELETE", "session").headers["clear-site-data"]
    browser.refused(401, "no_session", "GET", "session")


def test_cookies_are_secure_where_the_portal_is_reached_over_tls(make_server):
    server = make_server(config='[portal]\nbase_url = "https://mfa.example.org/"\n').start()
    link = mint(server, "tls")
    assert link["url"].startswith("https://mfa.example.org/portal/#link=")
    answer = Browser(server).call("POST", "session", {"link": token_of(link)}, headers={"Origin": "https://mfa.example.org"})
    assert answer.status == 201, answer
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-watchword_portal=") and cookie.endswith("; Secure")
    assert answer.headers["strict-transport-security"].startswith("max-age=63072000")


def test_a_change_needs_the_token_of_its_session(shared):
    browser, other = enter(shared, "token"), enter(shared, "other")
    body = {"name": "phone"}
    browser.refused(403, "bad_csrf_token", "POST", "devices", body, token=False)
    browser.refused(403, "bad_csrf_token", "POST", "devices", body, headers={"X-CSRF-Token": other.token})
    browser.refused(403, "bad_csrf_token", "DELETE", "session", headers={"X-CSRF-Token": ""})
    browser.refused(403, "bad_csrf_token", "DELETE", "session", headers={"X-CSRF-Token": browser.token[:-1]})
    browser.expect(201, "POST", "devices", body)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_change_from_another_site_is_refused(shared, headers):
    browser = enter(shared, "sites")
    browser.refused(403, "cross_site", "POST", "devices", {"name": "phone"}, headers=headers)
    Browser(shared).refused(403, "cross_site", "POST", "session", {"link": "A" * 43}, headers=headers)
    browser.expect(200, "GET", "session", headers={"Sec-Fetch-Site": "same-origin"})
    browser.refused(403, "cross_site", "GET", "session", headers={"Sec-Fetch-Site": "cross-site"})


def test_bodies_must_be_json_and_right(shared):
    browser = enter(shared, "bodies")
    browser.refused(415, "unsupported_media_type", "POST", "devices", b'{"name":"x"}', headers={"Content-Type": "text/plain"})
    browser.refused(400, "bad_request", "POST", "devices", {"name": "x", "secret": "A" * 32})
    browser.refused(400, "bad_request", "POST", "code", {"code": "12 34"})
    browser.refused(404, "not_found", "GET", "nothing")
    browser.refused(405, "method_not_allowed", "PUT", "devices", {})
    browser.refused(404, "device_not_found", "DELETE", "devices/..%2Fother")


def test_nobody_gets_in_without_a_session(shared):
    nobody = Browser(shared)
    for method, path in [("GET", "session"), ("GET", "devices"), ("POST", "devices"), ("POST", "code"), ("POST", "session")]:
        nobody.refused(401, "no_session", method, path)
    config = nobody.expect(200, "GET", "config")
    assert config["oidc"] is False and config["contact"] is None and config["languages"] == ["en", "de"]
    assert_problem(shared.call("POST", path_of("x", "portal-links"), key=shared.new_key("read")["key"]), 403)


def test_a_removed_person_is_signed_out_and_links_are_void(shared):
    browser = enter(shared, "leaver")
    register(shared, browser, "phone")
    link = token_of(mint(shared, "leaver"))
    shared.expect(204, "DELETE", path_of("leaver"))
    browser.refused(401, "no_session", "GET", "session")
    Browser(shared).refused(403, "link_unknown", "POST", "session", {"link": link})


def test_the_audit_trail_says_who_made_the_link_and_who_used_it(shared):
    enter(shared, "traced")
    entries = {entry["action"]: entry for entry in audit(shared, user="traced")}
    assert entries["portal_link.make"]["actor"].startswith("key:")
    assert entries["portal_link.use"]["actor"].startswith("link:")
    sign_in = entries["portal.sign_in"]
    assert sign_in["actor"] == "portal:traced" and sign_in["address"] == "127.0.0.1"
    detail = str(sign_in["detail"])
    assert "link" in detail and entries["portal_link.make"]["actor"] in detail


def test_the_console_has_its_own_session(shared):
    key = shared.new_key("read", "enroll", name="help desk")
    console = Browser(shared, "console")
    console.refused(401, "bad_api_key", "POST", "session", {"api_key": "ww_" + "0" * 16 + "_" + "A" * 43})
    session = console.expect(201, "POST", "session", {"api_key": key["key"]})
    assert session["name"] == "help desk" and set(session["scopes"]) == {"read", "enroll"}
    assert console.cookie.startswith("watchword_console=")
    assert console.expect(200, "GET", "v1/users?limit=1").keys() >= {"users"}
    console.refused(403, "bad_csrf_token", "POST", "v1/users/helped/devices", {"name": "x"}, token=False)
    console.expect(201, "POST", "v1/users/helped/devices", {"name": "x"})
    console.refused(403, "forbidden", "DELETE", "v1/users/helped")
    console.refused(403, "forbidden", "GET", "v1/api-keys")
    # Neither plane's session opens the other.
    portal = enter(shared, "crossing")
    stray = Browser(shared, "console")
    stray.cookie = portal.cookie.replace("portal", "console")
    stray.refused(401, "no_session", "GET", "session")
    stray = Browser(shared)
    stray.cookie = console.cookie.replace("console", "portal")
    stray.refused(401, "no_session", "GET", "session")
    shared.expect(204, "DELETE", f"/v1/api-keys/{key['id']}")
    console.refused(401, "no_session", "GET", "v1/users")
    console.refused(401, "no_session", "GET", "session")


def proxied(make_server, tmp_path, addresses):
    secret = tmp_path / "proxy.secret"
    secret.write_text(PROXY_SECRET + "\n")
    os.chmod(secret, stat.S_IRUSR | stat.S_IWUSR)
    config = f'[portal.proxy]\nuser_header = "X-Forwarded-User"\naddresses = {addresses}\nshared_secret_file = "{secret}"\n'
    return make_server(config=config).start()


def test_a_trusted_proxy_says_who_the_person_is(make_server, tmp_path):
    server = proxied(make_server, tmp_path, '["10.0.0.0/8", "127.0.0.0/30"]')
    browser = Browser(server)
    browser.more = {"X-Forwarded-User": "ada", "X-Watchword-Proxy-Secret": PROXY_SECRET}
    session = browser.expect(201, "POST", "session")
    assert session["user"] == "ada" and session["entry"] == "proxy"
    browser.expect(200, "GET", "devices")
    # The proxy vouches for every request.
    browser.more["X-Forwarded-User"] = "eve"
    browser.refused(401, "no_session", "GET", "devices")
    for wrong in (PROXY_SECRET[:-1], "", PROXY_SECRET + "x"):
        stranger = Browser(server)
        stranger.more = {"X-Forwarded-User": "ada", "X-Watchword-Proxy-Secret": wrong}
        stranger.refused(401, "no_session", "POST", "session")
    with Connection(server.port) as connection:
        twice = (
            "POST /portal/api/session HTTP/1.1\r\nHost: x\r\nX-Forwarded-User: eve\r\nX-Forwarded-User: ada\r\n"
            f"X-Watchword-Proxy-Secret: {PROXY_SECRET}\r\nContent-Length: 0\r\n\r\n"
        )
        connection.send(twice.encode())
        assert connection.read().status == 401


def test_the_proxys_headers_mean_nothing_from_elsewhere(make_server, tmp_path):
    server = proxied(make_server, tmp_path, '["10.0.0.0/8", "127.0.0.2"]')
    stranger = Browser(server)
    stranger.more = {"X-Forwarded-User": "ada", "X-Watchword-Proxy-Secret": PROXY_SECRET}
    stranger.refused(401, "no_session", "POST", "session")


def test_every_route_carries_the_security_headers_errors_too(make_server, tmp_path):
    pages = tmp_path / "pages"
    for name, text in {
        "portal/index.html": "<!doctype html>portal",
        "console/index.html": "<!doctype html>console",
        "assets/app-1a2b.js": "let a = 1;",
        "assets/app-1a2b.js.br": "brotli",
        "assets/app-1a2b.js.gz": "gzip",
    }.items():
        file = pages / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    server = make_server(config=f'[portal]\nassets_dir = "{pages}"\n').start()
    with Connection(server.port) as connection:

        def get(path, method="GET", **headers):
            return connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})

        paths = ["/portal", "/portal/", "/portal/devices", "/console/", "/assets/app-1a2b.js", "/assets/none.js", "/nothing", "/healthz",
                 "/portal/api/session", "/portal/api/none", "/console/api/v1/users", "/portal/%zz", "/portal/../secret", "/v1/users"]
        for path in paths:
            for method in ("GET", "HEAD", "POST", "DELETE"):
                headers = get(path, method).headers
                assert headers["content-security-policy"] == CSP and headers["x-content-type-options"] == "nosniff", path
                assert headers["referrer-policy"] == "no-referrer" and headers["cross-origin-opener-policy"] == "same-origin"
        assert get("/portal").headers["location"] == "/portal/"
        page = get("/portal/devices")
        assert page.body == b"<!doctype html>portal" and page.headers["cache-control"] == "no-store"
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        script = get("/assets/app-1a2b.js", Accept_Encoding="gzip, br;q=0")
        assert script.body == b"gzip" and script.headers["content-encoding"] == "gzip"
        assert script.headers["vary"] == "Accept-Encoding" and "immutable" in script.headers["cache-control"]
        assert get("/assets/app-1a2b.js", Accept_Encoding="br, gzip").body == b"brotli"
        plain = get("/assets/app-1a2b.js")
        assert plain.body == b"let a = 1;" and "content-encoding" not in plain.headers
        assert get("/assets/app-1a2b.js", If_None_Match=plain.headers["etag"]).status == 304
        for path in ("/assets/../portal/index.html", "/assets/%2e%2e/portal/index.html", "/portal//etc/passwd.txt", "/assets/"):
            assert get(path).status == 404
