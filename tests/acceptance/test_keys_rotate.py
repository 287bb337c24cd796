"""Key rotation: beside a server that verifies and registers, over kill -9, and with a new master key at any point of which
the process may be killed."""
import json
import os
import random
import secrets
import shutil
import subprocess
import threading
import time

import pytest

import watchword
from watchword import Phone, assert_problem, eventually, path_of


def keys(server):
    return server.expect(200, "GET", "/v1/keys")


def versions(answer):
    return [one["version"] for one in answer["data_keys"]]


def shown(server, *flags):
    done = watchword.run("keys", "show", "--data-dir", server.data_dir, *flags)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def finished(server, deadline_s=40):
    return eventually(lambda: (now := keys(server)) and not now["resealing"] and now, deadline_s, "the end of the rotation", 0.05)


def new_key(path, text=None):
    path.write_text((text or secrets.token_hex(32)) + "\n")
    os.chmod(path, 0o600)
    return path


def slow(rows_per_s):
    return f"[data]\nreseal_rows_per_s_max = {rows_per_s}\n"


def populated(make_server, count, config=""):
    server = make_server(config=config)
    phones = [Phone.made(f"user-{i:05}") for i in range(count)]
    server.import_phones(phones)
    return server.start(), phones


def all_accepted(server, phones):
    now = server.now()
    results = server.batch([{"user": phone.user, "code": phone.code(now)} for phone in phones])
    assert [one["result"] for one in results] == ["accepted"] * len(phones)


def test_everything_is_sealed_anew_while_people_sign_in_and_register(make_server):
    server, phones = populated(make_server, 4000, slow(1500))
    assert versions(keys(server)) == [1]
    stop, faults, registered, signed_in = threading.Event(), [], [], [0]

    def sign_in():
        try:
            with server.connect() as connection:
                for phone in phones[:2000]:
                    if stop.is_set():
                        return
                    result = connection.verify(phone.user, phone.code(server.now()))["result"]
                    assert result == "accepted", (phone.user, result)
                    signed_in[0] += 1
        except BaseException as fault:
            faults.append(fault)

    def register():
        try:
            with server.connect() as connection:
                while not stop.is_set():
                    user = f"new-{len(registered)}"
                    made = connection.request("POST", path_of(user, "devices"), {"name": "phone"}).json()
                    phone = Phone(watchword.unbase32(made["secret"]), user=user)
                    phone.step_used = phone.step(server.now())
                    confirm = connection.request("POST", path_of(user, "devices", made["id"], "confirm"),
                                                 {"code": phone.code_of(phone.step_used)})
                    assert confirm.json().get("status") == "active", confirm
                    registered.append(phone)
        except BaseException as fault:
            faults.append(fault)

    workers = [threading.Thread(target=work) for work in (sign_in, register)]
    answer = server.expect(202, "POST", "/v1/keys/rotate", {})
    assert answer["resealing"] and versions(answer) == [1, 2]
    assert [one["seals"] for one in answer["data_keys"]] == [False, True]
    for worker in workers:
        worker.start()
    try:
        assert_problem(server.call("POST", "/v1/keys/rotate", {}), 409)
        assert b"\nwatchword_data_keys 2\n" in server.call("GET", "/metrics").body
        done = finished(server)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert not faults, faults
    assert registered and signed_in[0] > 100
    scraped = server.call("GET", "/metrics").body
    assert b"\nwatchword_data_keys 1\n" in scraped and b'watchword_key_created_timestamp_seconds{key="data"}' in scraped
    assert versions(done) == [2] and done["rows_done"] >= 4000 and done["rows_unreadable"] == 0
    eventually(lambda: '"secrets are sealed anew"' in server.log(), 5, "the log")
    server.restart(hard=True)
    assert versions(keys(server)) == [2]
    all_accepted(server, phones[2000:])
    now = server.now()
    for phone in registered:
        assert server.result(phone.user, phone.code_of(max(phone.step(now), phone.step_used + 1))) == "accepted"


def test_a_rotation_goes_on_after_every_kill(make_server):
    server, phones = populated(make_server, 2500, slow(800))
    server.expect(202, "POST", "/v1/keys/rotate")
    done_before, kills = 0, 0
    while True:
        time.sleep(random.uniform(0.1, 0.5))
        server.restart(hard=True)
        kills += 1
        now = keys(server)
        if versions(now) == [2]:
            break
        assert versions(now) == [1, 2] and kills < 40
        done_before = max(done_before, now["rows_done"])
    assert kills >= 3 and done_before > 0
    all_accepted(server, phones)
    server.stop()
    assert watchword.run("audit", "verify", "--data-dir", server.data_dir).returncode == 0


