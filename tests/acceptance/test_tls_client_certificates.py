"""Client certificates: whom they stand for, when they count no more, and listeners that ask for them."""
import ssl

import pytest

import watchword
from tls_estate import Authority, TlsConnection, estate, own_server, tls_port  # noqa: F401: estate is a fixture
from watchword import Closed, Connection, assert_problem, eventually


def test_a_client_certificate_stands_for_its_scopes(estate):
    client = estate.authority.issue("vpn", "vpn.example.org")
    with TlsConnection(estate.tls_port, client=client) as tls:
        assert tls.verify("nobody", "123456")["result"] == "no_device"
        assert_problem(tls.request("GET", "/v1/users"), 403)
        assert_problem(tls.request("POST", "/v1/users/eve/devices", {"name": "x"}), 403)
        # A key that is presented counts alone.
        assert tls.request("GET", "/v1/users", key=estate.admin).status == 200
        assert_problem(tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"}, key="ww_wrong"), 401)


def test_an_alternative_name_stands_for_its_scopes(estate):
    client = estate.authority.issue("desk", "whoever", "URI:urn:desk:1")
    with TlsConnection(estate.tls_port, client=client) as tls:
        assert tls.request("GET", "/v1/users").status == 200
        assert_problem(tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"}), 403)


def test_unknown_names_and_foreign_certificates_are_nobody(estate):
    unknown = estate.authority.issue("stranger", "vpn.example.org.evil.org")
    with TlsConnection(estate.tls_port, client=unknown) as tls:
        assert_problem(tls.request("GET", "/v1/users"), 401)
    with TlsConnection(estate.tls_port) as tls:
        assert_problem(tls.request("GET", "/v1/users"), 401)
    forged = Authority(estate.folder / "elsewhere", "authority").issue("forged", "vpn.example.org")
    with pytest.raises((ssl.SSLError, Closed, OSError)):
        with TlsConnection(estate.tls_port, client=forged) as tls:
            tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"})
    estate.assert_healthy()


def test_a_common_name_beside_alternative_names_stands_for_nobody(estate):
    both = estate.authority.issue("both", "vpn.example.org", "DNS:laptop.example.org")
    with TlsConnection(estate.tls_port, client=both) as tls:
        assert_problem(tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"}), 401)
    addresses = estate.authority.issue("addresses", "vpn.example.org", "IP:10.0.0.1")
    with TlsConnection(estate.tls_port, client=addresses) as tls:
        assert tls.verify("nobody", "123456")["result"] == "no_device", "an IP address is no name of these"
    several = estate.authority.issue("several", "whoever", "DNS:other.example.org,DNS:vpn.example.org,email:a@example.org")
    with TlsConnection(estate.tls_port, client=several) as tls:
        assert tls.verify("nobody", "123456")["result"] == "no_device"


@pytest.mark.parametrize("san", ["DNS:VPN.example.org", "DNS:*.example.org", "DNS:vpn.example.org.", "email:vpn.example.org@x.org",
                                 "URI:urn:desk:2", "DNS:evil-vpn.example.org"])
def test_names_are_compared_byte_for_byte(estate, san):
    client = estate.authority.issue("nearly", "whoever", san)
    with TlsConnection(estate.tls_port, client=client) as tls:
        assert_problem(tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"}), 401)
        assert_problem(tls.request("GET", "/v1/users"), 401)


def test_the_trail_names_the_certificate(estate):
    client = estate.authority.issue("desk2", "whoever", "URI:urn:desk:1")
    with TlsConnection(estate.tls_port, client=client) as tls:
        assert tls.request("POST", "/v1/users/cert-ada/devices", {"name": "phone"}).status == 201
        assert_problem(tls.request("DELETE", "/v1/users/cert-ada"), 403)
        assert_problem(tls.request("GET", "/metrics"), 403)
    gate = estate.authority.issue("gate", "whoever", "DNS:vpn.example.org")
    with TlsConnection(estate.tls_port, client=gate) as tls:
        assert tls.verify("cert-bo", "123456")["result"] == "no_device"
        assert tls.batch([{"user": "cert-cy", "code": "123456"}])[0]["result"] == "no_device"
        body = {"user": "cert-di", "code": "123456"}
        assert tls.request("POST", "/v1/verify", body, key=estate.admin).json()["result"] == "no_device", "a key goes before it"
    for user, actor in (("cert-bo", "certificate:vpn.example.org"), ("cert-cy", "certificate:vpn.example.org"),
                        ("cert-di", "key:" + estate.admin.split("_")[1])):
        (entry,) = watchword.eventually(lambda: estate.expect(200, "GET", f"/v1/audit?action=verification&user={user}")["entries"], 10, user)
        assert entry["actor"] == actor, entry
    entries = estate.expect(200, "GET", "/v1/audit?action=device.begin&user=cert-ada")["entries"]
    assert [entry["actor"] for entry in entries] == ["certificate:urn:desk:1"]
    for path in ("/v1/users/cert-ada", "/metrics"):
        watchword.eventually(lambda: any(entry["actor"] == "certificate:urn:desk:1" and entry["detail"]["path"] == path for entry in
                                         estate.expect(200, "GET", "/v1/audit?action=request.refused")["entries"]), 10, path)


def test_an_expired_certificate_is_not_let_in(estate):
    expired = estate.authority.expired("late", "vpn.example.org")
    with pytest.raises((ssl.SSLError, Closed, OSError)):
        with TlsConnection(estate.tls_port, client=expired) as tls:
            tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"})
    estate.assert_healthy()


def test_a_certificate_that_ends_while_connected_counts_no_more(tmp_path):
    server = own_server(tmp_path, clock=watchword.Clock(tmp_path))
    client = server.authority.issue("vpn", "vpn.example.org")
    server.start()
    try:
        with TlsConnection(tls_port(server), client=client) as tls:
            assert tls.verify("nobody", "123456")["result"] == "no_device"
            server.clock.forward(21 * 86400)
            assert_problem(tls.request("POST", "/v1/verify", {"user": "a", "code": "123456"}), 401)
    finally:
        server.end()


def test_a_revoked_certificate_is_not_let_in_and_an_open_connection_loses_it(tmp_path):
    revocations = tmp_path / "revoked.crl"
    server = own_server(tmp_path, listener=f'client_crl_file = "{revocations}"')
    good = server.authority.issue("good", "vpn.example.org")
    bad = server.authority.issue("bad", "vpn.example.org")
    bad_later = server.authority.issue("later", "vpn.example.org")
    server.authority.revoked(revocations, bad[0])
    server.start()

    def enters(client):
        try:
            with TlsConnection(tls_port(server), client=client) as tls:
                return tls.verify("nobody", "123456")["result"] == "no_device"
        except (ssl.SSLError, Closed, OSError):
            return False

    try:
        assert enters(good) and enters(bad_later) and not enters(bad)
        with TlsConnection(tls_port(server), client=bad_later) as tls, TlsConnection(tls_port(server), client=good) as other:
            assert tls.verify("nobody", "123456")["result"] == "no_device"
            server.authority.revoked(revocations, bad_later[0])
            request = ("POST", "/v1/verify", {"user": "a", "code": "123456"})
            eventually(lambda: tls.request(*request).status == 401, 10, "the new list")
            assert other.request(*request).status == 200
        assert enters(good) and not enters(bad_later)
        # A list that is broken leaves the one that was read; the log says so.
        revocations.write_text("rubbish")
        eventually(lambda: "the old one stays" in server.log(), 10, "the log")
        assert enters(good) and not enters(bad)
    finally:
        server.end()


def test_the_portals_proxy_proves_itself_by_certificate(tmp_path):
    secret = tmp_path / "proxy.secret"
    secret.write_text("s" * 40)
    secret.chmod(0o600)
    proxy = '[portal.proxy]\nuser_header = "X-User"\naddresses = ["127.0.0.1"]\nclient_certificate = "proxy.example.org"\n'
    for name, more, headers in (("alone", "", {}), ("both", f'shared_secret_file = "{secret}"\n', {"X-Watchword-Proxy-Secret": "s" * 40})):
        server = own_server(tmp_path / name, proxy + more)
        mine = server.authority.issue("proxy", "proxy.example.org")
        other = server.authority.issue("vpn", "vpn.example.org")
        server.start()
        try:
            def enter(client, **more_headers):
                with TlsConnection(tls_port(server), client=client) as tls:
                    return tls.request("POST", "/portal/api/session", headers={"X-User": "ada", **more_headers}).status

            assert enter(mine, **headers) == 201
            assert enter(other, **headers) == 401 and enter(None, **headers) == 401
            if headers:
                assert enter(mine) == 401, "both are asked for"
            with TlsConnection(tls_port(server), client=mine) as tls:
                assert_problem(tls.request("GET", "/v1/users"), 401)  # the proxy is no caller of the API
                assert tls.request("GET", "/portal/api/session").status == 401
        finally:
            server.end()


def test_a_proxy_without_proof_or_without_a_listener_for_it_stops_the_start(tmp_path):
    for config in ('[portal.proxy]\nuser_header = "X-User"\naddresses = ["127.0.0.1"]\n',
                   '[portal.proxy]\nuser_header = "X-User"\naddresses = ["127.0.0.1"]\nclient_certificate = "p"\n'):
        (tmp_path / "w.toml").write_text(config)
        done = watchword.run("serve", "--config", tmp_path / "w.toml", "--data-dir", tmp_path / "none")
        assert done.returncode == 1 and "portal.proxy" in done.stderr, done.stderr


def test_where_a_client_certificate_is_required_nobody_enters_without(estate):
    with pytest.raises((ssl.SSLError, Closed, OSError)):
        with TlsConnection(estate.strict_port, estate.admin) as tls:
            tls.request("GET", "/healthz")
    client = estate.authority.issue("vpn2", "vpn.example.org")
    with TlsConnection(estate.strict_port, client=client) as tls:
        assert tls.request("GET", "/healthz").status == 200


def test_the_plain_listener_knows_no_certificates(estate):
    with Connection(estate.port) as plain:
        assert_problem(plain.request("GET", "/v1/users"), 401)
