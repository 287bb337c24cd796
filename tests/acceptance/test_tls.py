"""TLS on a listener: versions, certificates that change under open connections, client certificates, clients that misbehave."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

import watchword
from watchword import Closed, Connection, Phone, assert_problem, eventually, in_parallel


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        folder.mkdir(exist_ok=True, parents=True)
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, common_name, san=None, days=20):
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={common_name}",
                "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={san}\n" if san else "basicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key

    def expired(self, name, common_name):
        """A certificate of yesterday."""
        certificate, key = self.issue(name, common_name)
        request = certificate.with_suffix(".csr")
        done = subprocess.run(["faketime", "3 days ago", "openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey",
                               self.key, "-CAcreateserial", "-days", "1", "-out", certificate], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return certificate, key

    def revoked(self, into, *certificates):
        """Writes the authority's list of what it has revoked, with these in it too."""
        config = self.folder / "ca.conf"
        if not config.exists():
            (self.folder / "index").write_text("")
            (self.folder / "crlnumber").write_text("01\n")
            config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.folder}/index\ncrlnumber={self.folder}/crlnumber\n"
                              "default_md=sha256\ndefault_crl_days=30\nunique_subject=no\n")
        mine = ("-config", config, "-cert", self.certificate, "-keyfile", self.key)
        for certificate in certificates:
            openssl("ca", *mine, "-revoke", certificate)
        openssl("ca", *mine, "-gencrl", "-out", self.folder / "new.crl")
        os.replace(self.folder / "new.crl", into)


class TlsConnection(Connection):
    def __init__(self, port, key=None, client=None, timeout_s=20, ca=None, lowest=None, highest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if ca:
            context.load_verify_locations(ca)
        else:
            context.verify_mode = ssl.CERT_NONE
        if lowest:
            context.minimum_version = lowest
        if highest:
            context.maximum_version = highest
        if client:
            context.load_cert_chain(*client)
        plain = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise
        self.key = key
        self.input = b""

    def _more(self):
        try:
            super()._more()
        except ssl.SSLError as error:
            raise Closed(str(error)) from error

    def serial(self):
        shown = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-serial"],
                               input=self.socket.getpeercert(binary_form=True), capture_output=True, check=True)
        return shown.stdout.decode().strip()


def serial_of(file):
    return subprocess.run(["openssl", "x509", "-in", file, "-noout", "-serial"], capture_output=True, text=True,
                          check=True).stdout.strip()


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    """An authority, a server with a plain listener, one with TLS, and one that demands client certificates."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "ca")
    certificate, key = authority.issue("server", "localhost", "DNS:localhost")
    shutil.copy(certificate, folder / "live.pem")
    shutil.copy(key, folder / "live.key")
    shutil.copy(authority.certificate, folder / "clients.pem")
    tls = f'certificate_file = "{folder}/live.pem"\nkey_file = "{folder}/live.key"\nclient_ca_file = "{folder}/clients.pem"\n'
    config = f"""
