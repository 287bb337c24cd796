"""Recovery codes: ten, shown once, each good for one sign-in, and the one way past a hard lock but an administrator."""
import re
import threading
import time

import pytest

from watchword import Connection, assert_problem, contains, eventually, in_parallel, path_of

ALPHABET = "346789CDFHJKMNPQRTVWXY"
FORM = re.compile(rf"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{3}}")
WRONG = ["-".join([ALPHABET[i % 22] * 4] * 4) for i in range(22)]


def make(server, user, key=None):
    return server.expect(201, "POST", path_of(user, "recovery-codes"), key=key)["codes"]


def left(server, user):
    return server.user(user)["recovery_codes_left"]


def test_ten_codes_are_made_and_each_is_accepted_once(shared):
    shared.register("ten")
    assert left(shared, "ten") == 0
    codes = make(shared, "ten")
    assert len(set(codes)) == 10 and all(FORM.fullmatch(code) for code in codes), codes
    assert left(shared, "ten") == 10
    for used, code in enumerate(codes, 1):
        answer = shared.verify("ten", code)
        assert answer == {"result": "accepted", "user": "ten", "recovery_code": True, "recovery_codes_left": 10 - used}
        assert shared.result("ten", code) == "replayed"
    assert shared.expect(200, "GET", path_of("ten", "devices"))["recovery_codes_left"] == 0
    assert shared.user("ten")["failures"] == 0, "a replay costs no attempt"


def test_the_two_spellings_and_no_other(shared):
    shared.register("spelt")
    codes = make(shared, "spelt")
    assert shared.result("spelt", codes[0].lower()) == "accepted"
    assert shared.result("spelt", codes[1].replace("-", "")) == "accepted"
    assert shared.result("spelt", codes[1]) == "replayed", "another spelling of a used code is used"
    for wrong in (codes[2].replace("-", " "), " " + codes[2], codes[2][:-1], codes[2] + "3", codes[2].replace("-", "--"),
                  codes[2].replace("-", "", 1), "0OIL-0OIL-0OIL-0OIL"):
        assert_problem(shared.call("POST", "/v1/verify", {"user": "spelt", "code": wrong}), 400, "code")
    assert left(shared, "spelt") == 8


def test_bad_input(shared):
    shared.register("bad")
    assert_problem(shared.call("POST", path_of("nobody-there", "recovery-codes")), 404)
    assert_problem(shared.call("POST", path_of("bad", "recovery-codes"), {"count": 3}), 400, "count")
    assert_problem(shared.call("POST", path_of("bad", "recovery-codes"), b"[]"), 400)
    assert_problem(shared.call("POST", path_of("bad", "recovery-codes") + "?n=1"), 400, "n")
    assert_problem(shared.call("POST", path_of("bad\x01", "recovery-codes")), 400, "user")
    assert_problem(shared.call("GET", path_of("bad", "recovery-codes")), 405)
    assert_problem(shared.call("POST", path_of("bad", "recovery-codes"), b"x", headers={"Content-Type": "text/plain"}), 415)
    for scope in ("verify", "read", "audit", "metrics"):
        assert_problem(shared.call("POST", path_of("bad", "recovery-codes"), key=shared.new_key(scope)["key"]), 403)
    device = shared.user("bad")["devices"][0]["id"]
    body = {"user": "bad", "code": WRONG[0], "device": device}
    assert_problem(shared.call("POST", "/v1/verify", body), 400, "device")
    assert left(shared, "bad") == 0
    assert len(make(shared, "bad", shared.new_key("enroll")["key"])) == 10


def test_a_new_set_voids_the_old(shared):
    shared.register("again")
    old = make(shared, "again")
    fresh = make(shared, "again")
    assert not set(old) & set(fresh)
    assert shared.result("again", old[0]) == "rejected"
    assert shared.result("again", fresh[0]) == "accepted"


def test_a_user_without_any_has_every_code_rejected_and_nobody_has_no_device(shared):
    shared.register("none")
    assert shared.result("none", WRONG[0]) == "rejected"
    assert shared.user("none")["failures"] == 1
    assert shared.result("nobody-at-all", WRONG[0]) == "no_device"


def test_they_work_without_a_device(shared):
    phone = shared.register("lost")
    codes = make(shared, "lost")
    assert shared.call("DELETE", path_of("lost", "devices", phone.device)).status == 204
    assert shared.result("lost", codes[0]) == "accepted"


def test_sixty_four_at_once_and_one_is_accepted(shared):
    shared.set_policy(lockout={"failures": 100})
    shared.register("many")
    codes = make(shared, "many")
    links = [shared.connect(timeout_s=60) for _ in range(64)]
    try:
        results = in_parallel(64, lambda i: links[i].verify("many", codes[0])["result"])
    finally:
        for link in links:
            link.close()
    assert results.count("accepted") == 1, results
    assert set(results) <= {"accepted", "replayed", "locked"}
    assert left(shared, "many") == 9


