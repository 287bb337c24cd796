"""Drives the real binary from outside: a server in a data directory of its own, a small HTTP client, and a phone.

Nothing here knows how the server works inside. Every wait is a poll with a deadline; everything started is ended by its
process id.
"""
import base64
import contextlib
import csv
import hashlib
import hmac
import io
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WATCHWORD_BINARY", str(REPOSITORY / "build" / "watchword"))
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
VECTORS = REPOSITORY / "tests" / "vectors"

START_S = 30  # a loaded machine; how fast a start must be has its own test


# ---------------------------------------------------------------------------------------------------------------- phone


def hotp(secret, counter, digits=6, algorithm="SHA1"):
    digest = hmac.digest(secret, struct.pack(">Q", counter), algorithm.lower())
    offset = digest[-1] & 15
    value = struct.unpack_from(">I", digest, offset)[0] & 0x7FFFFFFF
    return str(value % 10**digits).zfill(digits)


def base32(secret):
    return base64.b32encode(secret).decode().rstrip("=")


def unbase32(text):
    return base64.b32decode(text + "=" * (-len(text) % 8))


def oathtool(secret_base32, at=None, digits=6, period=30, algorithm="SHA1"):
    """The code that a real authenticator shows at `at`; the secret goes by stdin."""
    command = ["oathtool", f"--totp={algorithm}", "-b", "-d", str(digits), "-s", f"{period}s"]
    if at is not None:
        command += ["--now", f"@{int(at)}"]
    done = subprocess.run([*command, "-"], input=secret_base32, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Phone:
    """An authenticator app holding one secret."""

    def __init__(self, secret, digits=6, period=30, algorithm="SHA1", user=None, device=None):
        self.secret = secret
        self.digits = digits
        self.period = period
        self.algorithm = algorithm
        self.user = user
        self.device = device  # id, once registered

    def step(self, at):
        return int(at // self.period)

    def code_of(self, step):
        return hotp(self.secret, step, self.digits, self.algorithm)

    def code(self, at):
        return self.code_of(self.step(at))

    def wrong_code(self, at, salt=0):
        """A code that no step within an hour has."""
        taken = {self.code_of(self.step(at) + k) for k in range(-130, 131)}
        value = salt
        while str(value).zfill(self.digits) in taken:
            value += 7919
        return str(value).zfill(self.digits)

    @staticmethod
    def made(user, seed=None, **parameters):
        """A phone whose secret is known beforehand, for import."""
        return Phone(hashlib.sha1(f"{seed or ''}/{user}".encode()).digest(), user=user, **parameters)


# ---------------------------------------------------------------------------------------------------------------- clock


class Clock:
    """The server's wall clock, moved by libfaketime; it goes on at its usual pace. The monotonic clock is left alone."""

    def __init__(self, directory, at=None):
        self.file = pathlib.Path(directory) / "clock"
        self.offset = 0.0
        self.frozen = None
        self.set(at if at is not None else time.time())

    def _write(self, text):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text + "\n")
        os.replace(fresh, self.file)

    def set(self, at):
        self.frozen = None
        self.offset = at - time.time()
        self._write(f"{self.offset:+.6f}")

    def freeze(self, at):
        """Stands still at a whole second."""
        self.frozen = int(at)
        self._write(str(self.frozen))

    def now(self):
        return self.frozen if self.frozen is not None else time.time() + self.offset

    def forward(self, seconds):
        if self.frozen is not None:
            self.freeze(self.frozen + seconds)
        else:
            self.set(self.now() + seconds)

    def mid_step(self, period=30):
        """To the middle of a step, so that nothing happens at its edge."""
        self.set(self.now() // period * period + period / 2)

    def environment(self):
        return {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_FMT": "%s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
            "TZ": "UTC",
        }


def eventually(condition, deadline_s=20, what="the condition", every_s=0.02):
    """Polls until the condition gives something true, and returns that."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come within {deadline_s} s"
        time.sleep(every_s)


def steady(period=30, room_s=6):
    """Waits, if need be, until the real clock is at least `room_s` from the end of a step; returns the step."""
    eventually(lambda: period - time.time() % period > room_s, deadline_s=room_s + 5, what="a new step")
    return int(time.time() // period)


# ----------------------------------------------------------------------------------------------------------------- HTTP


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


# --------------------------------------------------------------------------------------------------------------- server


def run(*arguments, stdin=None, timeout_s=300, environment=None):
    """One command of the binary, to its end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, **(environment or {})},
    )


