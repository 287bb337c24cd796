"""Backups: made while verifying, verified, restored; and a client that replays everything it ever sent to the restored server."""
import os
import shutil
import threading
import time

import pytest

import watchword
from watchword import Clock, Phone, assert_problem, path_of


def config_of(tmp_path):
    return f'[backup]\ndir = "{tmp_path}/backups"\nkeep = 3\n'


@pytest.fixture
def backed(tmp_path):
    clock = Clock(tmp_path, at=1_800_000_015)
    server = watchword.Server(tmp_path / "server", config=config_of(tmp_path), clock=clock).start()
    server.backups = tmp_path / "backups"
    yield server
    server.end()


def run(server, *arguments):
    return watchword.run(*arguments, environment={**os.environ, **server.clock.environment()})


def restore(server, target, *flags, key=None):
    """Into `target`, with the master key laid there first, as the manual says."""
    target.mkdir(exist_ok=True)
    shutil.copy(key or server.data_dir / "master.key", target / "master.key")
    os.chmod(target / "master.key", 0o600)
    return run(server, "restore", server.backups, "--data-dir", target, *flags)


def moved_to(server, target):
    """The same server on the restored directory."""
    server.stop()
    server.data_dir = target
    return server.start()


def test_after_a_restore_nothing_that_was_ever_sent_is_accepted(backed, tmp_path):
    clock, sent = backed.clock, []

    def verify(phone, code, **more):
        sent.append({"user": phone.user, "code": code, **more})
        return backed.result(phone.user, code, **more)

    phones = [backed.register(f"user-{i}") for i in range(5)]
    pending = backed.begin("late")
    clock.forward(60)
    for i, phone in enumerate(phones):
        assert verify(phone, phone.code(clock.now()), request_id=f"before-{i}") == "accepted"
    assert backed.expect(201, "POST", "/v1/backups")["verified"] is True
    late = Phone(watchword.unbase32(pending["secret"]), user="late")
    confirmation = late.code(clock.now())
    assert backed.confirm("late", pending["id"], confirmation)["status"] == "active"
    for round_number in range(4):
        clock.forward(30)
        for i, phone in enumerate(phones):
            # Also codes of phones that go wrong, so that a drift is learned that the backup knows nothing of.
            ahead = min(round_number, 1) * 30 if i == 0 else 0
            assert verify(phone, phone.code(clock.now() + ahead), request_id=f"{round_number}-{i}") == "accepted"
    now = clock.now()
    pairs = [(phones[1].code(now - 30), phones[1].code(now))]

    target = tmp_path / "restored"
    done = restore(backed, target)
    assert done.returncode == 0, done.stderr
    moved_to(backed, target)
    for step in range(0, 11):
        for one in sent:
            assert backed.result(**one) in ("replayed", "rejected"), (step, one)
        for one in sent:
            assert backed.result(one["user"], one["code"], request_id="again") in ("replayed", "rejected"), (step, one)
        assert backed.confirm("late", pending["id"], confirmation)["result"] == "rejected" if step < 3 else True
        for one, two in pairs:
            answer = backed.expect(200, "POST", path_of(phones[1].user, "devices", phones[1].device, "resync"),
                                   {"code1": one, "code2": two})
            assert answer["result"] in ("replayed", "rejected", "locked"), answer
        for phone in phones:
            backed.expect(200, "POST", path_of(phone.user, "unlock"))
        if step == 5:
            backed.restart(hard=True)  # the fence outlives restarts
        clock.forward(30)
    clock.forward(120)
    for phone in phones:
        assert backed.result(phone.user, phone.code(clock.now())) == "accepted"


def test_a_registration_after_the_restore_is_confirmed_at_once(backed, tmp_path):
    backed.register("ada")
    backed.expect(201, "POST", "/v1/backups")
    assert restore(backed, tmp_path / "restored").returncode == 0
    moved_to(backed, tmp_path / "restored")
    backed.clock.forward(1)
    backed.register("new")


def test_backups_are_consistent_under_load_incremental_and_kept_in_bounds(backed, tmp_path):
    phones = [Phone.made(f"load-{i:04}") for i in range(2000)]
    backed.stop()
    backed.import_phones(phones)
    backed.start()
    stop, failures = threading.Event(), []

    def load():
        with backed.connect() as connection:
            while not stop.is_set():
                items = [{"user": phone.user, "code": phone.wrong_code(backed.clock.now())} for phone in phones[:300]]
                failures.extend(one for one in connection.batch(items) if one["result"] not in ("rejected", "locked"))

    worker = threading.Thread(target=load)
    worker.start()
    try:
        ids = [backed.expect(201, "POST", "/v1/backups")["id"] for _ in range(5)]
    finally:
        stop.set()
        worker.join()
    assert not failures and ids == sorted(ids)
    kept = sorted(int(one) for one in os.listdir(backed.backups / "meta") if one.isdigit())
    assert kept == ids[-3:]
    target = tmp_path / "restored"
    assert restore(backed, target, "--backup", kept[0]).returncode == 0
    moved_to(backed, target)
    assert backed.user("load-1999")["user"] == "load-1999"
    # Also through the command line, into the same place.
    backed.stop()
    done = run(backed, "backup", backed.backups, "--data-dir", target)
    assert done.returncode == 0, done.stderr


def test_a_second_backup_copies_only_what_is_new(backed):
    backed.stop()
    backed.import_phones([Phone.made(f"many-{i:05}") for i in range(5000)])
    backed.start()

    def tables():
        return {file.name: (file.stat().st_ino, file.stat().st_size) for file in (backed.backups / "shared_checksum").iterdir()}

    first = backed.expect(201, "POST", "/v1/backups")
    before = tables()
    backed.register("ada")
    second = backed.expect(201, "POST", "/v1/backups")
    after = tables()
    assert second["verified"] and second["id"] > first["id"]
    assert all(after[name] == copied for name, copied in before.items()), "what was there is shared, not copied again"
    new_bytes = sum(size for name, (_, size) in after.items() if name not in before)
    assert 0 < new_bytes < sum(size for _, size in before.values()) / 4


