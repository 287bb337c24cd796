"""Guessing: an attempt is charged before the code is looked at, whoever asks, however many at once."""
import json
import time

import pytest

from watchword import Phone, eventually, in_parallel, path_of, unbase32


def wrong_codes(phone, at, count):
    """Distinct codes that are never right around `at`."""
    taken = {phone.code_of(phone.step(at) + k) for k in range(-130, 131)}
    return [code for code in (f"{i:06}" for i in range(count + 300)) if code not in taken][:count]


def guess_wrong(server, phone, count, first=0):
    return [server.verify(phone.user, code) for code in wrong_codes(phone, server.now(), first + count)[first:]]


def registered(server, user):
    return server.register(user, step_back=1)


def test_ten_wrong_codes_lock_and_say_for_how_long(timed):
    phone = registered(timed, "ada")
    answers = guess_wrong(timed, phone, 10)
    assert [one["result"] for one in answers] == ["rejected"] * 10
    assert all("retry_after_s" not in one for one in answers[:9])
    locked = guess_wrong(timed, phone, 1)[0]
    assert locked["result"] == "locked" and 1 <= locked["retry_after_s"] <= 2
    user = timed.user("ada")
    assert user["locked"] is True and user["failures"] == 10


def test_the_right_code_while_locked_is_locked_and_unlocking_lifts_it(timed):
    timed.set_policy(lockout={"delay_s_min": 600})
    phone = registered(timed, "ada")
    guess_wrong(timed, phone, 10)
    right = phone.code(timed.now())
    locked = timed.verify("ada", right)
    assert locked["result"] == "locked" and 590 <= locked["retry_after_s"] <= 602
    user = timed.expect(200, "POST", path_of("ada", "unlock"))
    assert user["locked"] is False and user["failures"] == 0
    assert timed.result("ada", right) == "accepted", "a code refused by the lock was not used up"


def test_only_an_administrator_unlocks(timed):
    registered(timed, "ada")
    for scope in ("verify", "enroll", "read"):
        assert timed.call("POST", path_of("ada", "unlock"), key=timed.new_key(scope)["key"]).status == 403


@pytest.mark.parametrize("connections,each", [(200, 1), (20, 10)])
def test_two_hundred_parallel_guesses_get_ten_looked_at(timed, connections, each):
    timed.set_policy(lockout={"delay_s_min": 600})
    phone = registered(timed, "ada")
    codes = wrong_codes(phone, timed.now(), connections * each)
    links = [timed.connect(timeout_s=60) for _ in range(connections)]
    try:
        results = sum(in_parallel(connections, lambda k: [
            links[k].verify("ada", code)["result"] for code in codes[k * each : (k + 1) * each]]), [])
    finally:
        for link in links:
            link.close()
    assert results.count("rejected") == 10 and results.count("locked") == connections * each - 10
    assert timed.user("ada")["failures"] == 10


def test_a_batch_of_two_hundred_guesses_gets_ten_looked_at(timed):
    timed.set_policy(lockout={"delay_s_min": 600})
    phone = registered(timed, "ada")
    results = [one["result"] for one in timed.batch(
        [{"user": "ada", "code": code} for code in wrong_codes(phone, timed.now(), 200)])]
    assert results == ["rejected"] * 10 + ["locked"] * 190


def test_guesses_among_parallel_right_codes_of_one_user_never_lock_by_a_race(timed):
    """A burst of the same right code charges and gives back; it must leave no failure behind."""
    phone = registered(timed, "ada")
    code = phone.code(timed.now())

    def ask(_):
        with timed.connect() as connection:
            return [connection.verify("ada", code)["result"] for _ in range(5)]

    results = sum(in_parallel(8, ask), [])
    assert results.count("accepted") == 1
    assert set(results) <= {"accepted", "replayed", "locked"}
    user = timed.user("ada")
    assert user["failures"] == 0 and user["locked"] is False


def test_several_devices_share_one_count(timed):
    first, _ = timed.register("ada", "first", step_back=1), timed.register("ada", "second", step_back=1)
    devices = timed.expect(200, "GET", path_of("ada", "devices"))["devices"]
    for i, code in enumerate(wrong_codes(first, timed.now(), 10)):
        timed.verify("ada", code, device=devices[i % 2]["id"])
    assert timed.result("ada", first.code(timed.now())) == "locked"


