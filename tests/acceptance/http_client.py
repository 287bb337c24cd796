"""A small HTTP client, which can also send what is none."""
import json
import socket
import urllib.parse


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # lower-case name -> value
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers.get('content-type')} {self.body[:300]!r}>"


def request_bytes(method, path, body=None, key=None, headers=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: watchword"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    names = {name.lower() for name in headers or {}}
    if body is not None:
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        if "content-length" not in names and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {len(body)}")
    for name, value in (headers or {}).items():
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


class Closed(Exception):
    """The server closed the connection before a whole answer."""


class Connection:
    """One HTTP/1.1 connection, kept alive, over a plain socket, so that anything at all can be sent."""

    def __init__(self, port, key=None, timeout_s=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key = key
        self.input = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        try:
            data = self.socket.recv(262144)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of stream" + (f" after {self.input[:200]!r}" if self.input else ""))
        self.input += data

    def read(self, head_only=False):
        while b"\r\n\r\n" not in self.input:
            self._more()
        head, _, rest = self.input.partition(b"\r\n\r\n")
        self.input = rest
        lines = head.decode("latin-1").split("\r\n")
        assert lines[0].startswith("HTTP/1."), lines[0]
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if "transfer-encoding" in headers:
            assert headers["transfer-encoding"] == "chunked" and "content-length" not in headers, headers
            return Response(status, headers, b"" if head_only else self._chunks())
        length = 0 if head_only else int(headers.get("content-length", 0))
        while len(self.input) < length:
            self._more()
        body, self.input = self.input[:length], self.input[length:]
        if status == 100:
            return self.read(head_only)
        return Response(status, headers, body)

    def _chunks(self):
        body = []
        while True:
            while b"\r\n" not in self.input:
                self._more()
            size, _, self.input = self.input.partition(b"\r\n")
            size = int(size, 16)
            while len(self.input) < size + 2:
                self._more()
            assert self.input[size : size + 2] == b"\r\n"
            body.append(self.input[:size])
            self.input = self.input[size + 2 :]
            if size == 0:
                return b"".join(body)

    def request(self, method, path, body=None, headers=None, key=None):
        self.send(request_bytes(method, path, body, key or self.key, headers))
        return self.read(head_only=method == "HEAD")

    def closed_by_server(self, within_s=20):
        """Reads on until the server closes; True when it does."""
        self.socket.settimeout(within_s)
        try:
            while True:
                self._more()
        except Closed:
            return True
        except (TimeoutError, socket.timeout):
            return False

    def verify(self, user, code, **more):
        answer = self.request("POST", "/v1/verify", {"user": user, "code": code, **more})
        assert answer.status == 200, answer
        return answer.json()

    def batch(self, items):
        """Verifies any number of items, a thousand at a time."""
        results = []
        for at in range(0, len(items), 1000):
            answer = self.request("POST", "/v1/verify/batch", {"items": items[at : at + 1000]})
            assert answer.status == 200, answer
            results += answer.json()["results"]
        assert len(results) == len(items)
        return results


def path_of(user, *rest):
    return "/".join(["/v1/users", urllib.parse.quote(user, safe=""), *rest])


def assert_problem(answer, status, field=None):
    """An RFC 9457 problem document; `status` is one number or several."""
    wanted = status if isinstance(status, (tuple, range)) else (status,)
    assert answer.status in wanted, answer
    assert answer.headers.get("content-type", "").split(";")[0] == "application/problem+json", answer
    problem = answer.json()
    assert problem["status"] == answer.status
    for name in ("type", "title", "detail"):
        assert isinstance(problem[name], str) and problem[name], problem
    if field is not None:
        assert problem.get("field") == field, problem
    return problem
