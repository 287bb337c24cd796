"""A code is accepted at most once: again, out of order, in parallel, in one batch, and with the request repeated."""
import hashlib

import pytest

from watchword import Phone, in_parallel, path_of, request_bytes, steady, unbase32


def registered(server, user):
    """A phone whose present and next codes are fresh."""
    return server.register(user, step_back=1)


def test_a_code_is_accepted_once(timed):
    phone = registered(timed, "ada")
    code = phone.code(timed.now())
    first = timed.verify("ada", code)
    assert first["result"] == "accepted" and first["device"]["id"] == phone.device
    for _ in range(3):
        again = timed.verify("ada", code)
        assert again["result"] == "replayed" and "repeated" not in again


def test_an_earlier_code_after_a_later_one_is_replayed(timed):
    phone = registered(timed, "ada")
    step = phone.step(timed.now())
    assert timed.result("ada", phone.code_of(step + 1)) == "accepted"
    assert timed.result("ada", phone.code_of(step)) == "replayed"
    assert timed.result("ada", phone.code_of(step - 1)) == "replayed"
    timed.clock.forward(60)
    assert timed.result("ada", phone.code_of(step + 1)) == "replayed"
    assert timed.result("ada", phone.code_of(step + 2)) == "accepted"


def test_the_window_is_one_step_each_way_and_no_more(timed):
    phones = {k: registered(timed, f"window{k}") for k in (-2, -1, 0, 1, 2)}
    timed.clock.forward(600)  # past the steps that confirmed
    timed.clock.freeze(timed.now() // 30 * 30)
    step = phones[0].step(timed.now())
    results = {k: timed.result(phone.user, phone.code_of(step + k)) for k, phone in phones.items()}
    assert results == {-2: "rejected", -1: "accepted", 0: "accepted", 1: "accepted", 2: "rejected"}


def test_the_window_moves_with_the_last_second_of_a_step(timed):
    timed.set_policy(max_drift_steps=0)  # the clock alone
    late, early = registered(timed, "late"), registered(timed, "early")
    base = int(timed.now() // 30 * 30) + 600
    step = base // 30
    timed.clock.freeze(base + 29)
    assert timed.result("early", early.code_of(step + 2)) == "rejected"
    assert timed.result("late", late.code_of(step - 1)) == "accepted"
    timed.clock.freeze(base + 30)
    assert timed.result("early", early.code_of(step + 2)) == "accepted"
    timed.clock.freeze(base + 660)
    assert timed.result("late", late.code_of(step + 20)) == "rejected"
    assert timed.result("late", late.code_of(step + 21)) == "accepted"


def test_sixty_four_connections_with_one_code_get_one_acceptance(timed):
    for i in range(5):
        phone = registered(timed, f"many{i}")
        code = phone.code(timed.now())
        connections = [timed.connect() for _ in range(64)]
        try:
            results = in_parallel(64, lambda k: connections[k].verify(phone.user, code)["result"])
        finally:
            for connection in connections:
                connection.close()
        assert sorted(results) == ["accepted"] + ["replayed"] * 63
        assert timed.user(phone.user)["failures"] == 0


def test_confirming_from_many_connections_makes_one_device_and_uses_the_code_up(timed):
    begun = timed.begin("ada")
    code = Phone(unbase32(begun["secret"])).code(timed.now())
    path = path_of("ada", "devices", begun["id"], "confirm")

    def confirm(_):
        with timed.connect() as connection:
            return connection.request("POST", path, {"code": code}).status

    statuses = in_parallel(16, confirm)
    assert statuses.count(200) == 1, statuses
    assert all(400 <= status < 500 for status in statuses if status != 200)
    assert timed.result("ada", code) == "replayed"


def test_a_batch_that_holds_a_code_twice_gets_one_acceptance(timed):
    ada, bob = registered(timed, "ada"), registered(timed, "bob")
    code = ada.code(timed.now())
    items = [{"user": "ada", "code": code}, {"user": "bob", "code": bob.code(timed.now())}, {"user": "ada", "code": code},
             {"user": "nobody", "code": code}]
    assert [one["result"] for one in timed.batch(items)] == ["accepted", "accepted", "replayed", "no_device"]
    assert [one["result"] for one in timed.batch(items)] == ["replayed", "replayed", "replayed", "no_device"]


def test_a_thousand_items_are_answered_in_their_order(timed):
    phones = [Phone.made(f"batch{i}") for i in range(1000)]
    timed.stop()
    timed.import_phones(phones)
    timed.start()
    items = [{"user": phone.user, "code": phone.code(timed.now())} for phone in phones]
    answers = timed.batch(items)
    assert [one["user"] for one in answers] == [phone.user for phone in phones]
    assert {one["result"] for one in answers} == {"accepted"}
    assert {one["result"] for one in timed.batch(items[::-1])} == {"replayed"}


def test_pipelined_requests_with_one_code_get_one_acceptance_in_order(timed):
    phone = registered(timed, "ada")
    body = {"user": "ada", "code": phone.code(timed.now())}
    with timed.connect() as connection:
        connection.send(request_bytes("POST", "/v1/verify", body, timed.admin) * 20)
        results = [connection.read().json()["result"] for _ in range(20)]
    assert results == ["accepted"] + ["replayed"] * 19


# ------------------------------------------------------------------------------------------------------------ request_id


@pytest.mark.parametrize("ending", ["none", "SIGTERM", "SIGKILL"])
def test_a_repeated_request_gets_its_answer_again(timed, ending):
    phone = registered(timed, "ada")
    code = phone.code(timed.now())
    first = timed.verify("ada", code, request_id="login-1")
    assert first["result"] == "accepted" and not first.get("repeated")
    if ending != "none":
        timed.restart(hard=ending == "SIGKILL")
    for _ in range(2):
        again = timed.verify("ada", code, request_id="login-1")
        assert again.pop("repeated") is True
        assert again == first
    assert timed.result("ada", code, request_id="login-2") == "replayed"
    assert timed.result("ada", code) == "replayed"
    following = timed.verify("ada", phone.code(timed.now() + 30), request_id="login-1")
    assert following["result"] == "accepted" and not following.get("repeated"), "another code is another request"


def test_a_request_id_is_bound_to_its_code(timed):
    phone = registered(timed, "ada")
    assert timed.result("ada", phone.code(timed.now()), request_id="r") == "accepted"
    other = timed.verify("ada", phone.wrong_code(timed.now()), request_id="r")
    assert other["result"] == "rejected" and not other.get("repeated")


def test_a_request_id_is_bound_to_its_key(timed):
    phone = registered(timed, "ada")
    mine, other = timed.new_key("verify", name="mine"), timed.new_key("verify", name="other")
    code = phone.code(timed.now())
    assert timed.verify("ada", code, key=mine["key"], request_id="r")["result"] == "accepted"
    stranger = timed.verify("ada", code, key=other["key"], request_id="r")
    assert stranger["result"] == "replayed" and not stranger.get("repeated")
    assert timed.verify("ada", code, key=mine["key"], request_id="r").get("repeated") is True


def test_a_repeated_refusal_is_the_same_refusal_and_charges_nothing(timed):
    phone = registered(timed, "ada")
    wrong = phone.wrong_code(timed.now())
    first = timed.verify("ada", wrong, request_id="typo")
    assert first["result"] == "rejected"
    for _ in range(20):
        again = timed.verify("ada", wrong, request_id="typo")
        assert again.pop("repeated") is True and again == first
    assert timed.user("ada")["failures"] == 1


def test_parallel_repeats_of_one_request_are_all_accepted_as_one(timed):
    phone = registered(timed, "ada")
    code = phone.code(timed.now())

    def ask(_):
        with timed.connect() as connection:
            return connection.verify("ada", code, request_id="same")

    answers = in_parallel(32, ask)
    assert {one["result"] for one in answers} == {"accepted"}
    assert sum(not one.get("repeated") for one in answers) == 1
    assert timed.result("ada", code, request_id="different") == "replayed"


# ------------------------------------------------------------------------------------------- same digits at two steps

# sha1("same-digits-255647") as a secret shows 782966 at step 60,000,000 and again at the next one (one secret in a million).
SAME_DIGITS_SECRET = hashlib.sha1(b"same-digits-255647").digest()
SAME_DIGITS_STEP = 60_000_000


@pytest.mark.parametrize("ending", ["none", "SIGKILL"])
def test_digits_that_two_steps_of_the_window_share_are_accepted_once(timed, ending):
    phone = Phone(SAME_DIGITS_SECRET, user="twin")
    assert phone.code_of(SAME_DIGITS_STEP) == phone.code_of(SAME_DIGITS_STEP + 1) == "782966"
    timed.stop()
    timed.import_phones([phone])
    timed.clock.set(SAME_DIGITS_STEP * 30 + 15)
    timed.start()
    assert timed.result("twin", "782966") == "accepted"
    if ending != "none":
        timed.restart(hard=True)
    assert timed.result("twin", "782966") == "replayed"
    device = timed.expect(200, "GET", path_of("twin", "devices"))["devices"][0]
    assert device["last_used_at"] == "2027-01-15T08:00:30Z", "the later of the two steps is used up"
    timed.clock.forward(30)
    assert timed.result("twin", "782966") == "replayed"
    timed.clock.forward(30)
    assert timed.result("twin", phone.code(timed.now())) == "accepted"


def test_once_on_the_real_clock(shared):
    step = steady()
    phone = shared.register("real", step_back=1)
    assert shared.result("real", phone.code_of(step)) == "accepted"
    assert shared.result("real", phone.code_of(step)) == "replayed"
