"""A secret is shown once, and is in no log, no file, no process argument, no core dump; a key is stored hashed."""
import base64
import os
import pathlib
import re
import stat
import time

import pytest

from watchword import Phone, assert_problem, base32, contains, hotp, path_of, run, steady, unbase32


def forms(secret):
    """A secret as it could stand somewhere."""
    text = base32(secret)
    return [secret, text.encode(), text.lower().encode(), secret.hex().encode(), secret.hex().upper().encode(),
            base64.b64encode(secret).rstrip(b"=")[:-1]]


class Traces:
    """What must not be found, and what was done meanwhile."""

    def __init__(self):
        self.secrets = []
        self.codes = []
        self.keys = []


@pytest.fixture(scope="module")
def lived(shared):
    """A server on which everything happened: registrations, sign-ins good and bad, broken requests, keys."""
    traces = Traces()
    steady(room_s=12)
    traces.keys.append(shared.admin)
    verifier = shared.new_key("verify", "enroll", "read", name="gateway")
    traces.keys.append(verifier["key"])
    for i in range(5):
        user = f"person-{i}@example.org"
        begun = shared.begin(user)
        phone = Phone(unbase32(begun["secret"]), user=user)
        traces.secrets.append(phone.secret)
        shared.call("GET", path_of(user, "devices", begun["id"], "qr.png"))
        now = time.time()
        typed = [phone.wrong_code(now, 111111 * (i + 1)), phone.code(now - 30), phone.code(now), phone.code(now + 30)]
        shared.confirm(user, begun["id"], typed[0])
        assert shared.confirm(user, begun["id"], typed[1])["status"] == "active"
        for code in typed:
            shared.verify(user, code, key=verifier["key"], request_id=f"request-{i}")
            shared.call("POST", "/v1/verify", {"user": user, "code": code, "oops": code})
            shared.call("POST", "/v1/verify", {"user": user, "code": code + "x"})
            shared.call("POST", "/v1/verify", f'{{"user":"{user}","code":"{code}"'.encode())
        shared.call("POST", path_of(user, "devices", begun["id"], "resync"), {"code1": typed[2], "code2": typed[3]})
        traces.codes += typed
    given = b"a secret that was given by the caller"
    shared.begin("given", secret=base32(given))
    shared.call("POST", path_of("given2", "devices"), {"name": "x", "secret": base32(given), "digits": 99})
    shared.call("GET", "/v1/users?secret=" + base32(given))
    traces.secrets.append(given)
    shared.call("GET", "/v1/users", key=verifier["key"] + "x")
    return shared, traces


def test_no_log_line_holds_a_secret_a_key_or_a_code(lived):
    server, traces = lived
    log = server.log()
    for secret in traces.secrets:
        for form in forms(secret):
            assert form not in log.encode(), "a secret is in the log"
    for key in traces.keys:
        assert key not in log and key.split("_", 2)[2] not in log, "a key is in the log"
    for code in traces.codes:
        assert not re.search(rf"(?<!\d){code}(?!\d)", log), f"a code is in the log:\n{log}"
    assert "otpauth" not in log and "Bearer" not in log


def test_no_file_holds_a_secret_or_a_key(lived):
    server, traces = lived
    needles = [form for secret in traces.secrets for form in forms(secret)]
    needles += [key.encode() for key in traces.keys] + [key.split("_", 2)[2].encode() for key in traces.keys]
    needles += [base64.urlsafe_b64decode(key.split("_", 2)[2] + "==") for key in traces.keys if "_" in key]
    assert contains(server.directory, needles) == {}
    server.restart()  # whatever was in memory only has now been written
    assert contains(server.directory, needles) == {}


def test_the_process_shows_nothing_in_its_arguments_and_environment(lived):
    server, traces = lived
    for name in ("cmdline", "environ"):
        shown = pathlib.Path(f"/proc/{server.process.pid}/{name}").read_bytes()
        for key in traces.keys:
            assert key.encode() not in shown
        for secret in traces.secrets:
            assert not any(form in shown for form in forms(secret))


