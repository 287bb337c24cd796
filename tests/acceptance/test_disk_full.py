"""A disk that runs full: what cannot be written is not accepted, and nothing that was accepted is forgotten."""
import os
import subprocess
import threading
import time

import pytest

from watchword import Closed, Phone, Server, assert_problem, base32, eventually, path_of

MEBIBYTE = 1 << 20
DISK_BYTES = 256 * MEBIBYTE


@pytest.fixture
def disk(tmp_path):
    """A small file system of the test's own."""
    where = tmp_path / "disk"
    where.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(where)],
                          capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {made.stderr.strip()}")
    yield where
    for _ in range(50):
        if subprocess.run(["umount", str(where)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture
def make_server_on(disk):
    """Depends on `disk`, so that servers end before it is unmounted."""
    servers = []

    def make(**options):
        servers.append(Server(disk.parent / "server", data_dir=disk / "data", **options))
        return servers[-1]

    yield make
    for made in servers:
        made.end()


def free_bytes(disk):
    stats = os.statvfs(disk)
    return stats.f_bavail * stats.f_frsize


def fill(disk, leave_bytes):
    """Takes the room with a file until no more than `leave_bytes` are free."""
    file = disk / "filler"
    with open(file, "ab", buffering=0) as out:
        while (over := free_bytes(disk) - leave_bytes) > 0:
            try:
                out.write(bytes(min(over, MEBIBYTE)))
            except OSError:
                break
    return file


# The log is laid out ahead; a small one is used up soon.
SMALL_LOG = "[data]\nfree_bytes_min = 0\nmemtable_bytes_max = 16777216\nwal_bytes_max = 16777216\n"


def use_up(server):
    """Writes until the server says that it cannot: a row of 3 kB each time."""
    user = "stout"
    devices = [server.register(user, f"{i}" + "\N{OLD HUNGARIAN CAPITAL LETTER A}" * 62, step_back=1,
                               secret=base32(os.urandom(256))) for i in range(8)]
    path = path_of(user, "devices", devices[0].device)
    for i in range(100_000):
        answer = server.call("PATCH", path, {"name": f"{i}".zfill(64)})
        if answer.status != 200:
            return assert_problem(answer, 503)
    raise AssertionError("the disk was never full")


class SignIns:
    """Codes of fresh users, each submitted once, with what was answered."""

    def __init__(self, server, phones):
        self.server = server
        self.fresh = iter(phones)
        self.accepted = []  # (user, code, when)
        self.refused = []  # answered 503: not accepted, as far as the client knows

    def one(self):
        phone = next(self.fresh)
        at = time.time()
        code = phone.code(at)
        answer = self.server.call("POST", "/v1/verify", {"user": phone.user, "code": code})
        if answer.status == 200:
            assert answer.json()["result"] == "accepted", answer
            self.accepted.append((phone, code, at))
        else:
            assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
            self.refused.append((phone, code, at))
        return answer.status

    def check_nothing_twice(self):
        """The codes may have left the window by now; then they are as dead."""
        for phone, code, _ in self.accepted:
            assert self.server.result(phone.user, code) in ("replayed", "rejected"), "accepted twice"
        recent = [one for one in self.accepted if time.time() - one[2] < 25]
        for phone, code, _ in recent:
            assert self.server.result(phone.user, code) == "replayed"
        for phone, code, _ in self.refused:
            first = self.server.result(phone.user, code)
            assert first in ("accepted", "replayed", "rejected")
            assert self.server.result(phone.user, code) != "accepted"


def recover(server):
    """Space has come back: it works again, or says that it needs a restart and then works. Returns which."""

    def state():
        with server.connect() as connection:
            answer = connection.request("GET", "/readyz")
        return answer.status == 200 or (b"restart" in answer.body)

    eventually(state, 30, "readiness, or the word that a restart is needed")
    with server.connect() as connection:
        if connection.request("GET", "/readyz").status == 200:
            return "by itself"
    try:
        server.stop()
    except AssertionError:
        pass  # a store that cannot write may say so with its exit code
    server.start()
    return "restarted"


def test_when_the_disk_runs_low_it_says_503_before_it_is_full_and_goes_on_when_there_is_room(disk, make_server_on):
    guard = 48 * MEBIBYTE
    server = make_server_on(config=f"[data]\nfree_bytes_min = {guard}\n")
    server.import_phones([Phone.made(f"low-{i}") for i in range(4000)])
    server.start()
    sign_ins = SignIns(server, (Phone.made(f"low-{i}") for i in range(4000)))
    assert sign_ins.one() == 200
    filler = fill(disk, guard // 2)
    eventually(lambda: sign_ins.one() == 503, 20, "the refusal")
    for _ in range(20):
        assert sign_ins.one() == 503
    assert_problem(server.call("POST", path_of("new", "devices"), {"name": "phone"}), 503)
    with server.connect() as connection:
        assert connection.request("GET", "/healthz").status == 200, "it is alive"
        assert connection.request("GET", "/readyz").status == 503, "and not ready"
    assert free_bytes(disk) > guard // 4, "it stopped while there was room"
    filler.unlink()
    eventually(lambda: sign_ins.one() == 200, 20, "the recovery by itself")
    server.assert_healthy()
    server.begin("new")
    sign_ins.check_nothing_twice()
    server.restart(hard=True)
    sign_ins.check_nothing_twice()


@pytest.mark.parametrize("ending", ["as it goes", "SIGKILL while full"])
def test_on_a_full_disk_nothing_is_accepted_that_is_not_on_it(disk, make_server_on, ending):
    server = make_server_on(config=SMALL_LOG)
    server.import_phones([Phone.made(f"full-{i}") for i in range(20000)])
    server.start()
    sign_ins = SignIns(server, (Phone.made(f"full-{i}") for i in range(20000)))
    assert sign_ins.one() == 200
    fill(disk, 0)
    use_up(server)
    for _ in range(20):
        sign_ins.one()
    begun = server.call("POST", path_of("new", "devices"), {"name": "phone"})
    assert_problem(begun, 503)
    assert server.process.poll() is None, "it does not fall over"
    if ending == "SIGKILL while full":
        server.kill9()
        (disk / "filler").unlink()
        server.start()
    else:
        (disk / "filler").unlink()
        recover(server)
    sign_ins.check_nothing_twice()
    eventually(lambda: sign_ins.one() == 200, 20, "sign-ins")
    server.begin("newer")
    server.restart(hard=True)
    sign_ins.check_nothing_twice()


def test_a_disk_that_fills_under_load_loses_no_accepted_code(disk, make_server_on):
    server = make_server_on(config=SMALL_LOG)
    phones = [Phone.made(f"load-{i}") for i in range(60000)]
    server.import_phones(phones)
    server.start()
    fresh, lock = iter(phones), threading.Lock()
    accepted, unknown, refused = [], [], threading.Event()

    def sign_in():
        try:
            with server.connect() as connection:
                while not refused.is_set():
                    with lock:
                        phone = next(fresh, None)
                    if phone is None:
                        return
                    at = time.time()
                    code = phone.code(at)
                    answer = connection.request("POST", "/v1/verify", {"user": phone.user, "code": code})
                    if answer.status == 200 and answer.json()["result"] == "accepted":
                        accepted.append((phone, code, at))
                    else:
                        unknown.append((phone, code, answer))
                        refused.set()
        except (Closed, OSError) as error:
            unknown.append((None, None, error))
            refused.set()

    threads = [threading.Thread(target=sign_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(accepted) > 200, 20, "sign-ins")
    fill(disk, 0)
    use_up(server)
    for thread in threads:
        thread.join()
    assert refused.is_set(), "sign-ins went on"
    for _, _, answer in unknown:
        assert_problem(answer, 503)
    server.kill9()
    (disk / "filler").unlink()
    server.start()
    answers = server.batch([{"user": phone.user, "code": code} for phone, code, _ in accepted])
    for (phone, _, at), answer in zip(accepted, answers):
        wanted = ("replayed",) if time.time() - at < 25 else ("replayed", "rejected")
        assert answer["result"] in wanted, (phone.user, answer)
