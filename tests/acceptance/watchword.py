"""Drives the real binary from outside: a server in a data directory of its own, a small HTTP client, and a phone.

Nothing here knows how the server works inside. Every wait is a poll with a deadline; everything started is ended by its
process id.
"""
import contextlib
import csv
import io
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

# Tests take all from here.
from http_client import Closed, Connection, assert_problem, path_of, request_bytes  # noqa: F401
from phones import Clock, Phone, base32, eventually, hotp, oathtool, steady, unbase32  # noqa: F401

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WATCHWORD_BINARY", str(REPOSITORY / "build" / "watchword"))
VECTORS = REPOSITORY / "tests" / "vectors"

# Of every algorithm, number of digits and period, with names that are hard to quote.
GOOD_PHONES = [
    Phone.made("ada"),
    Phone.made("zoë müller", digits=8, period=60, algorithm="SHA256"),
    Phone.made('quo"te, comma', digits=7, period=15, algorithm="SHA512"),
    Phone.made("名前"),
]

START_S = 30  # a loaded machine; how fast a start must be has its own test


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


def end_process(process):
    """Asks it to end, and sees to it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
            end_process(self.process)
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
        write_csv(file, phones)
        done = run("import", file, "--format", "csv", "--data-dir", self.data_dir, *self._config_flags(), *flags)
        file.unlink()
        assert done.returncode == 0, done.stderr
        return done


def write_csv(file, phones, extra=""):
    """As `watchword import` takes it; `extra`: more text behind."""
    with open(file, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["user", "name", "secret", "algorithm", "digits", "period"])
        for phone in phones:
            writer.writerow([phone.user, "phone", base32(phone.secret), phone.algorithm, phone.digits, phone.period])
        out.write(extra)


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