def memory(pid):
    """Everything that a debugger would find, area by area."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not area or "[v" in line:
                continue
            begin, end = (int(part, 16) for part in area.groups())
            try:
                mem.seek(begin)
                yield line.rstrip(), mem.read(end - begin)
            except (OSError, OverflowError):
                continue


def in_memory(server, secrets):
    found = []
    for area, data in memory(server.process.pid):
        for k, secret in enumerate(secrets):
            found += [(k, form[:4], area) for form in forms(secret)[:3] if form in data]
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read another process's memory")
def test_after_verifications_no_secret_is_left_in_memory(make_server):
    """The seed itself, raw or as text: loaded, opened, used, wiped."""
    server = make_server()
    phones = [Phone.made(f"memory-{i}", "kept only as a midstate") for i in range(20)]
    server.import_phones(phones)
    server.start()
    for phone in phones:
        assert server.result(phone.user, phone.code(time.time())) == "accepted"
        server.expect(200, "GET", path_of(phone.user, "devices"))
    assert in_memory(server, [phone.secret for phone in phones]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read another process's memory")
def test_after_registrations_no_secret_is_left_in_memory(make_server):
    server = make_server().start()
    steady()
    phones = [server.register(f"memory-{i}") for i in range(5)]
    # Other requests take the same buffers.
    for _ in range(20):
        server.expect(200, "GET", "/v1/policy")
    assert in_memory(server, [phone.secret for phone in phones]) == []


def test_the_first_key_is_printed_once_and_the_store_has_its_hash_only(make_server):
    server = make_server().start()
    listed = server.expect(200, "GET", "/v1/api-keys")["api_keys"]
    assert listed and all(not set(one) & {"key", "secret", "hash", "sha256", "digest"} for one in listed)
    assert server.admin not in str(listed)
    made = server.new_key("verify")
    assert set(made) >= {"id", "key", "name", "scopes"}
    server.stop()
    needles = [key.encode() for key in (server.admin, made["key"])]
    assert contains(server.data_dir, needles) == {}


def test_keys_made_and_revoked_on_the_command_line_work(make_server):
    server = make_server()
    made = run("api-key", "create", "--scope", "verify", "--name", "gateway", "--data-dir", server.data_dir)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert made.stdout == key + "\n" and key not in made.stderr
    listed = run("api-key", "list", "--data-dir", server.data_dir)
    assert listed.returncode == 0 and "gateway" in listed.stdout and key not in listed.stdout
    server.start()
    assert server.verify("nobody", "123456", key=key)["result"] == "no_device"
    assert_problem(server.call("GET", "/v1/users", key=key), 403)
    server.stop()
    row = next(line for line in listed.stdout.splitlines() if "gateway" in line)
    key_id = next(word for word in re.findall(r"[0-9a-f]{16}", row))
    revoked = run("api-key", "revoke", key_id, "--data-dir", server.data_dir)
    assert revoked.returncode == 0, revoked.stderr
    server.start()
    assert_problem(server.call("POST", "/v1/verify", {"user": "nobody", "code": "123456"}, key=key), 401)


def test_the_files_are_their_owners_alone(make_server):
    server = make_server()
    masters = [file for file in server.data_dir.rglob("*") if file.is_file() and "master" in file.name]
    assert masters, "a master key file"
    for file in masters:
        assert stat.S_IMODE(file.stat().st_mode) in (0o600, 0o400), file
    assert stat.S_IMODE(server.data_dir.stat().st_mode) & 0o077 == 0, "nobody else looks into the data directory"


def test_a_master_key_that_others_may_read_is_refused(make_server):
    server = make_server()
    master = next(file for file in server.data_dir.rglob("*") if file.is_file() and "master" in file.name)
    for mode in (0o640, 0o604, 0o644, 0o660):
        master.chmod(mode)
        refused = run("serve", "--data-dir", server.data_dir, "--listen", "127.0.0.1:0", timeout_s=30)
        assert refused.returncode == 1, (oct(mode), refused)
        assert "0600" in refused.stderr or "600" in refused.stderr, "says what to do"
    master.chmod(0o600)
    server.start()


def test_another_master_key_opens_nothing(make_server):
    server = make_server("first")
    phone = Phone.made("ada")
    server.import_phones([phone])
    other = make_server("second")
    master = next(file for file in server.data_dir.rglob("*") if file.is_file() and "master" in file.name)
    foreign = next(file for file in other.data_dir.rglob("*") if file.is_file() and "master" in file.name)
    kept = master.read_bytes()
    master.write_bytes(foreign.read_bytes())
    refused = run("serve", "--data-dir", server.data_dir, "--listen", "127.0.0.1:0", timeout_s=30)
    assert refused.returncode == 1 and "key" in refused.stderr.lower()
    master.write_bytes(kept)
    server.start()
    now = time.time()
    assert server.result("ada", hotp(phone.secret, int(now // 30))) == "accepted"
