"""TLS on a listener: versions, certificates that change under open connections, clients that misbehave."""
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
from tls_estate import TlsConnection, estate, serial_of  # noqa: F401: estate is a fixture
from watchword import Phone, assert_problem, eventually, in_parallel


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
