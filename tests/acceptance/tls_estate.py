"""What tests of TLS stand on: an authority in a folder, a client that speaks TLS, servers with certificates."""
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest

import watchword
from watchword import Closed, Connection


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
        """A certificate that ended yesterday."""
        return self.issue(name, common_name, days=-1)

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