def test_a_repeated_request_gets_the_same_answer(shared):
    shared.register("repeat")
    codes = make(shared, "repeat")
    first = shared.verify("repeat", codes[0], request_id="r1")
    again = shared.verify("repeat", codes[0], request_id="r1")
    assert first["result"] == again["result"] == "accepted" and again["repeated"] is True
    assert shared.result("repeat", codes[0], request_id="r2") == "replayed"
    assert shared.result("repeat", WRONG[1], request_id="r3") == "rejected"
    assert shared.verify("repeat", WRONG[1], request_id="r3") == {"result": "rejected", "user": "repeat", "repeated": True}
    assert shared.user("repeat")["failures"] == 1


def test_in_a_batch(shared):
    phone = shared.register("batched", step_back=1)
    codes = make(shared, "batched")
    items = [{"user": "batched", "code": codes[0]}, {"user": "batched", "code": codes[0]},
             {"user": "batched", "code": phone.code(shared.now())}, {"user": "nobody-here", "code": codes[1]}]
    results = [one["result"] for one in shared.batch(items)]
    assert sorted(results[:2]) == ["accepted", "replayed"] and results[2:] == ["accepted", "no_device"]


def test_one_budget_for_devices_and_codes(timed):
    timed.set_policy(lockout={"delay_s_min": 600})
    phone = timed.register("ada", step_back=1)
    codes = make(timed, "ada")
    for i in range(5):
        assert timed.result("ada", phone.wrong_code(timed.now(), salt=i)) == "rejected"
        assert timed.result("ada", WRONG[i]) == "rejected"
    for code in (codes[0], phone.code(timed.now())):
        answer = timed.verify("ada", code)
        assert answer["result"] == "locked" and answer["retry_after_s"] > 590
    timed.restart(hard=True)
    assert timed.result("ada", codes[0]) == "locked", "the lock survives a restart"
    assert left(timed, "ada") == 10


def test_a_hard_lock_is_lifted_by_a_right_code_and_guesses_wait_ever_longer(timed):
    timed.set_policy(lockout={"failures": 3, "hard_failures": 3})
    phone = timed.register("ada", step_back=1)
    codes = make(timed, "ada")
    for i in range(3):
        timed.result("ada", phone.wrong_code(timed.now(), salt=i))
    assert timed.verify("ada", phone.code(timed.now())) == {"result": "locked", "user": "ada", "hard_locked": True}
    waits = []
    for i in range(5):
        wrong = timed.verify("ada", WRONG[i])
        assert wrong["result"] == "rejected" and wrong["hard_locked"], wrong
        waits.append(wrong["retry_after_s"])
        assert timed.result("ada", codes[0]) == "locked", "not before its time, right or wrong"
        if i == 2:
            timed.restart(hard=True)
            assert timed.result("ada", codes[0]) == "locked", "a restart gives no new attempt"
        timed.clock.forward(wrong["retry_after_s"] + 1)
    assert waits == sorted(waits) and waits[-1] >= 16, waits
    assert timed.verify("ada", codes[0])["recovery_codes_left"] == 9
    user = timed.user("ada")
    assert user["locked"] is False and user["failures"] == 0
    timed.clock.forward(60)
    assert timed.result("ada", phone.code(timed.now())) == "accepted"


@pytest.mark.parametrize("round", range(3))
def test_kill_9_brings_no_code_back(server, round):
    server.set_policy(lockout={"failures": 100})
    server.register("ada")
    codes = make(server, "ada")
    accepted = []

    def use(code):
        try:
            with Connection(server.port, server.admin) as connection:
                if connection.verify("ada", code)["result"] == "accepted":
                    accepted.append(code)
        except Exception:  # the server is being killed; what was not answered is not accepted
            pass

    threads = [threading.Thread(target=use, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    eventually(lambda: len(accepted) > round, what="an acceptance", every_s=0.001)
    server.kill9()
    for thread in threads:
        thread.join()
    server.start()
    known = list(accepted)
    assert known
    for code in known:
        assert server.result("ada", code) == "replayed"
    assert left(server, "ada") <= 10 - len(known)


def test_codes_are_nowhere_but_in_their_answer(server):
    server.register("ada")
    codes = make(server, "ada")
    server.result("ada", codes[0])
    server.result("ada", WRONG[0])
    server.stop()
    needles = [spelling.encode() for code in codes for spelling in (code, code.replace("-", ""))]
    assert contains(server.directory, needles) == {}


def test_guessed_recovery_codes_do_not_delay_ordinary_verification(shared):
    """A crowd on the slow pool; meanwhile others are verified."""
    users = [f"crowd{i}" for i in range(40)]
    for user in users:
        shared.register(user)
    stop = threading.Event()

    def guess(i):
        with Connection(shared.port, shared.admin, timeout_s=60) as connection:
            while not stop.is_set():
                connection.request("POST", "/v1/verify", {"user": users[i], "code": WRONG[i % 22]})

    crowd = [threading.Thread(target=guess, args=(i,)) for i in range(8)]
    for thread in crowd:
        thread.start()
    try:
        for user in users[8:]:
            begin = time.monotonic()
            shared.verify(user, "000000")
            assert time.monotonic() - begin < 5, "it waited behind them"
    finally:
        stop.set()
        for thread in crowd:
            thread.join()