def test_a_rotation_is_in_the_audit_trail_and_says_no_key(server, tmp_path):
    file = new_key(tmp_path / "next.key")
    first = (server.data_dir / "master.key").read_text().strip()
    server.expect(202, "POST", "/v1/keys/rotate")
    finished(server)
    server.expect(202, "POST", "/v1/keys/rotate", {"new_master_key_file": str(file)})
    entries = server.expect(200, "GET", "/v1/audit?action=keys.rotate")["entries"]
    details = [entry["detail"] for entry in entries]
    assert {"key": "data", "version": 2} in details
    assert any(one["key"] == "master" for one in details), details
    assert all(entry["actor"].startswith("key:") for entry in entries)
    for key in (first, file.read_text().strip()):
        assert key not in server.log() and key not in json.dumps(entries) + json.dumps(keys(server))


def test_what_is_refused_changes_nothing(server, tmp_path):
    before = keys(server)
    reader = server.new_key("read", "verify", "enroll", "audit", "metrics")["key"]
    assert_problem(server.call("POST", "/v1/keys/rotate", {}, key=reader), 403)
    assert_problem(server.call("GET", "/v1/keys", key=reader), 403)
    assert_problem(server.call("DELETE", "/v1/keys"), 405)
    assert_problem(server.call("POST", "/v1/keys/rotate", {"sooner": True}), 400, "sooner")
    assert_problem(server.call("POST", "/v1/keys/rotate", {"new_master_key_file": 5}), 400, "new_master_key_file")
    assert_problem(server.call("POST", "/v1/keys/rotate", {"new_master_key_file": "next.key"}), 400, "new_master_key_file")
    open_to_all = new_key(tmp_path / "open.key")
    os.chmod(open_to_all, 0o644)
    for file in (tmp_path / "missing", tmp_path, open_to_all, new_key(tmp_path / "short", "abc"), server.data_dir / "master.key"):
        assert_problem(server.call("POST", "/v1/keys/rotate", {"new_master_key_file": str(file)}), 400, "new_master_key_file")
    assert keys(server) == before
    server.restart()
    assert keys(server) == before


def test_the_command_asks_a_running_server_and_follows_it(make_server):
    server, phones = populated(make_server, 600, slow(300))
    url = f"http://127.0.0.1:{server.port}"
    done = watchword.run("keys", "rotate", "--url", url, environment={"WATCHWORD_API_KEY": server.admin})
    assert done.returncode == 0 and "data key 2" in done.stderr and done.stdout == "", done
    assert versions(keys(server)) == [2]
    done = watchword.run("keys", "show", "--url", url + "/", environment={"WATCHWORD_API_KEY": server.admin})
    assert versions(json.loads(done.stdout)) == [2]
    # While it serves, nobody else does it.
    done = watchword.run("keys", "rotate", "--data-dir", server.data_dir)
    assert done.returncode == 1 and str(server.process.pid) in done.stderr
    for key, url_given, wanted, code in (("", url, "WATCHWORD_API_KEY", 2), ("ww_wrong", url, "401", 1),
                                         (server.admin, "ftp://x", "http://", 2), (server.admin, url + "/v1", "404", 1),
                                         (server.admin, "http://127.0.0.1:1", "cannot connect", 1)):
        done = watchword.run("keys", "rotate", "--url", url_given, environment={"WATCHWORD_API_KEY": key})
        assert done.returncode == code and wanted in done.stderr, (wanted, done.stderr)
    all_accepted(server, phones)


def test_the_command_does_it_while_no_server_runs(make_server):
    server, phones = populated(make_server, 1000)
    server.stop()
    for version in (2, 3):
        done = watchword.run("keys", "rotate", "--data-dir", server.data_dir)
        assert done.returncode == 0 and f"data key {version}" in done.stderr, done.stderr
    assert versions(shown(server)) == [3]
    server.start()
    all_accepted(server, phones)


