"""kill -9 at any moment: no accepted code is accepted again, no acknowledged registration is lost."""
import random
import threading
import time

from watchword import Closed, Phone, path_of, request_bytes, unbase32

ROUNDS = 50
USERS_A_ROUND = 400
VERIFYING_THREADS = 3
PIPELINE = 4  # requests on their way at once, a connection


class Load:
    """Connections that verify distinct users' codes and register devices, until the server is gone."""

    def __init__(self, server, phones, name):
        self.server = server
        self.name = name
        self.phones = list(phones)
        self.lock = threading.Lock()
        self.accepted = []  # (user, code), answered
        self.unknown = []  # sent, not answered
        self.wrong = []  # answers that should not be
        self.registered = []  # (user, device id, phone, confirmed code or None), acknowledged
        self.threads = [threading.Thread(target=self._verify) for _ in range(VERIFYING_THREADS)]
        self.threads.append(threading.Thread(target=self._register))

    def _verify(self):
        waiting = []
        try:
            with self.server.connect() as connection:
                while True:
                    with self.lock:
                        taken = [self.phones.pop() for _ in range(min(PIPELINE, len(self.phones)))]
                    if not taken:
                        return
                    waiting = [(phone.user, phone.code(time.time())) for phone in taken]
                    connection.send(b"".join(
                        request_bytes("POST", "/v1/verify", {"user": user, "code": code}, self.server.admin)
                        for user, code in waiting))
                    while waiting:
                        answer = connection.read()
                        one = waiting.pop(0)
                        good = answer.status == 200 and answer.json()["result"] == "accepted"
                        (self.accepted if good else self.wrong).append(one if good else (one, answer))
        except (Closed, OSError):
            self.unknown += waiting

    def _register(self):
        try:
            with self.server.connect() as connection:
                for i in range(100000):
                    user = f"new-{self.name}-{i}"
                    answer = connection.request("POST", path_of(user, "devices"), {"name": "phone"})
                    if answer.status != 201:
                        self.wrong.append((user, answer))
                        return
                    begun = answer.json()
                    phone = Phone(unbase32(begun["secret"]), user=user, device=begun["id"])
                    self.registered.append([phone, None])
                    if i % 2:
                        continue
                    code = phone.code(time.time())
                    answer = connection.request("POST", path_of(user, "devices", begun["id"], "confirm"), {"code": code})
                    if answer.status == 200 and answer.json().get("status") == "active":
                        self.registered[-1][1] = code
                    else:
                        self.wrong.append((user, answer))
        except (Closed, OSError):
            pass

    def run_until_killed(self, kill_when):
        for thread in self.threads:
            thread.start()
        kill_when(self)
        self.server.kill9()
        for thread in self.threads:
            thread.join()


def check(server, load):
    """On the server that came back."""
    assert not load.wrong, load.wrong[:3]
    answered = server.batch([{"user": user, "code": code} for user, code in load.accepted])
    for (user, code), answer in zip(load.accepted, answered):
        assert answer["result"] == "replayed", f"{user}'s code was accepted before the crash, and is now {answer}"
    # What was sent without an answer may have been accepted or not; from now on it is accepted once at most.
    once = server.batch([{"user": user, "code": code} for user, code in load.unknown])
    assert {one["result"] for one in once} <= {"accepted", "replayed"}, once
    twice = server.batch([{"user": user, "code": code} for user, code in load.unknown])
    assert {one["result"] for one in twice} <= {"replayed"}, twice
    confirmed = [(phone.user, code) for phone, code in load.registered if code]
    answers = server.batch([{"user": user, "code": code} for user, code in confirmed])
    for (user, _), answer in zip(confirmed, answers):
        assert answer["result"] == "replayed", f"{user}'s confirmation was acknowledged, its code is now {answer}"


def check_registrations(server, loads):
    """With the secret that was given out: a pending one can be confirmed, an active one is active."""
    with server.connect() as connection:
        for load in loads:
            for phone, code in load.registered:
                answer = connection.request("GET", path_of(phone.user, "devices", phone.device))
                assert answer.status == 200, f"{phone.user}'s registration was acknowledged, and is lost: {answer}"
                if code:
                    assert answer.json()["status"] == "active", answer


