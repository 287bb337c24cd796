"""What the service manager is told, and what the unit allows."""
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

import watchword
from watchword import eventually

UNIT = watchword.REPOSITORY / "configs" / "watchword.service"


class Manager:
    """systemd's end of the socket, and a server that was told of it."""

    def __init__(self, directory, abstract=False, environment=None):
        self.server = watchword.Server(directory / "server")
        self.name = f"\0watchword-{os.getpid()}" if abstract else str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name)
        self.socket.settimeout(20)
        command = [watchword.BINARY, "serve", "--data-dir", self.server.data_dir, "--listen", "127.0.0.1:0"]
        self.log = directory / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stderr=log, env={**os.environ, "NOTIFY_SOCKET": self.name.replace("\0", "@"), **(environment or {})})

    def next(self):
        return self.socket.recv(4096).decode()

    def until(self, wanted, tries=200):
        for _ in range(tries):
            told = self.next()
            if told.startswith(wanted):
                return told
        raise AssertionError(f"{wanted} was not told")

    def heard_within(self, seconds, wanted):
        """How often it was told."""
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            with contextlib.suppress(TimeoutError, socket.timeout):
                count += self.next().startswith(wanted)
        self.socket.settimeout(20)
        return count

    def end(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()


def listens(pid):
    """Whether the process has a TCP socket that listens, at this moment."""
    process = pathlib.Path(f"/proc/{pid}")
    listening = {fields[9] for fields in map(str.split, (process / "net" / "tcp").read_text().splitlines()) if fields[3] == "0A"}
    links = [os.readlink(file) for file in (process / "fd").iterdir()]
    return any(f"socket:[{inode}]" in links for inode in listening)


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path)
    yield made
    made.end()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_ready_alive_and_stopping(tmp_path, abstract):
    manager = Manager(tmp_path, abstract)
    try:
        assert manager.next() == "READY=1"
        assert listens(manager.process.pid), "ready comes after the sockets are open"
        for _ in range(3):
            manager.until("WATCHDOG=1")
        manager.process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        assert manager.process.wait(20) == 0
    finally:
        manager.end()


def test_a_reload_is_told_from_its_beginning_to_its_end(manager):
    manager.until("READY=1")
    for _ in range(2):
        manager.process.send_signal(signal.SIGHUP)
        told = manager.until("RELOADING=1")
        moment_us = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", told)[1])
        assert abs(moment_us / 1e6 - time.monotonic()) < 20
        assert manager.next() == "READY=1"


def test_the_status_line_says_how_fast_the_work_goes(manager):
    manager.until("READY=1")
    told = manager.until("STATUS=")
    assert re.fullmatch(r"STATUS=Serving: \d+ commits/s with \d+ words/s, \d+ connections", told), told


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


@contextlib.contextmanager
def stopped(pid, name):
    """One thread of the process, by its name, standing still."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    threads = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (task / "comm").read_text().strip() == name]
    assert threads, f"no thread is called {name}"
    if libc.ptrace(PTRACE_SEIZE, threads[0], None, None) != 0:
        pytest.skip("threads of a process that forbids dumps can be stopped by root alone")
    libc.ptrace(PTRACE_INTERRUPT, threads[0], None, None)
    os.waitpid(threads[0], WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, threads[0], None, None)


@pytest.mark.parametrize("thread", ["loop", "committer"])
def test_the_watchdog_is_told_nothing_while_a_thread_that_all_wait_for_hangs(manager, thread):
    manager.until("READY=1")
    manager.until("WATCHDOG=1")
    with stopped(manager.process.pid, thread):
        manager.heard_within(1, "WATCHDOG=1")  # what was under way
        assert manager.heard_within(3, "WATCHDOG=1") == 0
    manager.until("WATCHDOG=1")


@pytest.mark.parametrize("path", ["", "x", "/nowhere/notify", "a" * 300, "vsock:1:1"])
def test_a_socket_that_is_none_harms_nothing(tmp_path, monkeypatch, path):
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    server = watchword.Server(tmp_path / "server").start()
    try:
        server.assert_healthy()
        server.stop()
    finally:
        server.end()


def test_a_process_that_holds_secrets_leaves_no_core(server):
    process = pathlib.Path(f"/proc/{server.process.pid}")
    limit = re.search(r"Max core file size\s+(\d+)\s+(\d+)", (process / "limits").read_text())
    assert limit.groups() == ("0", "0")
    # Not dumpable: its files in /proc belong to root, whoever runs it; as root that cannot be told apart by ownership.
    if os.getuid() != 0:
        assert process.stat().st_uid == 0
    assert resource.prlimit(server.process.pid, resource.RLIMIT_CORE) == (0, 0)


@pytest.mark.skipif(not watchword.have("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_valid_and_as_closed_as_the_manual_says(tmp_path):
    unit = tmp_path / "watchword.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/watchword", watchword.BINARY))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert "watchword.service" not in verified.stderr, verified.stderr
    shown = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True).stdout
    exposure = float(re.search(r"Overall exposure level for watchword.service: ([\d.]+)", shown)[1])
    said = float(re.search(r"exposure of ([\d.]+)", (watchword.REPOSITORY / "docs" / "operations.md").read_text())[1])
    assert exposure <= said, shown


@pytest.mark.skipif(not watchword.have("systemd-analyze", "strace"), reason="needs systemd-analyze and strace")
def test_the_server_makes_no_system_call_that_the_unit_forbids(tmp_path):
    def calls(group, seen=None):
        shown = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True).stdout
        names = {line.strip() for line in shown.splitlines() if re.fullmatch(r"\s+@?[a-z0-9_-]+", line)}
        return set().union(*({name} if not name.startswith("@") else calls(name) for name in names))

    allowed = calls("@system-service") - calls("@privileged") - calls("@resources")
    server = watchword.Server(tmp_path / "server", config=f'[backup]\ndir = "{tmp_path}/backups"\n')
    traced = tmp_path / "calls"
    process = subprocess.Popen(["strace", "-f", "-qq", "-o", traced, watchword.BINARY, "serve", "--config", server.config_file,
                                "--data-dir", server.data_dir, "--listen", "127.0.0.1:0"],
                               stderr=open(server.log_file, "wb"))
    try:
        told = eventually(lambda: re.search(r'"listening","address":"127.0.0.1:(\d+)"', server.log()), 60, "the port")
        server.port = int(told[1])
        phone = server.register("ada")
        server.expect(201, "POST", "/v1/backups")
        server.expect(201, "POST", watchword.path_of("ada", "recovery-codes"))
        assert server.result("ada", phone.code_of(phone.confirmed_step + 1)) == "accepted"
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    made = {found[1] for found in re.finditer(r"^\d+ +([a-z0-9_]+)\(", traced.read_text(), re.M)}
    assert made - allowed <= {"setpriority", "sched_setattr", "ioprio_set", "sched_setaffinity"}, made - allowed