def test_neither_master_key_nor_secrets_are_in_a_backup(backed):
    phone = backed.register("ada")
    backed.expect(201, "POST", "/v1/backups")
    key = (backed.data_dir / "master.key").read_bytes().strip()
    assert not watchword.contains(backed.backups, [key, bytes.fromhex(key.decode()), phone.secret, watchword.base32(phone.secret).encode()])


def test_a_restore_overwrites_nothing_and_serves_nothing_with_a_wrong_key(backed, tmp_path):
    backed.register("ada")
    backed.expect(201, "POST", "/v1/backups")
    done = run(backed, "restore", backed.backups, "--data-dir", backed.data_dir)
    assert done.returncode == 1 and "not empty" in done.stderr
    assert backed.user("ada")

    wrong = tmp_path / "wrong.key"
    wrong.write_text("0" * 64 + "\n")
    target = tmp_path / "wrong"
    done = restore(backed, target, key=wrong)
    assert done.returncode == 1 and "does not open the data" in done.stderr, done.stderr
    served = run(backed, "serve", "--data-dir", target, "--listen", "127.0.0.1:0")
    assert served.returncode == 1 and "there is no store" in served.stderr
    # With the right one it works in the same place.
    assert restore(backed, target).returncode == 0

    (tmp_path / "keyless").mkdir()
    done = run(backed, "restore", backed.backups, "--data-dir", tmp_path / "keyless")
    assert done.returncode == 1 and "master key" in done.stderr


def test_a_damaged_backup_is_not_restored(backed, tmp_path):
    backed.register("ada")
    backed.expect(201, "POST", "/v1/backups")
    tables = sorted((backed.backups / "shared_checksum").iterdir())
    with open(tables[0], "r+b") as file:
        file.seek(20)
        byte = file.read(1)
        file.seek(20)
        file.write(bytes([byte[0] ^ 1]))
    done = restore(backed, tmp_path / "restored")
    assert done.returncode == 1 and "damaged" in done.stderr
    tables[0].unlink()
    done = restore(backed, tmp_path / "restored")
    assert done.returncode == 1, done.stderr


@pytest.mark.parametrize("what", ["missing", "empty", "a number that is not there"])
def test_what_holds_no_backup_is_refused(backed, tmp_path, what):
    flags = []
    if what == "missing":
        backed.backups = tmp_path / "nowhere"
    elif what == "empty":
        backed.backups.mkdir()
    else:
        backed.expect(201, "POST", "/v1/backups")
        flags = ["--backup", 77]
    done = restore(backed, tmp_path / "restored", *flags)
    assert done.returncode == 1 and "no " in done.stderr


def test_the_request_needs_the_scope_admin_and_a_place(backed, tmp_path):
    assert_problem(backed.call("POST", "/v1/backups", key=backed.new_key("read", "verify", "enroll")["key"]), 403)
    assert_problem(backed.call("POST", "/v1/backups?dir=/etc"), 400)
    assert_problem(backed.call("DELETE", "/v1/backups"), 405)
    without = watchword.Server(tmp_path / "without").start()
    try:
        assert_problem(without.call("POST", "/v1/backups"), 409)
    finally:
        without.end()


def test_a_damaged_fence_stops_the_start(backed):
    backed.stop()
    (backed.data_dir / "FENCE").write_text("soon\n")
    served = run(backed, "serve", "--data-dir", backed.data_dir, "--listen", "127.0.0.1:0")
    assert served.returncode == 1 and "FENCE" in served.stderr
    (backed.data_dir / "FENCE").unlink()


@pytest.mark.parametrize("doing", ["copying", "checking"])
def test_a_server_that_stops_does_not_wait_for_its_backup(tmp_path, doing):
    server, backups = watchword.Server(tmp_path / "server", config=config_of(tmp_path)), tmp_path / "backups"
    people = [Phone(i.to_bytes(20, "big"), user=f"user-{i}") for i in range(20_000)]
    watchword.write_csv(tmp_path / "people.csv", people)
    assert watchword.run("import", tmp_path / "people.csv", "--format", "csv", "--data-dir", server.data_dir).returncode == 0
    number = 1
    if doing == "checking":  # of the second one there is little to copy, and everything to check
        server.start()
        assert server.expect(201, "POST", "/v1/backups")["id"] == 1
        server.stop()
        number = 2
    server.config_file.write_text(config_of(tmp_path) + "bytes_per_s_max = 65536\n")
    server.start()
    try:
        answers = []

        def ask():
            with watchword.Connection(server.port) as connection:
                answers.append(connection.request("POST", "/v1/backups", headers={"Authorization": "Bearer " + server.admin}))

        asking = threading.Thread(target=ask)
        asking.start()
        begun = (lambda: (backups / f"meta/{number}").exists()) if doing == "checking" else (lambda: any(backups.glob("private/*")))
        watchword.eventually(begun, 30, "the backup to come so far")
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 5, "half a minute is left to do"
        asking.join(10)
        assert answers, "it was answered"
        assert_problem(answers[0], 503)
        assert answers[0].json()["type"].endswith(":not_ready"), answers[0]
        assert not (backups / f"meta/{number}").exists(), "one that was not checked is none"
        server.config_file.write_text(config_of(tmp_path))
        server.start()
        assert server.expect(201, "POST", "/v1/backups")["verified"] is True
    finally:
        server.end()