def test_a_new_master_key_takes_the_old_ones_place(make_server, tmp_path):
    server, phones = populated(make_server, 300)
    master = server.data_dir / "master.key"
    first = master.read_text()
    second = new_key(tmp_path / "second.key")
    answer = server.expect(202, "POST", "/v1/keys/rotate", {"new_master_key_file": str(second)})
    assert answer["next_master_key"] is None
    assert master.read_text() == second.read_text() and (master.stat().st_mode & 0o777) == 0o600
    old = server.data_dir / "master.key.old"
    assert old.read_text() == first and (old.stat().st_mode & 0o777) == 0o600
    # It goes on under it, also to make data keys.
    server.expect(202, "POST", "/v1/keys/rotate")
    assert versions(finished(server)) == [2]
    server.restart(hard=True)
    assert keys(server)["master_key"] == answer["master_key"]
    all_accepted(server, phones)
    server.stop()
    master.write_text(first)
    done = watchword.run("keys", "show", "--data-dir", server.data_dir)
    assert done.returncode == 1 and "does not open the data" in done.stderr
    master.write_text(second.read_text())
    # Offline, with a path that is not a whole one.
    third = new_key(tmp_path / "third.key")
    done = subprocess.run([watchword.BINARY, "keys", "rotate", "--new-master-key", "third.key", "--data-dir", server.data_dir],
                          cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and master.read_text() == third.read_text(), done.stderr
    assert third.read_text().strip() not in done.stderr + done.stdout
    server.start()


def test_a_kill_at_any_point_of_a_change_of_the_master_key_leaves_a_store_that_opens(make_server, tmp_path):
    server = make_server()
    phone = Phone.made("ada")
    server.import_phones([phone])
    master = server.data_dir / "master.key"
    begun = time.monotonic()
    done = watchword.run("keys", "rotate", "--data-dir", server.data_dir, "--new-master-key", new_key(tmp_path / "warm.key"))
    assert done.returncode == 0, done.stderr
    whole_s = time.monotonic() - begun
    seen = set()
    for i in range(20):
        wanted = new_key(tmp_path / f"{i}.key")
        process = subprocess.Popen(
            [watchword.BINARY, "keys", "rotate", "--data-dir", server.data_dir, "--new-master-key", wanted],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole_s * (0.15 + 0.95 * i / 20))
        process.kill()
        process.wait()
        now = shown(server)
        seen.add((master.read_text() == wanted.read_text(), now["next_master_key"] is not None))
        assert versions(now) == [1]
    assert (False, False) in seen or (True, False) in seen
    server.start()
    assert server.result("ada", phone.code(server.now())) == "accepted"
    server.stop()
    assert watchword.run("audit", "verify", "--data-dir", server.data_dir).returncode == 0


def test_a_key_that_somebody_else_keeps_is_put_in_place_by_them(make_server, tmp_path):
    """From a command: the store opens with both keys until the new one is said."""
    vault = tmp_path / "vault"
    new_key(vault)
    first = vault.read_text()
    server = make_server(config=f'[data]\nmaster_key_command = ["cat", "{vault}"]\n').start()
    phone = server.register("ada")
    assert not (server.data_dir / "master.key").exists()
    second = new_key(tmp_path / "second.key")
    answer = server.expect(202, "POST", "/v1/keys/rotate", {"new_master_key_file": str(second)})
    assert answer["next_master_key"] and answer["next_master_key"] != answer["master_key"]
    assert_problem(server.call("POST", "/v1/keys/rotate", {}), 409)
    server.restart(hard=True)
    assert keys(server)["next_master_key"] == answer["next_master_key"]
    vault.write_text(second.read_text())
    server.restart(hard=True)
    assert keys(server)["master_key"] == answer["next_master_key"] and keys(server)["next_master_key"] is None
    server.expect(202, "POST", "/v1/keys/rotate")
    finished(server)
    assert server.result("ada", phone.code_of(phone.confirmed_step + 1)) == "accepted"
    server.stop()
    vault.write_text(first)
    with pytest.raises(AssertionError):
        server.start()
    assert "does not open the data" in server.log()


def test_a_backup_needs_the_master_key_of_its_day(make_server, tmp_path):
    backups = tmp_path / "backups"
    server = make_server(config=f'[backup]\ndir = "{backups}"\n').start()
    server.register("ada")
    server.expect(201, "POST", "/v1/backups")
    server.expect(202, "POST", "/v1/keys/rotate", {"new_master_key_file": str(new_key(tmp_path / "second.key"))})
    server.expect(202, "POST", "/v1/keys/rotate")
    finished(server)
    server.expect(201, "POST", "/v1/backups")

    def restored(backup, key, name):
        target = tmp_path / name
        target.mkdir()
        shutil.copy(key, target / "master.key")
        done = watchword.run("restore", backups, "--data-dir", target, "--backup", backup)
        return done.returncode == 0 and watchword.run("keys", "show", "--data-dir", target).returncode == 0

    old, new = server.data_dir / "master.key.old", server.data_dir / "master.key"
    assert restored(1, old, "a") and restored(2, new, "b")
    assert not restored(1, new, "c") and not restored(2, old, "d")


def test_a_restored_rotation_goes_on(make_server, tmp_path):
    backups = tmp_path / "backups"
    server, phones = populated(make_server, 1500, slow(500) + f'[backup]\ndir = "{backups}"\n')
    server.expect(202, "POST", "/v1/keys/rotate")
    server.expect(201, "POST", "/v1/backups")
    assert versions(keys(server)) == [1, 2]
    target = tmp_path / "restored"
    target.mkdir()
    shutil.copy(server.data_dir / "master.key", target / "master.key")
    assert watchword.run("restore", backups, "--data-dir", target).returncode == 0
    done = watchword.run("keys", "rotate", "--data-dir", target)
    assert done.returncode == 0 and "goes on" in done.stderr and "data key 2" in done.stderr, done.stderr
