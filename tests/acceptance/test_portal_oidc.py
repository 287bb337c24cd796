"""Sign-in by an OpenID provider, an honest one and one that lies."""
import datetime
import json
import re
import threading
import time
import urllib.parse

import pytest

from oidc_provider import CLIENT, SECRET, EcKey, Key, Provider, base64url, openssl
from watchword import Connection, have, run

pytestmark = pytest.mark.skipif(not have("openssl"), reason="needs openssl")


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    made = Provider(tmp_path_factory.mktemp("provider"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def portal(provider, tmp_path_factory):
    from watchword import Server

    directory = tmp_path_factory.mktemp("portal")
    secret = directory / "client.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    server = Server(
        directory / "server",
        config=f"""[portal.oidc]
issuer = "{provider.issuer}"
client_id = "{CLIENT}"
client_secret_file = "{secret}"
ca_file = "{provider.ca}"
redirect_uri = "http://127.0.0.1/portal/oidc/callback"
timeout_s = 3
[portal.oidc.console_groups]
helpdesk = ["read", "enroll"]
owners = ["admin"]
""",
    ).start()
    yield server
    server.end()


@pytest.fixture(autouse=True)
def honest(provider):
    provider.twist, provider.published, provider.delay_s, provider.says_more = None, [provider.key], 0, {}
    provider.claims = {"preferred_username": "ada@example.org", "groups": ["staff"]}


class Visit:
    """A browser: cookies, and where it was sent."""

    def __init__(self, server):
        self.server = server
        self.cookies = {}

    def get(self, path):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        with Connection(self.server.port) as connection:
            connection.send(
                (f"GET {path} HTTP/1.1\r\nHost: watchword\r\nConnection: close\r\n"
                 + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()
            )
            data = b""
            while part := connection.socket.recv(65536):
                data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        location = None
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            if name == "Set-Cookie":
                cookie, _, _ = value.partition(";")
                name, _, value = cookie.partition("=")
                self.cookies[name] = value
            elif name == "Location":
                location = value
        return int(lines[0].split(" ")[1]), location, body

    def log_in(self, wanted="portal"):
        status, location, _ = self.get(f"/portal/oidc/login?for={wanted}")
        assert status == 303, status
        return location

    def come_back(self, parameters):
        return self.get("/portal/oidc/callback?" + urllib.parse.urlencode(parameters))


def sign_in(portal, provider, wanted="portal"):
    visit = Visit(portal)
    return visit, visit.come_back(provider.authorize(visit.log_in(wanted)))


def test_a_person_signs_in_by_the_provider(portal, provider):
    assert json.loads(Visit(portal).get("/portal/api/config")[2])["oidc"] is True
    visit, (status, location, _) = sign_in(portal, provider)
    assert (status, location) == (303, "/portal/")
    status, _, body = visit.get("/portal/api/session")
    session = json.loads(body)
    assert status == 200 and session["user"] == "ada@example.org" and session["entry"] == "oidc"
    entries = portal.expect(200, "GET", "/v1/audit?action=portal.sign_in")["entries"]
    assert any(entry["actor"] == "portal:ada@example.org" for entry in entries)


def sign_none(claims, provider):
    return base64url(b'{"alg":"none"}') + "." + base64url(json.dumps(claims).encode()) + "."


def sign_with_public_key_as_secret(claims, provider):
    import hmac

    public = openssl("rsa", "-in", provider.key.file, "-pubout")
    text = base64url(b'{"alg":"HS256","kid":"one"}') + "." + base64url(json.dumps(claims).encode())
    return text + "." + base64url(hmac.digest(public, text.encode(), "sha256"))


def flip_signature(claims, provider):
    head, body, signature = provider.key.sign(claims).split(".")
    return ".".join([head, body, ("A" if signature[0] != "A" else "B") + signature[1:]])


def change_claims(claims, provider):
    head, _, signature = provider.key.sign(claims).split(".")
    return ".".join([head, base64url(json.dumps({**claims, "preferred_username": "eve"}).encode()), signature])


def forged(**changes):
    def twist(claims, provider):
        changed = {**claims, **changes}
        return provider.key.sign({name: value for name, value in changed.items() if value is not None})

    return twist


LIES = {
    "issuer": forged(iss="https://evil.example"),
    "audience": forged(aud="somebody-else"),
    "audiences without azp": forged(aud=[CLIENT, "somebody-else"]),
    "azp": forged(azp="somebody-else"),
    "nonce": forged(nonce="A" * 43),
    "no nonce": forged(nonce=None),
    "expired": forged(exp=int(time.time()) - 3600),
    "no expiry": forged(exp=None),
    "from the future": forged(iat=int(time.time()) + 3600),
    "not yet": forged(nbf=int(time.time()) + 3600),
    "no subject": forged(sub=None),
    "no user": forged(preferred_username=None),
    "user with a line break": forged(preferred_username="ada\nadmin"),
    "alg none": sign_none,
    "public key as secret": sign_with_public_key_as_secret,
    "signature": flip_signature,
    "claims changed": change_claims,
    "key of nobody": lambda claims, provider: provider.other.sign(claims),
    "key id of another": lambda claims, provider: provider.other.sign(claims, kid="one"),
    "critical header": lambda claims, provider: provider.key.sign(claims, crit=["x"], x=1),
    "not a token": lambda claims, provider: "a.b.c",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_lies_opens_nothing(portal, provider, lie):
    provider.twist = LIES[lie]
    visit, (status, location, _) = sign_in(portal, provider)
    assert (status, location) == (303, "/portal/#error=sign_in_invalid")
    assert visit.get("/portal/api/session")[0] == 401
    provider.twist = None


@pytest.mark.parametrize("algorithm, make, entered", [
    ("PS256", lambda folder: Key(folder, "pss"), True),
    ("ES256", lambda folder: EcKey(folder, "curve"), True),
    ("ES384", lambda folder: EcKey(folder, "wrong curve"), False),
    ("RS256", lambda folder: EcKey(folder, "wrong family"), False),
    ("RS256", lambda folder: Key(folder, "short", 1024), False),
])
def test_signatures_of_strong_algorithms_with_their_own_keys_count(make_server, provider, tmp_path, algorithm, make, entered):
    server = own(make_server, provider, with_secret(tmp_path)).start()
    key = make(tmp_path)
    provider.published = [provider.other, key]
    provider.twist = lambda claims, _: key.sign(claims, alg=algorithm)
    _, (_, location, _) = sign_in(server, provider)
    assert location == ("/portal/" if entered else "/portal/#error=sign_in_invalid")


@pytest.mark.parametrize("says", [{"use": "enc"}, {"alg": "RS512"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}])
def test_a_key_that_is_for_something_else_does_not_count(make_server, provider, tmp_path, says):
    server = own(make_server, provider, with_secret(tmp_path)).start()
    plain = provider.key.jwk

    class Other:
        @staticmethod
        def jwk():
            return {**plain(), **says}

    provider.published = [Other]
    assert sign_in(server, provider)[1][1] == "/portal/#error=sign_in_invalid"


def test_the_way_back_is_for_the_browser_that_went(portal, provider):
    went = Visit(portal)
    back = provider.authorize(went.log_in())
    other = Visit(portal)
    assert other.come_back(back)[1] == "/portal/#error=sign_in_expired"  # no cookie: somebody sent the link
    assert went.come_back(back)[1] == "/portal/", "which harms nobody"
    assert went.come_back(back)[1] == "/portal/#error=sign_in_expired", "and now it is used up"
    kept = Visit(portal)
    back = provider.authorize(kept.log_in())
    cookie = dict(kept.cookies)
    assert kept.come_back(back)[1] == "/portal/"
    kept.cookies = cookie  # a browser that kept what it was told to forget: the provider gives nothing for a code twice
    assert kept.come_back(back)[1] == "/portal/#error=sign_in_denied"
    name = next(iter(cookie))
    for changed in (cookie[name][:-4] + "AAAA", cookie[name][4:], "", "x" * 4000):
        kept.cookies = {name: changed}
        assert kept.come_back(back)[1] == "/portal/#error=sign_in_expired"
    assert Visit(portal).come_back({"code": "x", "state": "y"})[1] == "/portal/#error=sign_in_expired"
    visit, _ = sign_in(portal, provider)
    back = provider.authorize(visit.log_in())
    assert visit.come_back({**back, "iss": "https://evil.example"})[1] == "/portal/#error=sign_in_expired"
    visit.log_in()
    refused = provider.authorize(visit.log_in())
    assert visit.come_back({"state": refused["state"], "error": "access_denied"})[1] == "/portal/#error=sign_in_denied"
    again = provider.authorize(visit.log_in())
    assert visit.come_back({**again, "code": "guessed"})[1] == "/portal/#error=sign_in_denied"


def test_a_group_opens_the_console(portal, provider):
    _, (_, location, _) = sign_in(portal, provider, "console")
    assert location == "/console/#error=not_in_group"
    provider.claims["groups"] = ["staff", "helpdesk"]
    visit, (_, location, _) = sign_in(portal, provider, "console")
    assert location == "/console/"
    session = json.loads(visit.get("/console/api/session")[2])
    assert set(session["scopes"]) == {"read", "enroll"} and session["name"] == "ada@example.org"
    assert visit.get("/console/api/v1/users")[0] == 200
    assert visit.get("/console/api/v1/api-keys")[0] == 403
    assert visit.get("/portal/api/session")[0] == 401


def test_a_sign_in_for_the_console_that_fails_says_so_there(portal, provider):
    provider.twist = LIES["audience"]
    _, (_, location, _) = sign_in(portal, provider, "console")
    assert location == "/console/#error=sign_in_invalid"


def own(make_server, provider, more):
    """A server with other settings; a public client, so without its secret."""
    return make_server(config=f"""[portal.oidc]
issuer = "{provider.issuer}"
client_id = "{CLIENT}"
ca_file = "{provider.ca}"
redirect_uri = "http://127.0.0.1/portal/oidc/callback"
{more}""")


def test_a_public_client_sends_no_secret_and_is_refused_by_a_provider_that_wants_one(make_server, provider):
    server = own(make_server, provider, "").start()
    _, (_, location, _) = sign_in(server, provider)
    assert location == "/portal/#error=sign_in_denied"


def with_secret(tmp_path):
    secret = tmp_path / "client.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return f'client_secret_file = "{secret}"\n'


def test_an_email_that_nobody_verified_is_nobody(make_server, provider, tmp_path):
    server = own(make_server, provider, with_secret(tmp_path) + 'user_claim = "email"\n').start()
    for verified, entered in ((True, True), (False, False), ("true", False), (None, False)):
        provider.claims = {"email": "ada@example.org"}
        if verified is not None:
            provider.claims["email_verified"] = verified
        _, (_, location, _) = sign_in(server, provider)
        assert location == ("/portal/" if entered else "/portal/#error=sign_in_invalid"), verified


def test_groups_may_stand_deeper_and_alone(make_server, provider, tmp_path):
    more = with_secret(tmp_path) + 'groups_claim = "realm_access.roles"\n[portal.oidc.console_groups]\n"/ops team" = ["audit"]\n'
    server = own(make_server, provider, more).start()
    for claims, entered in (({"realm_access": {"roles": ["x", "/ops team"]}}, True), ({"realm_access": {"roles": "/ops team"}}, True),
                            ({"realm_access.roles": ["/ops team"]}, True), ({"realm_access": {"roles": ["/ops"]}}, False),
                            ({"realm_access": ["/ops team"]}, False), ({"realm_access": {"roles": {"/ops team": 1}}}, False),
                            ({"realm_access": {"roles": [["/ops team"]]}}, False), ({}, False)):
        provider.claims = {"preferred_username": "ada", **claims}
        visit, (_, location, _) = sign_in(server, provider, "console")
        assert location == ("/console/" if entered else "/console/#error=not_in_group"), claims
        if entered:
            session = json.loads(visit.get("/console/api/session")[2])
            assert session["scopes"] == ["audit"]
            assert visit.get("/console/api/v1/audit")[0] == 200 and visit.get("/console/api/v1/users")[0] == 403
    entries = server.expect(200, "GET", "/v1/audit?action=console.sign_in")["entries"]
    assert {entry["actor"] for entry in entries} == {"console:ada"}


def test_a_console_session_by_the_provider_is_short(make_server, provider, tmp_path):
    more = with_secret(tmp_path) + 'console_session_s = 60\n[portal.oidc.console_groups]\nstaff = ["read"]\n'
    server = own(make_server, provider, more).start()
    visit, _ = sign_in(server, provider, "console")
    session = json.loads(visit.get("/console/api/session")[2])
    ends = datetime.datetime.fromisoformat(session["expires_at"].replace("Z", "+00:00")).timestamp()
    assert 0 < ends - time.time() <= 61


def test_a_provider_that_names_itself_in_every_answer_is_held_to_it(make_server, provider, tmp_path):
    provider.says_more = {"authorization_response_iss_parameter_supported": True}
    server = own(make_server, provider, with_secret(tmp_path)).start()
    visit = Visit(server)
    assert visit.come_back(provider.authorize(visit.log_in()))[1] == "/portal/#error=sign_in_expired"
    assert visit.come_back({**provider.authorize(visit.log_in()), "iss": provider.issuer})[1] == "/portal/"


def test_a_provider_that_is_another_or_speaks_in_the_clear_is_not_believed(make_server, provider):
    for number, more in enumerate(({"issuer": "https://evil.example"}, {"token_endpoint": "http://127.0.0.1/token"},
                                   {"jwks_uri": None}, {"authorization_endpoint": "javascript:alert(1)"})):
        provider.says_more = more
        server = own(lambda **options: make_server(f"server{number}", **options), provider, "").start()
        assert Visit(server).get("/portal/oidc/login")[1] == "/portal/#error=provider_unavailable", more


@pytest.mark.parametrize("settings", [
    'issuer = "http://login.example"\nclient_id = "x"\nredirect_uri = "https://a/"',
    'issuer = "https://login.example"\nredirect_uri = "https://a/"',
    'issuer = "https://login.example"\nclient_id = "x"',
    'issuer = "https://login.example"\nclient_id = "x"\nredirect_uri = "https://a/"\nscopes = ["profile"]',
    'issuer = "https://login.example"\nclient_id = "x"\nredirect_uri = "https://a/"\ntimeout_s = 0',
    'issuer = "https://login.example"\nclient_id = "x"\nredirect_uri = "https://a/"\nconsole_session_s = 5',
    'issuer = "https://login.example"\nclient_id = "x"\nredirect_uri = "https://a/"\n[portal.oidc.console_groups]\nx = ["root"]',
    'issuer = "https://login.example"\nclient_id = "x"\nredirect_uri = "https://a/"\nsecret = "y"',
])
def test_settings_that_make_no_sense_stop_the_start(tmp_path, settings):
    (tmp_path / "w.toml").write_text(f"[portal.oidc]\n{settings}\n")
    done = run("serve", "--config", tmp_path / "w.toml", "--data-dir", tmp_path / "none")
    assert done.returncode == 1 and re.search(r"w\.toml:\d+: ", done.stderr), done.stderr


def test_new_keys_of_the_provider_are_read(portal, provider):
    sign_in(portal, provider)
    provider.published = [provider.other]
    provider.twist = lambda claims, made: made.other.sign(claims)
    deadline = time.monotonic() + 20
    while True:  # the set is read again at most every ten seconds
        _, (_, location, _) = sign_in(portal, provider)
        if location == "/portal/" or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert location == "/portal/"


def test_a_provider_that_hangs_harms_nobody_else(make_server, provider, tmp_path):
    provider.delay_s = 4
    server = make_server(
        config=f'[portal.oidc]\nissuer = "{provider.issuer}"\nclient_id = "{CLIENT}"\nca_file = "{provider.ca}"\n'
        'redirect_uri = "http://127.0.0.1/portal/oidc/callback"\ntimeout_s = 2\n'
    ).start()
    threads = [threading.Thread(target=lambda: Visit(server).get("/portal/oidc/login")) for _ in range(12)]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    assert server.call("GET", "/v1/policy").status == 200
    assert time.monotonic() - begin < 1.5
    for thread in threads:
        thread.join()
    assert Visit(server).get("/portal/oidc/login")[1] == "/portal/#error=provider_unavailable"


def test_a_provider_whose_certificate_nobody_vouches_for_is_not_asked(make_server, provider):
    server = make_server(
        config=f'[portal.oidc]\nissuer = "{provider.issuer}"\nclient_id = "{CLIENT}"\n'
        'redirect_uri = "http://127.0.0.1/portal/oidc/callback"\n'
    ).start()
    assert Visit(server).get("/portal/oidc/login")[1] == "/portal/#error=provider_unavailable"