[[listener]]
port = 0
[[listener]]
port = 0
{tls}
[[listener]]
port = 0
{tls}client_certificate = "required"
[[client_certificate]]
name = "vpn.example.org"
scopes = ["verify"]
[[client_certificate]]
name = "urn:desk:1"
scopes = ["enroll", "read"]
[server]
header_timeout_s = 2
write_timeout_s = 3
"""
    server = watchword.Server(folder / "server", config=config).start()
    ports = re.findall(r'"listening","address":"127\.0\.0\.1:(\d+)"', server.log())
    server.authority, server.folder = authority, folder
    server.tls_port, server.strict_port = int(ports[1]), int(ports[2])
    yield server
    server.end()


def s_client(port, *flags):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *flags], input="Q\n", capture_output=True,
                          text=True, timeout=20)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_serve_requests_of_every_size(estate, version):
    with TlsConnection(estate.tls_port, estate.admin, ca=estate.authority.certificate, lowest=version, highest=version) as tls:
        assert tls.socket.version() == version.name.replace("_", ".")
        assert tls.request("GET", "/readyz").status == 200
        # A body of many TLS records, and an answer of many.
        phone = Phone.made(f"ada-{version.name}")
        items = [{"user": phone.user + "x" * 200, "code": "000000"} for _ in range(1000)]
        assert {one["result"] for one in tls.batch(items)} == {"no_device"}
        assert_problem(tls.request("GET", "/v1/users", key="ww_wrong"), 401)


@pytest.mark.parametrize("flag", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(estate, flag):
    done = s_client(estate.tls_port, flag, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in done.stdout and done.returncode != 0


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "AES256-SHA", "ECDHE-ECDSA-AES256-SHA384"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(estate, cipher):
    done = s_client(estate.tls_port, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
    assert "Cipher is (NONE)" in done.stdout


def test_no_client_renegotiates(estate):
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{estate.tls_port}", "-tls1_2"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        time.sleep(0.5)
        out, _ = client.communicate(b"R\n", timeout=20)
    assert b"no renegotiation" in out


def test_a_session_is_resumed_by_its_ticket(estate, tmp_path):
    file = str(tmp_path / "session")
    for flags, word in ([("-sess_out", file), "New"], [("-sess_in", file), "Reused"]):
        done = s_client(estate.tls_port, "-tls1_2", *flags)
        assert f"{word}, TLSv1.2" in done.stdout


def test_only_http_1_1_is_agreed_on(estate):
    assert "ALPN protocol: http/1.1" in s_client(estate.tls_port, "-alpn", "h2,http/1.1").stdout
    assert "no application protocol" in s_client(estate.tls_port, "-alpn", "h2").stderr


def test_pipelined_requests_are_answered_in_order(estate):
    with TlsConnection(estate.tls_port, estate.admin) as tls:
        request = watchword.request_bytes("GET", "/healthz", key=estate.admin)
        tls.send(request * 300)
        assert all(tls.read().status == 200 for _ in range(300))


def test_garbage_plain_http_and_half_handshakes_harm_nobody(estate):
    with TlsConnection(estate.tls_port, estate.admin) as bystander:
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4000), b"\x16\x03\x01\xff\xff" + bytes(3000), b"\x16\x03\x01",
                     b"\x80" * 70, b""):
            with socket.create_connection(("127.0.0.1", estate.tls_port), timeout=10) as client:
                begun = time.monotonic()
                try:
                    client.sendall(sent)
                    while client.recv(4096):
                        pass
                except ConnectionError:
                    pass
                assert time.monotonic() - begun < 6, "the handshake has a time limit"
        # Garbage after the handshake.
        with TlsConnection(estate.tls_port) as client:
            raw = socket.socket(fileno=os.dup(client.socket.fileno()))
            raw.sendall(os.urandom(500))
            raw.close()
            assert client.closed_by_server(5)
        assert bystander.request("GET", "/readyz").status == 200
    estate.assert_healthy()


def test_who_does_not_read_the_answer_is_cut_and_others_are_not_delayed(estate):
    sockets = estate.open_sockets()
    with TlsConnection(estate.tls_port, estate.admin) as slow:
        slow.socket.settimeout(1)
        request = watchword.request_bytes("GET", "/v1/policy", key=estate.admin)
        try:
            for _ in range(400):
                slow.send(request * 200)
        except (OSError, ssl.SSLError):
            pass
        with TlsConnection(estate.tls_port, estate.admin) as other:
            begun = time.monotonic()
            assert other.request("GET", "/readyz").status == 200
            assert time.monotonic() - begun < 2
        eventually(lambda: estate.open_sockets() <= sockets, 15, "the slow client to be cut")


def test_bytes_one_at_a_time_make_a_request(estate):
    with TlsConnection(estate.tls_port, estate.admin) as tls:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: w\r\n\r\n":
            tls.send(bytes([byte]))
        assert tls.read().status == 200


def test_closing_tells_the_client_so(estate):
    with TlsConnection(estate.tls_port) as tls:
        assert tls.request("GET", "/healthz", headers={"Connection": "close"}).status == 200
        assert tls.socket.recv(10) == b"", "an orderly end, not a truncation"


# ---------------------------------------------------------------------------------------------------- certificates change


def served_serial(estate):
    with TlsConnection(estate.tls_port) as tls:
        return tls.serial()


def put(estate, certificate, key):
    for source, name in ((certificate, "live.pem"), (key, "live.key")):
        shutil.copy(source, estate.folder / "beside")
        os.replace(estate.folder / "beside", estate.folder / name)


def test_a_new_certificate_is_taken_without_dropping_a_connection(estate):
    with TlsConnection(estate.tls_port, estate.admin) as kept:
        old = kept.serial()
        new = estate.authority.issue("renewed", "localhost", "DNS:localhost")
        put(estate, *new)
        eventually(lambda: served_serial(estate) == serial_of(new[0]), 10, "the new certificate")
        assert old != serial_of(new[0]) and kept.serial() == old
        assert kept.request("GET", "/readyz").status == 200
    assert '"certificate loaded"' in estate.log()


def test_sighup_takes_the_certificate_at_once_under_load(estate):
    new = estate.authority.issue("hangup", "localhost", "DNS:localhost")
    stop = time.monotonic() + 3

    def ask(_):
        count = 0
        with TlsConnection(estate.tls_port, estate.admin) as tls:
            while time.monotonic() < stop:
                assert tls.request("GET", "/healthz").status == 200
                count += 1
        return count

    def reload(_):
        put(estate, *new)
        for _ in range(20):
            estate.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        return 1

    assert all(in_parallel(5, lambda i: reload(i) if i == 0 else ask(i)))
    assert served_serial(estate) == serial_of(new[0])


def test_a_broken_certificate_keeps_the_old_one_and_says_so(estate):
    before = served_serial(estate)
    good = (estate.folder / "live.pem").read_bytes(), (estate.folder / "live.key").read_bytes()
    other_key = estate.authority.issue("other", "localhost")[1].read_bytes()
    for name, content in (("live.pem", b"rubbish\n"), ("live.pem", b""), ("live.pem", None), ("live.key", other_key),
                          ("live.key", b"\0" * 100)):
        logged = len(estate.log())
        if content is None:
            (estate.folder / name).unlink()
        else:
            (estate.folder / name).write_bytes(content)
        estate.process.send_signal(signal.SIGHUP)
        told = eventually(lambda: "new certificate is broken; the old one stays" in estate.log()[logged:], 10, "the log")
        assert told and served_serial(estate) == before
        (estate.folder / "live.pem").write_bytes(good[0])
        (estate.folder / "live.key").write_bytes(good[1])
    logged = len(estate.log())
    estate.process.send_signal(signal.SIGHUP)
    eventually(lambda: "certificate loaded" in estate.log()[logged:], 10, "the good one again")
    estate.assert_healthy()


@pytest.mark.parametrize("broken", ["certificate", "key", "client_ca"])
def test_the_start_fails_where_a_file_is_broken(estate, tmp_path, broken):
    (tmp_path / "bad").write_text("rubbish")
    files = {"certificate": estate.folder / "live.pem", "key": estate.folder / "live.key", "client_ca": estate.folder / "clients.pem"}
    files[broken] = tmp_path / "bad"
    config = "[[listener]]\nport = 0\n" + "".join(f'{name}_file = "{file}"\n' for name, file in files.items())
    server = watchword.Server(tmp_path / "server", config=config)
    with pytest.raises(AssertionError):
        server.start()
    assert str(tmp_path / "bad") in server.log()
    server.end()


@pytest.mark.parametrize("config", [
    '[[listener]]\nkey_file = "k"\n',
    '[[listener]]\ncertificate_file = "c"\nclient_certificate = "required"\n',
    '[[listener]]\ncertificate_file = 1\n',
    '[[listener]]\ncertificate_file = "c"\nclient_crl_file = "l"\n',
    '[[client_certificate]]\nname = "a"\nscopes = ["everything"]\n',
    '[[client_certificate]]\nname = "a"\nscopes = []\n',
    '[[client_certificate]]\nscopes = ["verify"]\n',
    '[[client_certificate]]\nname = "' + "n" * 257 + '"\nscopes = ["verify"]\n',
    '[[client_certificate]]\nname = "a"\nscopes = ["verify"]\n[[client_certificate]]\nname = "a"\nscopes = ["read"]\n',
])
def test_wrong_settings_are_refused_with_their_line(tmp_path, config):
    (tmp_path / "w.toml").write_text(config)
    done = watchword.run("serve", "--config", tmp_path / "w.toml", "--data-dir", tmp_path / "none")
    assert done.returncode == 1 and re.search(r"w\.toml:\d+: ", done.stderr), done.stderr


# --------------------------------------------------------------------------------------------------- client certificates


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


def own_server(folder, more="", listener="", clock=None):
    """With an authority and a certificate of its own: a plain listener, and one with TLS."""
    authority = Authority(folder / "ca")
    certificate, key = authority.issue("server", "localhost", "DNS:localhost")
    server = watchword.Server(folder / "server", clock=clock, config=f"""
[[listener]]
port = 0
[[listener]]
port = 0
certificate_file = "{certificate}"
key_file = "{key}"
client_ca_file = "{authority.certificate}"
{listener}
[[client_certificate]]
name = "vpn.example.org"
scopes = ["verify"]
{more}""")
    server.authority = authority
    return server


def tls_port(server):
    return int(re.findall(r'"listening","address":"127\.0\.0\.1:(\d+)"', server.log())[-1])


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