def open_files_limit(wanted):
    """Raises our own soft limit, and with it that of what we start. Returns the limit that came of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Server:
    """One data directory and, when started, the process that serves it."""

    def __init__(self, directory, config="", clock=None, data_dir=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data_dir = pathlib.Path(data_dir) if data_dir else self.directory / "data"
        self.log_file = self.directory / "server.log"
        self.clock = clock
        self.config_file = None
        if config:
            self.config_file = self.directory / "watchword.toml"
            self.config_file.write_text(config)
        self.process = None
        self.port = None
        self.ready_after_s = None
        self._main = None
        self._keep_alive = threading.Lock()
        made = run("init", "--data-dir", self.data_dir, *self._config_flags())
        assert made.returncode == 0, made.stderr
        self.admin = made.stdout.strip()
        assert made.stdout == self.admin + "\n" and " " not in self.admin, "the key stands alone on stdout"

    # -- life

    def _config_flags(self):
        return ["--config", str(self.config_file)] if self.config_file else []

    def start(self, ready=True):
        """On a port that the kernel chooses and the log tells. `ready` False: not waited for."""
        assert self.process is None
        own_listeners = self.config_file and "[[listener]]" in self.config_file.read_text()  # with port 0, the first one plain
        listen = [] if own_listeners else ["--listen", "127.0.0.1:0"]
        command = [BINARY, "serve", "--data-dir", str(self.data_dir), *listen, *self._config_flags()]
        environment = {**os.environ, **(self.clock.environment() if self.clock else {})}
        self._launched = time.monotonic()
        with open(self.log_file, "ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            self.port = eventually(lambda: self._port_told(before), START_S, "the port", every_s=0.002)
            if ready:
                eventually(self._ready_or_gone, START_S, "readiness", every_s=0.002)
        except AssertionError as error:
            self.kill9()
            raise AssertionError(f"{error}; log:\n{self.log()}") from None
        if self.process.poll() is None:
            return self
        code, self.process = self.process.returncode, None
        raise AssertionError(f"the server ended with {code}:\n{self.log()}")

    def _port_told(self, log_offset):
        with open(self.log_file, "rb") as log:
            log.seek(log_offset)
            told = re.search(rb'"listening","address":"127\.0\.0\.1:(\d+)"', log.read())
        if told:
            return int(told[1])
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}"
        return None

    def _ready_or_gone(self):
        if self.process.poll() is not None:
            return True
        try:
            with Connection(self.port, timeout_s=5) as connection:
                ready = connection.request("GET", "/readyz").status == 200
        except (OSError, Closed):
            return False
        if ready:
            self.ready_after_s = time.monotonic() - self._launched
        return ready

    def _forget_connection(self):
        if self._main:
            self._main.close()
            self._main = None

    def stop(self, deadline_s=30):
        """Gracefully; the exit code must be 0."""
        self._forget_connection()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(deadline_s)
        self.process = None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.log()}"

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process = None
        self._forget_connection()

    def restart(self, hard=False):
        self.kill9() if hard else self.stop()
        return self.start()

    def end(self):
        """For fixtures: whatever state it is in."""
        self._forget_connection()
        if self.process:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(20)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.process = None

    # -- looking at it

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def open_sockets(self):
        count = 0
        for file in os.listdir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f"/proc/{self.process.pid}/fd/{file}").startswith("socket:")
        return count

    def assert_healthy(self):
        assert self.process.poll() is None, f"the server is gone:\n{self.log()}"
        with Connection(self.port) as connection:
            assert connection.request("GET", "/healthz").status == 200
            assert connection.request("GET", "/readyz").status == 200

    # -- talking to it

    def connect(self, key=None, timeout_s=20):
        return Connection(self.port, key or self.admin, timeout_s)

    def call(self, method, path, body=None, key=None, headers=None):
        """On a connection that is kept; opened again where the server has closed it between calls."""
        with self._keep_alive:
            if self._main is not None:
                try:
                    return self._main.request(method, path, body, headers, key or self.admin)
                except (Closed, OSError):
                    self._forget_connection()
                    if method not in ("GET", "HEAD"):
                        self._tell_if_gone()
                        raise
            self._main = self.connect()
            return self._main.request(method, path, body, headers, key or self.admin)

    def _tell_if_gone(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(0.5)
            raise AssertionError(f"the server ended with {code}:\n{self.log()[-3000:]}")

    def expect(self, status, method, path, body=None, key=None, headers=None):
        answer = self.call(method, path, body, key, headers)
        assert answer.status == status, (method, path, answer)
        return answer.json() if answer.body else None

    def new_key(self, *scopes, name=None):
        name = name or "-".join(scopes)
        return self.expect(201, "POST", "/v1/api-keys", {"name": name, "scopes": list(scopes)})

    def set_policy(self, **changes):
        policy = self.expect(200, "GET", "/v1/policy")
        policy["lockout"].update(changes.pop("lockout", {}))
        return self.expect(200, "PUT", "/v1/policy", {**policy, **changes})

    def now(self):
        return self.clock.now() if self.clock else time.time()

    def begin(self, user, name="phone", **more):
        return self.expect(201, "POST", path_of(user, "devices"), {"name": name, **more})

    def confirm(self, user, device, code):
        return self.expect(200, "POST", path_of(user, "devices", device, "confirm"), {"code": code})

    def register(self, user, name="phone", step_back=0, **more):
        """Registers and confirms; the code of `step_back` steps ago is used up by it."""
        begun = self.begin(user, name, **more)
        phone = Phone(
            unbase32(begun["secret"]), begun.get("digits", 6), begun.get("period", 30), begun.get("algorithm", "SHA1"), user
        )
        phone.device = begun["id"]
        phone.confirmed_step = phone.step(self.now()) - step_back
        confirmed = self.confirm(user, begun["id"], phone.code_of(phone.confirmed_step))
        assert confirmed.get("status") == "active", confirmed
        return phone

    def device(self, phone):
        return self.expect(200, "GET", path_of(phone.user, "devices", phone.device))

    def user(self, user):
        return self.expect(200, "GET", path_of(user))

    def verify(self, user, code, key=None, **more):
        return self.expect(200, "POST", "/v1/verify", {"user": user, "code": code, **more}, key)

    def result(self, user, code, **more):
        return self.verify(user, code, **more)["result"]

    def batch(self, items):
        with self.connect(timeout_s=60) as connection:
            return connection.batch(items)

    # -- bulk

    def import_phones(self, phones, *flags):
        """Through the command line, while nothing serves."""
        file = self.directory / "import.csv"
        with open(file, "w", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["user", "name", "secret", "algorithm", "digits", "period"])
            for phone in phones:
                writer.writerow([phone.user, "phone", base32(phone.secret), phone.algorithm, phone.digits, phone.period])
        done = run("import", file, "--format", "csv", "--data-dir", self.data_dir, *flags)
        file.unlink()
        assert done.returncode == 0, done.stderr
        return done


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def in_parallel(count, work):
    """Runs work(0..count-1), each in a thread of its own, all let go at one moment; returns what they returned."""
    results = [None] * count
    failures = []
    gate = threading.Barrier(count)

    def body(i):
        try:
            gate.wait(60)
            results[i] = work(i)
        except BaseException as error:  # handed to the test below
            failures.append(error)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def contains(directory, needles):
    """Which of the byte strings occur in any file below the directory, as {needle: file}."""
    found = {}
    for file in sorted(pathlib.Path(directory).rglob("*")):
        if file.is_file() and not file.is_symlink():
            data = file.read_bytes()
            found.update({needle: file for needle in needles if needle in data})
    return found


def have(*programs):
    return all(shutil.which(program) for program in programs)
