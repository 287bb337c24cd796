"""Administrators at work: nobody's change is lost, a policy holds everywhere at once, and nothing gives an attempt back."""
import re
import time

import pytest

from watchword import Connection, Phone, assert_problem, eventually, in_parallel, path_of, request_bytes, steady, unbase32


# ------------------------------------------------------------------------------------------------- two at once


def test_administrators_who_edit_one_policy_lose_no_change(shared):
    """Four count up one number, each change only upon what was read."""
    began = shared.expect(200, "GET", "/v1/policy")["pending_expires_s"]

    def one(_):
        lost = 0
        with shared.connect() as connection:
            for _ in range(15):
                while True:
                    seen = connection.request("GET", "/v1/policy")
                    policy = seen.json()
                    policy["pending_expires_s"] += 1
                    answer = connection.request("PUT", "/v1/policy", policy, {"If-Match": seen.headers["etag"]})
                    if answer.status == 200:
                        break
                    assert_problem(answer, 412)
                    lost += 1
        return lost

    in_parallel(4, one)
    assert shared.expect(200, "GET", "/v1/policy")["pending_expires_s"] == began + 4 * 15
    changes = shared.expect(200, "GET", "/v1/audit?action=policy.replace&limit=1000")["entries"]
    counts = [(one["detail"]["old"]["pending_expires_s"], one["detail"]["new"]["pending_expires_s"]) for one in changes]
    assert counts == [(at - 1, at) for at in range(began + 60, began, -1)], "the trail has every change, in order"


def test_administrators_who_edit_one_device_lose_no_change(shared):
    phone = shared.register("edited", step_back=1)
    path = path_of("edited", "devices", phone.device)
    shared.expect(200, "PATCH", path, {"name": "0"})

    def one(_):
        with shared.connect() as connection:
            for _ in range(10):
                while True:
                    seen = connection.request("GET", path)
                    answer = connection.request("PATCH", path, {"name": str(int(seen.json()["name"]) + 1)},
                                                {"If-Match": seen.headers["etag"]})
                    if answer.status == 200:
                        break
                    assert_problem(answer, 412)

    in_parallel(4, one)
    assert shared.expect(200, "GET", path)["name"] == "40"


def test_two_who_change_different_fields_of_a_device_both_succeed_without_asking(shared):
    phone = shared.register("fields", step_back=1)
    path = path_of("fields", "devices", phone.device)
    for round_ in range(10):
        bodies = [{"name": f"name {round_}"}, {"enabled": round_ % 2 == 1}]

        def one(i):
            with shared.connect() as connection:
                return connection.request("PATCH", path, bodies[i]).status

        assert in_parallel(2, one) == [200, 200]
        now = shared.expect(200, "GET", path)
        assert (now["name"], now["enabled"]) == (f"name {round_}", round_ % 2 == 1)


def test_a_person_is_not_removed_by_who_has_not_seen_their_last_change(shared):
    for round_ in range(8):
        user = f"removed {round_}"
        phone = shared.register(user, step_back=1)
        tag = {"If-Match": shared.call("GET", path_of(user)).headers["etag"]}
        requests = [("PATCH", path_of(user, "devices", phone.device), {"name": "renamed"}), ("DELETE", path_of(user), None)]

        def one(i):
            with shared.connect() as connection:
                return connection.request(*requests[i], tag).status

        patched, removed = in_parallel(2, one)
        assert (patched, removed) in ((200, 412), (404, 204)), (patched, removed)
        there = shared.call("GET", path_of(user))
        assert there.status == (404 if removed == 204 else 200)


# --------------------------------------------------------------------------------------------------- policy


