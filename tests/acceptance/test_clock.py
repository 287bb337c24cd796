"""Clocks that are off: phones that drift, resynchronisation, and a server whose own clock jumps."""
import pytest

from watchword import assert_problem, path_of

LIMIT = 10  # max_drift_steps of the default policy


def resync(server, phone, code1, code2):
    path = path_of(phone.user, "devices", phone.device, "resync")
    return server.expect(200, "POST", path, {"code1": code1, "code2": code2})


def registered(server, user="ada"):
    """Registered long ago, on the minute: the steps around now are all fresh."""
    phone = server.register(user)
    server.clock.forward(3600)
    server.clock.mid_step()
    return phone


@pytest.mark.parametrize("off", [2, -2, 5, LIMIT, -LIMIT])
def test_a_device_that_is_off_is_accepted_after_two_consecutive_codes(timed, off):
    phone = registered(timed)
    shown = phone.step(timed.now()) + off
    assert timed.result("ada", phone.code_of(shown)) == "rejected", "outside the window"
    first = phone.code_of(shown)
    timed.clock.forward(30)
    answer = resync(timed, phone, first, phone.code_of(shown + 1))
    assert answer["result"] == "accepted" and answer["drift_steps"] == off
    assert timed.device(phone)["drift_steps"] == off
    timed.clock.forward(30)
    signed_in = timed.verify("ada", phone.code_of(shown + 2))
    assert signed_in["result"] == "accepted" and signed_in["drift_steps"] == off
    assert timed.user("ada")["failures"] == 0


@pytest.mark.parametrize("off", [LIMIT + 1, -LIMIT - 1, 50])
def test_a_device_beyond_the_limit_is_not_resynchronised(timed, off):
    phone = registered(timed)
    shown = phone.step(timed.now()) + off
    assert resync(timed, phone, phone.code_of(shown - 1), phone.code_of(shown))["result"] == "rejected"
    assert timed.device(phone)["drift_steps"] == 0


@pytest.mark.parametrize("first,second", [(0, None), (None, 1), (0, 2), (1, 0), (0, 0), (3, 5), (-4, -6)])
def test_codes_that_are_not_consecutive_change_nothing(timed, first, second):
    phone = registered(timed)
    before = timed.device(phone)
    step = phone.step(timed.now())
    codes = [phone.wrong_code(timed.now()) if k is None else phone.code_of(step + k) for k in (first, second)]
    assert resync(timed, phone, *codes)["result"] == "rejected"
    assert timed.device(phone) == before
    assert timed.result("ada", phone.code_of(step)) == "accepted", "the codes that were shown are not used up"


def test_a_resynchronisation_uses_its_codes_up(timed):
    phone = registered(timed)
    step = phone.step(timed.now())
    codes = phone.code_of(step + 2), phone.code_of(step + 3)
    assert resync(timed, phone, *codes)["result"] == "accepted"
    assert resync(timed, phone, *codes)["result"] == "replayed"
    assert [timed.result("ada", code) for code in codes] == ["replayed", "replayed"]
    assert resync(timed, phone, phone.code_of(step + 3), phone.code_of(step + 4))["result"] == "replayed"
    timed.restart(hard=True)
    assert resync(timed, phone, *codes)["result"] == "replayed"
    assert timed.result("ada", codes[1]) == "replayed"
    assert timed.result("ada", phone.code_of(step + 4)) == "accepted"


def test_a_used_code_does_not_resynchronise(timed):
    phone = registered(timed)
    step = phone.step(timed.now())
    assert timed.result("ada", phone.code_of(step + 1)) == "accepted"
    for first in (-1, 0, 1):
        assert resync(timed, phone, phone.code_of(step + first), phone.code_of(step + first + 1))["result"] == "replayed"
    assert resync(timed, phone, phone.code_of(step + 2), phone.code_of(step + 3))["result"] == "accepted"


def test_a_pending_or_disabled_device_is_not_resynchronised(timed):
    begun = timed.begin("ada")
    path = path_of("ada", "devices", begun["id"], "resync")
    assert_problem(timed.call("POST", path, {"code1": "123456", "code2": "654321"}), 409)
    phone = registered(timed, "bob")
    path = path_of("bob", "devices", phone.device, "resync")
    assert_problem(timed.call("POST", path, {"code1": "123456", "code2": "7654321"}), range(400, 500), "code2")
    timed.expect(200, "PATCH", path_of("bob", "devices", phone.device), {"enabled": False})
    assert_problem(timed.call("POST", path, {"code1": "123456", "code2": "654321"}), 409)