def test_wrong_resynchronisations_are_guesses_too(timed):
    phone = registered(timed, "ada")
    path = path_of("ada", "devices", phone.device, "resync")
    codes = wrong_codes(phone, timed.now(), 20)
    for i in range(10):
        answer = timed.expect(200, "POST", path, {"code1": codes[2 * i], "code2": codes[2 * i + 1]})
        assert answer["result"] == "rejected"
    assert timed.result("ada", phone.code(timed.now())) == "locked"


@pytest.mark.parametrize("hard", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_a_restart_keeps_the_lock(timed, hard):
    timed.set_policy(lockout={"delay_s_min": 600})
    phone = registered(timed, "ada")
    right = phone.code(timed.now())
    assert guess_wrong(timed, phone, 10)[-1]["retry_after_s"] >= 600
    timed.restart(hard)
    locked = timed.verify("ada", right)
    assert locked["result"] == "locked" and 500 <= locked["retry_after_s"] <= 602
    assert timed.user("ada")["failures"] == 10


@pytest.mark.parametrize("hard", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_a_restart_keeps_the_failures(timed, hard):
    phone = registered(timed, "ada")
    other = registered(timed, "bob")
    guess_wrong(timed, phone, 7)
    # An answer that waited for the disk comes after what was queued before it.
    assert timed.result("bob", other.code(timed.now())) == "accepted"
    timed.restart(hard)
    assert timed.user("ada")["failures"] == 7
    assert [one["result"] for one in guess_wrong(timed, phone, 3, 7)] == ["rejected"] * 3
    assert timed.result("ada", phone.code(timed.now())) == "locked"


def test_a_replayed_code_is_no_guess(timed):
    phone = registered(timed, "ada")
    guess_wrong(timed, phone, 9)
    timed.expect(200, "POST", path_of("ada", "unlock"))
    guess_wrong(timed, phone, 5)
    code = phone.code(timed.now() - 30)  # used up by the registration
    for _ in range(30):
        assert timed.result("ada", code) == "replayed"
    assert timed.user("ada")["failures"] == 5
    assert timed.result("ada", phone.code(timed.now())) == "accepted"


def test_a_success_forgets_the_failures(timed):
    phone = registered(timed, "ada")
    guess_wrong(timed, phone, 9)
    assert timed.result("ada", phone.code(timed.now())) == "accepted"
    assert timed.user("ada")["failures"] == 0
    assert [one["result"] for one in guess_wrong(timed, phone, 9)] == ["rejected"] * 9
    assert timed.result("ada", phone.code(timed.now() + 30)) == "accepted"


def test_a_new_registration_a_rename_and_a_deletion_forget_no_failures(timed):
    phone = registered(timed, "ada")
    other = timed.register("ada", "other", step_back=1)
    guess_wrong(timed, phone, 8)
    begun = timed.begin("ada", "third")
    timed.expect(200, "PATCH", path_of("ada", "devices", phone.device), {"name": "renamed"})
    timed.call("DELETE", path_of("ada", "devices", other.device))
    third = Phone(unbase32(begun["secret"]))
    assert timed.confirm("ada", begun["id"], third.code(timed.now()))["status"] == "active"
    assert timed.user("ada")["failures"] == 8
    assert [one["result"] for one in guess_wrong(timed, phone, 3, 8)] == ["rejected", "rejected", "locked"]


def test_a_malformed_code_and_an_unknown_user_charge_nobody(timed):
    phone = registered(timed, "ada")
    for code in ("12345", "1234567", " 123456", ""):
        assert timed.call("POST", "/v1/verify", {"user": "ada", "code": code}).status // 100 == 4
    for i in range(30):
        assert timed.result("nobody", f"{i:06}") == "no_device"
    assert timed.user("ada")["failures"] == 0
    assert timed.result("ada", phone.code(timed.now())) == "accepted"


def test_each_further_failure_doubles_the_delay_up_to_half_an_hour(timed):
    phone = registered(timed, "ada")
    guess_wrong(timed, phone, 9)
    for extra in range(14):
        delay = min(2**extra, 1800)
        rejected = guess_wrong(timed, phone, 1)[0]
        assert rejected["result"] == "rejected" and delay <= rejected["retry_after_s"] <= delay + 1
        if delay > 4:  # for the short ones the clock may have run out by now
            assert guess_wrong(timed, phone, 1)[0]["result"] == "locked"
            timed.clock.forward(delay - 3)
            assert guess_wrong(timed, phone, 1)[0]["result"] == "locked"
            timed.clock.forward(4)
        else:
            timed.clock.forward(delay + 1)
    assert timed.user("ada")["failures"] == 23


def test_after_the_delay_the_right_code_is_accepted(timed):
    phone = registered(timed, "ada")
    guess_wrong(timed, phone, 10)
    timed.clock.forward(3)
    assert timed.result("ada", phone.code(timed.now() + 30)) == "accepted"
    assert timed.user("ada")["failures"] == 0


def test_a_hundred_failures_lock_until_an_administrator_comes(timed):
    phone = registered(timed, "ada")
    for i in range(100):
        answer = guess_wrong(timed, phone, 1)[0]
        assert answer["result"] == "rejected", (i, answer)
        timed.clock.forward(1802)
    assert timed.user("ada")["failures"] == 100
    for wait_s in (0, 3600, 86400, 365 * 86400, 10 * 365 * 86400):
        timed.clock.forward(wait_s)
        timed.clock.mid_step()
        locked = timed.verify("ada", phone.code(timed.now()))
        assert locked["result"] == "locked" and "retry_after_s" not in locked, "no time lifts it"
    timed.restart(hard=True)
    assert timed.result("ada", phone.code(timed.now())) == "locked"
    assert timed.user("ada")["locked"] is True
    timed.expect(200, "POST", path_of("ada", "unlock"))
    assert timed.result("ada", phone.code(timed.now())) == "accepted"


def test_a_clock_that_steps_back_does_not_shorten_a_lock_for_good(timed):
    timed.set_policy(lockout={"delay_s_min": 60})
    phone = registered(timed, "ada")
    guess_wrong(timed, phone, 10)
    timed.clock.forward(-3600)
    assert timed.result("ada", phone.code(timed.now())) == "locked"
    timed.clock.forward(3600 + 62)
    timed.clock.mid_step()
    eventually(lambda: timed.result("ada", phone.code(timed.now() + 30)) == "accepted", 5)


def test_a_lock_is_told_to_the_log_once_and_without_the_code(timed):
    """RFC 4226 section 7.2: at the limit somebody is to be informed."""
    phone = registered(timed, "ada \"the\" first")
    codes = [phone.wrong_code(timed.now(), salt=i) for i in range(20)]
    for code in codes:
        timed.verify(phone.user, code)
    timed.stop()
    told = [json.loads(line) for line in timed.log().splitlines() if "user locked" in line]
    assert len(told) == 1, told
    assert told[0]["user"] == phone.user and told[0]["retry_after_s"] >= 1 and told[0]["level"] == "warning"
    assert not any(code in timed.log() for code in codes)


def test_locks_by_the_hundred_do_not_flood_the_log(make_server):
    """All of them are in the trail; the log has the first hundred of a loop, and how many more there were."""
    people = 150
    server = make_server(config="[server]\nloops = 1\n")
    phones = [Phone.made(f"person{i:03}") for i in range(people + 1)]
    server.import_phones(phones)
    server.start()
    server.set_policy(lockout={"failures": 3, "delay_s_min": 600})

    def lock(some):
        for salt in range(3):
            results = server.batch([{"user": phone.user, "code": phone.wrong_code(time.time(), salt=salt)} for phone in some])
            assert [one["result"] for one in results] == ["rejected"] * len(some)

    lock(phones[:people])
    time.sleep(0.3)  # after that there is a line again
    lock(phones[people:])
    trail = server.expect(200, "GET", "/v1/audit?action=user.lock&limit=1000")["entries"]
    assert len(trail) == people + 1
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines() if "locked" in line]
    told = [line for line in lines if line["event"] == "user locked"]
    assert 100 <= len(told) <= 120, len(told)
    assert len(told) + sum(line["count"] for line in lines if line["event"] == "further users locked") == people + 1
    assert told[-1]["user"] == phones[people].user