def test_a_policy_holds_on_every_connection_as_soon_as_it_is_answered(timed):
    phone = timed.register("ada", step_back=1)
    connections = [timed.connect() for _ in range(16)]  # on all event loops
    late = phone.code_of(phone.step(timed.now()) - 1)
    for connection in connections:
        assert connection.verify("ada", late)["result"] == "replayed"
    timed.clock.forward(60)
    step = phone.step(timed.now())
    for round_ in range(3):
        timed.set_policy(window_steps=0)
        for connection in connections:  # one step behind: outside now, so looked at and wrong
            assert connection.verify("ada", phone.code_of(step - 1))["result"] == "rejected"
            timed.expect(200, "POST", path_of("ada", "unlock"))
        timed.set_policy(lockout={"failures": 1})
        answers = [connection.verify("ada", phone.wrong_code(timed.now()))["result"] for connection in connections]
        assert answers[0] == "rejected" and set(answers[1:]) == {"locked"}
        timed.set_policy(window_steps=1, lockout={"failures": 10})
        timed.expect(200, "POST", path_of("ada", "unlock"))
    assert connections[5].verify("ada", phone.code_of(step - 1))["result"] == "accepted"
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("change, status, field", [
    ({"window_steps": 11}, 422, "window_steps"),
    ({"window_steps": -1}, 422, "window_steps"),
    ({"window_steps": "1"}, 400, "window_steps"),
    ({"window_steps": 1.5}, 400, "window_steps"),
    ({"registration_window_steps": 11}, 422, "registration_window_steps"),
    ({"max_drift_steps": 101}, 422, "max_drift_steps"),
    ({"max_devices_per_user": 0}, 422, "max_devices_per_user"),
    ({"max_devices_per_user": 9}, 422, "max_devices_per_user"),
    ({"self_registration": "maybe"}, 422, "self_registration"),
    ({"no_device_action": None}, 400, "no_device_action"),
    ({"prompt": "sometimes"}, 422, "prompt"),
    ({"issuer": ""}, 422, "issuer"),
    ({"issuer": "a:b"}, 422, "issuer"),
    ({"issuer": "x" * 65}, 422, "issuer"),
    ({"algorithm": "MD5"}, 422, "algorithm"),
    ({"digits": 5}, 422, "digits"),
    ({"period": 301}, 422, "period"),
    ({"pending_expires_s": 59}, 422, "pending_expires_s"),
    ({"lockout": []}, 400, "lockout"),
    ({"lockout": {"failures": 0, "delay_s_min": 1, "delay_s_max": 1800, "hard_failures": 100}}, 422, "lockout.failures"),
    ({"lockout": {"failures": 10, "delay_s_min": 1, "delay_s_max": 1800, "hard_failures": 101}}, 422, "lockout.hard_failures"),
    ({"lockout": {"failures": 10, "delay_s_min": 1, "delay_s_max": 1800}}, 400, "lockout.hard_failures"),
    ({"colour": "red"}, 400, "colour"),
])
def test_a_policy_is_taken_whole_or_not_at_all(shared, change, status, field):
    before = shared.expect(200, "GET", "/v1/policy")
    assert_problem(shared.call("PUT", "/v1/policy", {**before, "issuer": "Changed", **change}), status, field)
    assert shared.expect(200, "GET", "/v1/policy") == before


@pytest.mark.parametrize("method, path, body, status", [
    ("PUT", "/v1/policy", {"window_steps": 1}, 400),
    ("PUT", "/v1/policy?x=1", {}, 400),
    ("GET", "/v1/users?limit=0", None, 400),
    ("GET", "/v1/users?limit=1001", None, 400),
    ("GET", "/v1/users?limit=ten", None, 400),
    ("GET", "/v1/users?cursor=%21%21", None, 400),
    ("GET", "/v1/users?prefix=" + "x" * 257, None, 400),
    ("GET", "/v1/users?prefix=a&prefix=b", None, 400),
    ("GET", "/v1/users/%01", None, 400),
    ("GET", "/v1/users/nobody", None, 404),
    ("DELETE", "/v1/users/nobody", None, 404),
    ("POST", "/v1/users/nobody/unlock", None, 404),
    ("POST", "/v1/users/nobody/recovery-codes", {"count": 3}, 400),
    ("POST", "/v1/users/nobody/recovery-codes", None, 404),
    ("POST", "/v1/users/nobody/portal-links", {"expires_in_s": 59}, 400),
    ("POST", "/v1/users/nobody/portal-links", {"expires_in_s": "60"}, 400),
    ("GET", "/v1/users/nobody/requirement?x=1", None, 400),
    ("GET", "/v1/users/nobody/devices/0000000000000001", None, 404),
    ("GET", "/v1/users/nobody/devices/no-device-id", None, 404),
    ("POST", "/v1/users/nobody/devices/0000000000000001/resync", {"code1": "123456"}, 400),
    ("POST", "/v1/users/nobody/devices/0000000000000001/resync", {"code1": "123456", "code2": "12345a"}, 400),
    ("POST", "/v1/users/nobody/devices/0000000000000001/resync", {"code1": "123456", "code2": "1234567"}, 422),
    ("PATCH", "/v1/users/nobody/devices/0000000000000001", {}, 400),
    ("PATCH", "/v1/users/nobody/devices/0000000000000001", {"enabled": 1}, 400),
    ("PATCH", "/v1/users/nobody/devices/0000000000000001", {"name": "x" * 65}, 400),
    ("POST", "/v1/api-keys", {"name": "x"}, 400),
    ("POST", "/v1/api-keys", {"name": "x", "scopes": []}, 400),
    ("POST", "/v1/api-keys", {"name": "x", "scopes": ["root"]}, 400),
    ("POST", "/v1/api-keys", {"name": "", "scopes": ["read"]}, 400),
    ("DELETE", "/v1/api-keys/nothing", None, 404),
    ("GET", "/v1/audit?from=yesterday", None, 400),
    ("GET", "/v1/audit?cursor=x", None, 400),
    ("GET", "/v1/audit?limit=1001", None, 400),
    ("GET", "/v1/audit?action=", None, 400),
    ("POST", "/v1/backups?x=1", None, 400),
    ("POST", "/v1/verify/batch", {"items": []}, 400),
    ("POST", "/v1/verify/batch", {"items": [{"user": "ada"}]}, 400),
])
def test_bad_input_is_named(shared, method, path, body, status):
    assert_problem(shared.call(method, path, body), status)