@pytest.mark.parametrize("direction", [1, -1], ids=["fast", "slow"])
def test_the_learned_drift_follows_a_slow_clock_over_weeks_and_never_passes_the_limit(timed, direction):
    """A phone whose clock goes wrong by three seconds a day, and one sign-in a day."""
    phone = registered(timed)
    off_s = 0
    results = []
    for day in range(140):
        timed.clock.forward(86400)
        # Some other moment of the step every day.
        timed.clock.set(timed.now() // 30 * 30 + 2 + day * 7 % 26)
        off_s += 3 * direction
        answer = timed.verify("ada", phone.code(timed.now() + off_s))
        results.append(answer["result"])
        off_steps = off_s / 30
        if answer["result"] == "accepted":
            assert abs(answer["drift_steps"]) <= LIMIT
            if abs(off_steps) <= LIMIT:
                assert abs(answer["drift_steps"] - off_steps) <= 2, (day, answer)
        if abs(off_steps) <= LIMIT:
            assert answer["result"] == "accepted", (day, off_s, answer)
        if abs(off_steps) >= LIMIT + 3:
            assert answer["result"] in ("rejected", "locked"), (day, off_s, answer)
        assert abs(timed.device(phone)["drift_steps"]) <= LIMIT
    assert results[:100] == ["accepted"] * 100 and results[-1] != "accepted"


def test_the_learned_drift_survives_a_restart(timed):
    phone = registered(timed)
    step = phone.step(timed.now())
    assert resync(timed, phone, phone.code_of(step + 5), phone.code_of(step + 6))["drift_steps"] == 6
    timed.restart(hard=True)
    timed.clock.forward(60)
    assert timed.result("ada", phone.code(timed.now() + 6 * 30)) == "accepted"
    assert timed.device(phone)["drift_steps"] == 6


def test_one_late_code_costs_the_next_one_nothing(timed):
    for into_step_s in (1, 15, 29):
        user = f"late-{into_step_s}"
        phone = registered(timed, user)
        timed.clock.freeze(timed.now() // 30 * 30 + 600 + into_step_s)
        assert timed.result(user, phone.code(timed.now() - 30)) == "accepted"
        for later_s in (300, 329, 315):
            timed.clock.freeze(timed.now() // 30 * 30 + later_s)
            assert timed.result(user, phone.code(timed.now())) == "accepted"


def test_one_late_code_does_not_move_the_window(timed):
    phone = registered(timed)
    assert timed.result("ada", phone.code(timed.now() - 30)) == "accepted"
    timed.clock.forward(300)
    assert timed.result("ada", phone.code(timed.now() + 30)) == "accepted"


@pytest.mark.parametrize("jump", [3600, -3600, 30, -30, 86400, -86400])
def test_a_server_clock_that_jumps_accepts_nothing_twice(timed, jump):
    phones = [timed.register(f"user{i}") for i in range(8)]
    timed.clock.forward(7 * 86400)
    timed.clock.mid_step()
    accepted = set()

    def sign_in(phone, at):
        code = phone.code(at)
        result = timed.result(phone.user, code)
        if result == "accepted":
            assert (phone.user, phone.step(at)) not in accepted, "accepted twice"
            accepted.add((phone.user, phone.step(at)))
        return result

    base = timed.now()
    assert [sign_in(phone, base) for phone in phones] == ["accepted"] * 8
    for moment in (jump, 0, jump, 0, -jump, 0, jump):
        timed.clock.set(base + moment)
        for phone in phones:
            for near in (30, 0, -30):
                sign_in(phone, base + moment + near)
                assert sign_in(phone, base + moment + near) != "accepted"
    for phone in phones:
        for moment in (0, jump, -jump):
            timed.clock.set(base + moment)
            assert sign_in(phone, base + moment) != "accepted"
    # Once the clock has passed everything that was seen, people sign in as ever.
    for phone in phones:
        timed.expect(200, "POST", path_of(phone.user, "unlock"))
    timed.clock.set(base + abs(jump) + 600)
    assert [timed.result(phone.user, phone.code(timed.now())) for phone in phones] == ["accepted"] * 8


def test_a_clock_that_steps_back_across_a_kill_accepts_nothing_twice(timed):
    phone = registered(timed)
    base = timed.now()
    assert timed.result("ada", phone.code(base)) == "accepted"
    timed.kill9()
    timed.clock.set(base - 3600)
    timed.start(ready=False)
    assert timed.result("ada", phone.code(base - 3600)) == "replayed"
    timed.clock.set(base)
    assert timed.result("ada", phone.code(base)) == "replayed"
    assert timed.result("ada", phone.code(base + 30)) == "accepted"