def test_fifty_kills_under_load_accept_nothing_twice_and_lose_no_registration(make_server):
    server = make_server()
    rounds = [[Phone.made(f"user-{k}-{i}") for i in range(USERS_A_ROUND)] for k in range(ROUNDS)]
    server.import_phones([phone for phones in rounds for phone in phones])
    chance = random.Random(20261124)
    loads = []
    server.start()
    for k, phones in enumerate(rounds):
        load = Load(server, phones, k)
        # From the first answers on to the middle of the load.
        answers = chance.randrange(1, USERS_A_ROUND * 3 // 4)
        pause_s = chance.random() * 0.003

        def enough(load=load, answers=answers, pause_s=pause_s):
            end = time.monotonic() + 20
            while len(load.accepted) < answers and time.monotonic() < end and not load.wrong:
                time.sleep(0.0005)
            time.sleep(pause_s)

        load.run_until_killed(lambda _, enough=enough: enough())
        loads.append(load)
        server.start()
        check(server, load)
    check_registrations(server, loads)
    assert sum(len(load.accepted) for load in loads) >= ROUNDS * 20
    assert sum(len(load.registered) for load in loads) >= ROUNDS
    assert sum(len(load.unknown) for load in loads) >= 1, "no kill fell between a question and its answer"
    for load in loads[-1:]:
        pending = [phone for phone, code in load.registered if not code and code is None]
        for phone in pending[:5]:
            answer = server.call("POST", path_of(phone.user, "devices", phone.device, "confirm"),
                                 {"code": phone.code(time.time())})
            assert answer.status in (200, 409), answer
    server.stop()


def test_a_kill_right_after_one_accepted_answer(make_server):
    server = make_server()
    phones = [Phone.made(f"single-{i}") for i in range(10)]
    server.import_phones(phones)
    server.start()
    for phone in phones:
        code = phone.code(time.time())
        with server.connect() as connection:
            assert connection.verify(phone.user, code)["result"] == "accepted"
            server.kill9()
        server.start()
        assert server.result(phone.user, code) == "replayed"


def test_a_kill_right_after_a_registration_a_confirmation_and_a_change(make_server):
    server = make_server().start()
    begun = server.begin("ada", "first name")
    server.restart(hard=True)
    phone = Phone(unbase32(begun["secret"]), user="ada", device=begun["id"])
    code = phone.code(time.time())
    assert server.confirm("ada", begun["id"], code)["status"] == "active"
    server.restart(hard=True)
    assert server.device(phone)["status"] == "active"
    assert server.result("ada", code) == "replayed"
    server.expect(200, "PATCH", path_of("ada", "devices", begun["id"]), {"name": "second name", "enabled": False})
    server.restart(hard=True)
    device = server.device(phone)
    assert device["name"] == "second name" and device["enabled"] is False
    key = server.new_key("read")
    server.set_policy(issuer="After")
    server.restart(hard=True)
    assert server.call("GET", "/v1/users", key=key["key"]).status == 200
    assert server.expect(200, "GET", "/v1/policy")["issuer"] == "After"
    assert server.call("DELETE", f"/v1/api-keys/{key['id']}").status == 204
    assert server.call("DELETE", path_of("ada")).status == 204
    server.restart(hard=True)
    assert server.call("GET", "/v1/users", key=key["key"]).status == 401
    assert server.call("GET", path_of("ada")).status == 404


def test_a_graceful_stop_under_load_answers_what_it_took_and_loses_nothing(make_server):
    server = make_server()
    phones = [Phone.made(f"stop-{i}") for i in range(2000)]
    server.import_phones(phones)
    server.start()
    load = Load(server, phones, "stop")
    for thread in load.threads:
        thread.start()
    end = time.monotonic() + 20
    while len(load.accepted) < 100 and time.monotonic() < end:
        time.sleep(0.001)
    server.stop()
    for thread in load.threads:
        thread.join()
    server.start()
    check(server, load)
    check_registrations(server, [load])