def test_the_window_of_registration_is_apart_from_the_one_of_signing_in(timed):
    def confirmed_with(user, steps_late):
        begun = timed.begin(user)
        phone = Phone(unbase32(begun["secret"]), user=user, device=begun["id"])
        told = timed.confirm(user, begun["id"], phone.code_of(phone.step(timed.now()) - steps_late))
        return phone, told["result"]

    timed.set_policy(registration_window_steps=4, window_steps=1)
    phone, result = confirmed_with("ada", 4)
    assert result == "accepted"
    timed.clock.forward(3600)  # nothing is learned from the code that confirms
    assert timed.result("ada", phone.code_of(phone.step(timed.now()) - 3)) == "rejected"
    assert timed.result("ada", phone.code(timed.now())) == "accepted"
    timed.set_policy(registration_window_steps=0, window_steps=3)
    assert confirmed_with("bo", 1)[1] == "rejected"
    phone, result = confirmed_with("cy", 0)
    assert result == "accepted"
    timed.clock.forward(3600)
    assert timed.result("cy", phone.code_of(phone.step(timed.now()) - 3)) == "accepted"


# -------------------------------------------------------------------------------------------------- listeners

PATHS = {"verify": ("POST", "/v1/verify", {"user": "ada", "code": "123456"}), "admin": ("GET", "/v1/policy", None),
         "portal": ("GET", "/portal/api/config", None), "metrics": ("GET", "/metrics", None)}


def test_each_plane_is_where_the_configuration_puts_it_and_nowhere_else(make_server):
    listener = '[[listener]]\nhost = "127.0.0.1"\nport = 0\nplanes = ["{}"]\n'
    server = make_server(config="".join(map(listener.format, PATHS))).start(ready=False)
    ports = dict(zip(PATHS, eventually(lambda: len(found := re.findall(
        r'"listening","address":"127\.0\.0\.1:(\d+)"', server.log())) == 4 and found, 20, "four listeners")))
    for served, port in ports.items():
        with Connection(int(port), server.admin) as connection:
            for plane, (method, path, body) in PATHS.items():
                answer = connection.request(method, path, body)
                if plane == served:
                    assert answer.status == 200, (served, plane, answer)
                else:
                    assert_problem(answer, 404)
            assert connection.request("GET", "/healthz").status == 200


# -------------------------------------------------------------------------------------------------- lockout


def test_devices_and_recovery_codes_have_one_budget(timed):
    first = timed.register("ada", "first", step_back=1)
    timed.register("ada", "second", step_back=1)
    codes = timed.expect(201, "POST", path_of("ada", "recovery-codes"))["codes"]
    wrong = codes[0][:-1] + ("H" if codes[0][-1] != "H" else "J")
    for i in range(10):
        assert timed.result("ada", wrong if i % 2 else first.wrong_code(timed.now(), salt=i)) == "rejected"
    assert timed.user("ada")["failures"] == 10 and timed.user("ada")["locked"]
    assert timed.result("ada", first.code(timed.now())) == "locked"
    assert timed.result("ada", codes[1]) == "locked"
    timed.expect(200, "POST", path_of("ada", "unlock"))
    assert timed.result("ada", codes[1]) == "accepted"


def test_who_hangs_up_without_reading_the_answer_gets_no_attempt_back(shared):
    phone = shared.register("hasty", step_back=1)
    for i in range(7):
        with shared.connect() as connection:
            connection.send(request_bytes("POST", "/v1/verify", {"user": "hasty", "code": phone.wrong_code(time.time(), i)},
                                          shared.admin))
            if i % 2:
                connection.read()
    for _ in range(100):  # what was sent may still be on its way
        if shared.user("hasty")["failures"] == 7:
            break
        time.sleep(0.05)
    assert shared.user("hasty")["failures"] == 7


def test_a_request_that_fails_afterwards_gives_no_attempt_back(shared):
    """Refused requests of the same person, a wrong scope, a repeat under another name: the count only grows."""
    phone = shared.register("steady", step_back=1)
    reader = shared.new_key("read")["key"]
    wrong = phone.wrong_code(time.time())
    steady()
    assert shared.result("steady", wrong, request_id="a") == "rejected"
    assert shared.verify("steady", wrong, request_id="a")["repeated"] is True
    assert shared.user("steady")["failures"] == 1, "the same request is one attempt"
    for body, key, status in (({"user": "steady", "code": "x"}, None, 400), ({"user": "steady", "code": wrong}, reader, 403),
                              ({"user": "steady", "code": wrong + "00"}, None, 422)):
        assert_problem(shared.call("POST", "/v1/verify", body, key), status)
    assert shared.user("steady")["failures"] == 1
    assert shared.result("steady", wrong, request_id="b") == "rejected"
    shared.expect(200, "PATCH", path_of("steady", "devices", phone.device), {"name": "renamed"})
    shared.expect(201, "POST", path_of("steady", "devices"), {"name": "another"})
    shared.expect(201, "POST", path_of("steady", "recovery-codes"))
    shared.expect(201, "POST", path_of("steady", "portal-links"))
    assert shared.user("steady")["failures"] == 2
