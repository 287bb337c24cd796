"""An OpenID provider over TLS on the loopback, which can also be made to lie in every way that matters."""
import base64
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

CLIENT = "watchword-portal"
SECRET = "s3cret/with:odd characters"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True).stdout


class Key:
    def __init__(self, directory, kid, bits=2048):
        self.kid = kid
        self.file = directory / f"{kid}.pem"
        openssl("genrsa", "-out", self.file, bits)

    def jwk(self):
        modulus = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().strip().partition("=")[2]
        return {"kty": "RSA", "kid": self.kid, "use": "sig", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}

    def sign(self, claims, **header):
        head = {"alg": "RS256", "kid": self.kid, **header}
        text = base64url(json.dumps(head).encode()) + "." + base64url(json.dumps(claims).encode())
        return text + "." + base64url(self.signature(text.encode(), head["alg"]))

    def signature(self, text, algorithm):
        pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest") if algorithm == "PS256" else ()
        return openssl("dgst", "-sha256", "-sign", self.file, *pss, stdin=text)


class EcKey(Key):
    def __init__(self, directory, kid):
        self.kid = kid
        self.file = directory / f"{kid}.pem"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.file)

    def jwk(self):
        point = openssl("ec", "-in", self.file, "-pubout", "-outform", "DER")[-64:]
        return {"kty": "EC", "kid": self.kid, "crv": "P-256", "x": base64url(point[:32]), "y": base64url(point[32:])}

    def signature(self, text, algorithm):
        der = openssl("dgst", "-sha256", "-sign", self.file, stdin=text)
        at, parts = 2, []
        for _ in range(2):
            length = der[at + 1]
            parts.append(int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(32, "big"))
            at += 2 + length
        return b"".join(parts)


class Provider:
    """Knows one person; `twist` changes what it says."""

    def __init__(self, directory):
        self.directory = directory
        self.key, self.other = Key(directory, "one"), Key(directory, "two")
        self.published = [self.key]
        self.codes = {}
        self.questions = []
        self.claims = {"preferred_username": "ada@example.org", "groups": ["staff"]}
        self.twist = None  # claims, provider -> token
        self.delay_s = 0
        self.says_more = {}
        ca, cert, key, request = (directory / name for name in ("ca.pem", "tls.pem", "tls.key", "tls.csr"))
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory / "ca.key", "-out", ca, "-days", "2",
                "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=provider")
        names = directory / "names"
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", directory / "ca.key", "-CAcreateserial", "-out", cert,
                "-days", "2", "-extfile", names)
        self.ca = ca
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, value, status=200):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                time.sleep(provider.delay_s)
                if self.path == "/.well-known/openid-configuration":
                    return self.answer(provider.configuration())
                return self.answer({"keys": [key.jwk() for key in provider.published]})

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                status, value = provider.redeem({name: values[0] for name, values in form.items()}, self.headers)
                self.answer(value, status)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.issuer = f"https://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def configuration(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **self.says_more,
        }

    def authorize(self, url):
        """What the person's browser does there; returns the parameters of the way back."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        assert query["response_type"] == "code" and query["client_id"] == CLIENT and "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = base64url(os.urandom(16))
        self.codes[code] = query
        return {"code": code, "state": query["state"]}

    def redeem(self, form, headers):
        query = self.codes.pop(form["code"], None)
        quoted = urllib.parse.quote(CLIENT, safe="") + ":" + urllib.parse.quote(SECRET, safe="")
        proven = headers["Authorization"] == "Basic " + base64.b64encode(quoted.encode()).decode()
        challenge = base64url(hashlib.sha256(form["code_verifier"].encode()).digest())
        if not query or not proven or challenge != query["code_challenge"] or form["redirect_uri"] != query["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "1", "exp": now + 300, "iat": now, "nonce": query["nonce"], **self.claims}
        token = self.twist(claims, self) if self.twist else self.key.sign(claims)
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def end(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
