"""API keys over their whole life: terms, last use, rotation without downtime, expiry, addresses, rate; and each bad input."""
import datetime
import json
import re
import time

import pytest

import watchword
from watchword import Connection, assert_problem, eventually, in_parallel


def utc(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def make(server, *scopes, **terms):
    return server.expect(201, "POST", "/v1/api-keys", {"name": terms.pop("name", "k"), "scopes": list(scopes or ["read"]), **terms})


def listed(server, made):
    keys = server.expect(200, "GET", "/v1/api-keys")["api_keys"]
    return next(key for key in keys if key["id"] == made["id"])


def status(server, key, path="/v1/policy"):
    return server.call("GET", path, key=key).status


def rotate(server, made, body=None):
    return server.expect(200, "POST", f"/v1/api-keys/{made['id']}/rotate", body)


# ------------------------------------------------------------------------------------------------------------------ terms


def test_a_key_shows_its_terms_and_never_itself_again(shared):
    ends = int(time.time()) + 86400
    made = make(shared, "read", "audit", name="Zoë's desk", expires_at=utc(ends), address_ranges=["127.0.0.0/8", "::1/128"],
                requests_per_second=500)
    assert re.fullmatch(r"ww_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", made["key"])
    shown = listed(shared, made)
    assert "key" not in shown and made["key"][20:] not in json.dumps(shared.expect(200, "GET", "/v1/api-keys"))
    assert shown == {**{name: value for name, value in made.items() if name != "key"}}
    assert shown["name"] == "Zoë's desk" and set(shown["scopes"]) == {"read", "audit"}
    assert shown["expires_at"] == utc(ends) and shown["expired"] is False and shown["last_used_at"] is None
    assert shown["address_ranges"] == ["127.0.0.0/8", "::1"] and shown["requests_per_second"] == 500
    plain = listed(shared, make(shared))
    assert plain["expires_at"] is None and plain["address_ranges"] == [] and plain["requests_per_second"] is None


BAD_TERMS = {
    "no name": ({"name": ""}, "name"),
    "a long name": ({"name": "n" * 65}, "name"),
    "a name with a line break": ({"name": "a\nb"}, "name"),
    "a name of another type": ({"name": 7}, "name"),
    "no scope": ({"scopes": []}, "scopes"),
    "an unknown scope": ({"scopes": ["root"]}, "scopes"),
    "a scope in capitals": ({"scopes": ["Admin"]}, "scopes"),
    "scopes of another type": ({"scopes": "read"}, "scopes"),
    "an end in the past": ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    "an end in a thousand years": ({"expires_at": "3026-01-01T00:00:00Z"}, "expires_at"),
    "an end without a zone": ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
    "an end that is no day": ({"expires_at": "2027-02-30T00:00:00Z"}, "expires_at"),
    "an end in words": ({"expires_at": "tomorrow"}, "expires_at"),
    "an end of another type": ({"expires_at": 1900000000}, "expires_at"),
    "an end of null": ({"expires_at": None}, "expires_at"),
    "no address range in the list": ({"address_ranges": []}, "address_ranges"),
    "a range that is a name": ({"address_ranges": ["example.org"]}, "address_ranges"),
    "a prefix too long for v4": ({"address_ranges": ["10.0.0.0/33"]}, "address_ranges"),
    "a prefix too long for v6": ({"address_ranges": ["2001:db8::/129"]}, "address_ranges"),
    "a negative prefix": ({"address_ranges": ["10.0.0.0/-1"]}, "address_ranges"),
    "bits beyond the prefix": ({"address_ranges": ["10.1.2.3/8"]}, "address_ranges"),
    "an address in three parts": ({"address_ranges": ["10.1.2"]}, "address_ranges"),
    "a good range and a bad one": ({"address_ranges": ["10.0.0.0/8", "x"]}, "address_ranges"),
    "too many ranges": ({"address_ranges": ["10.0.0.0/8"] * 65}, "address_ranges"),
    "ranges of another type": ({"address_ranges": "10.0.0.0/8"}, "address_ranges"),
    "a range of another type": ({"address_ranges": [10]}, "address_ranges"),
    "a rate of zero": ({"requests_per_second": 0}, "requests_per_second"),
    "a negative rate": ({"requests_per_second": -1}, "requests_per_second"),
    "a rate too high": ({"requests_per_second": 1000001}, "requests_per_second"),
    "a broken rate": ({"requests_per_second": 1.5}, "requests_per_second"),
    "a rate in words": ({"requests_per_second": "10"}, "requests_per_second"),
    "a field that there is not": ({"secret": "mine"}, "secret"),
}


@pytest.mark.parametrize("bad", BAD_TERMS)
def test_terms_that_make_no_sense_are_refused_by_name(shared, bad):
    changes, field = BAD_TERMS[bad]
    before = len(shared.expect(200, "GET", "/v1/api-keys")["api_keys"])
    assert_problem(shared.call("POST", "/v1/api-keys", {"name": "k", "scopes": ["read"], **changes}), 400, field)
    assert len(shared.expect(200, "GET", "/v1/api-keys")["api_keys"]) == before


# --------------------------------------------------------------------------------------------------------------- rotation


def test_rotation_cuts_nobody_off(shared):
    made = make(shared, "verify", "read")
    stop, refused = [], []

    def client(_):
        key = made["key"]
        with shared.connect(key) as kept:
            while not stop:
                refused.extend([] if kept.request("GET", "/v1/policy").status == 200 else [1])
        return True

    def administrator(_):
        time.sleep(0.2)
        new = rotate(shared, made, {"overlap_s": 3600})
        time.sleep(0.2)
        stop.append(1)
        return new

    new = in_parallel(3, lambda i: administrator(i) if i == 0 else client(i))[0]
    assert not refused
    assert new["id"] == made["id"] and new["key"] != made["key"] and new["old_key_until"] is not None
    assert status(shared, made["key"]) == status(shared, new["key"]) == 200
    # It leaked: now the old ones end at once, on open connections too.
    with shared.connect(made["key"]) as kept:
        assert kept.request("GET", "/v1/policy").status == 200
        newest = rotate(shared, made, {"overlap_s": 0})
        assert_problem(kept.request("GET", "/v1/policy"), 401)
    assert status(shared, new["key"]) == 401 and status(shared, newest["key"]) == 200
    assert newest["old_key_until"] is None
    actions = [entry for entry in shared.expect(200, "GET", "/v1/audit?action=api_key.rotate")["entries"]]
    assert [one["detail"]["overlap_s"] for one in actions if one["detail"]["id"] == made["id"]] == [0, 3600]
    assert newest["key"][20:] not in json.dumps(actions)


def test_the_old_key_ends_when_the_overlap_does(timed):
    made = make(timed, "read")
    new = rotate(timed, made, {"overlap_s": 60})
    with timed.connect(made["key"]) as kept:
        assert kept.request("GET", "/v1/policy").status == 200
        timed.clock.forward(61)
        assert_problem(kept.request("GET", "/v1/policy"), 401)
    assert status(timed, new["key"]) == 200
    assert listed(timed, made)["old_key_until"] is None


def test_a_repeated_request_finds_its_answer_after_a_rotation(server):
    """The caller stays the same: a client that lost an answer asks again with its new key."""
    made = make(server, "verify")
    phone = server.register("ada", step_back=1)
    watchword.steady()
    code = phone.code(server.now())
    first = server.verify("ada", code, key=made["key"], request_id="r1")
    new = rotate(server, made)
    again = server.verify("ada", code, key=new["key"], request_id="r1")
    assert first["result"] == again["result"] == "accepted" and again["repeated"] is True


def test_rotations_that_make_no_sense_are_refused(shared):
    made = make(shared, "read")
    path = f"/v1/api-keys/{made['id']}/rotate"
    for overlap in (-1, 7776001, "60", 1.5, None):
        assert_problem(shared.call("POST", path, {"overlap_s": overlap}), 400, "overlap_s")
    assert_problem(shared.call("POST", path, {"expires_at": "2020-01-01T00:00:00Z"}), 400, "expires_at")
    assert_problem(shared.call("POST", path, {"name": "new"}), 400, "name")
    assert_problem(shared.call("POST", path, []), 400)
    assert_problem(shared.call("POST", "/v1/api-keys/0000000000000000/rotate"), 404)
    assert_problem(shared.call("POST", "/v1/api-keys/nobody/rotate"), 404)
    assert_problem(shared.call("GET", path), 405)
    assert_problem(shared.call("POST", path, key=made["key"]), 403)
    assert status(shared, made["key"]) == 200, "nothing of this changed it"
    for _ in range(4):
        rotate(shared, made)
    assert_problem(shared.call("POST", path), 409)
    assert status(shared, made["key"]) == 200


# ------------------------------------------------------------------------------------------------------- expiry, last key


def test_a_key_ends_on_its_day_on_open_connections_too(timed):
    ends = timed.now() + 100
    made = make(timed, "read", "verify", expires_at=utc(ends))
    with timed.connect(made["key"]) as kept:
        assert kept.request("GET", "/v1/policy").status == 200
        timed.clock.forward(101)
        assert_problem(kept.request("GET", "/v1/policy"), 401)
        assert_problem(kept.request("POST", "/v1/verify", {"user": "a", "code": "123456"}), 401)
    assert listed(timed, made)["expired"] is True
    refused = "/v1/audit?action=request.refused"
    eventually(lambda: any(entry["actor"] == "key:" + made["id"] for entry in timed.expect(200, "GET", refused)["entries"]), 10,
               "whose key knocked")
    assert_problem(timed.call("POST", f"/v1/api-keys/{made['id']}/rotate"), 409, "expires_at")
    new = rotate(timed, made, {"expires_at": utc(timed.now() + 1000)})
    assert status(timed, new["key"]) == 200 and listed(timed, made)["expired"] is False


def test_the_last_admin_key_stays_and_its_end_is_told(timed):
    admin = timed.expect(200, "GET", "/v1/api-keys")["api_keys"][0]
    assert_problem(timed.call("DELETE", f"/v1/api-keys/{admin['id']}"), 409)
    other = make(timed, "admin", expires_at=utc(timed.now() + 86400))
    assert timed.call("DELETE", f"/v1/api-keys/{admin['id']}", key=other["key"]).status == 204
    assert_problem(timed.call("DELETE", f"/v1/api-keys/{other['id']}", key=other["key"]), 409)
    timed.admin = other["key"]
    timed.restart()
    eventually(lambda: "the last API key with the scope admin expires soon" in timed.log(), 10, "the warning")
    assert '"API key expires soon"' in timed.log() and other["key"] not in timed.log()
    timed.clock.forward(86400)
    eventually(lambda: "no API key with the scope admin is left" in timed.log(), 10, "the warning a day later")
    assert_problem(timed.call("GET", "/v1/api-keys"), 401)


def test_of_two_admin_keys_that_are_revoked_at_once_one_stays(server):
    others = [make(server, "admin") for _ in range(4)]
    everyone = [server.expect(200, "GET", "/v1/api-keys")["api_keys"][0]["id"]] + [key["id"] for key in others]

    def revoke(i):
        with Connection(server.port, others[-1]["key"]) as connection:
            return connection.request("DELETE", f"/v1/api-keys/{everyone[i]}").status

    answers = in_parallel(len(everyone), revoke)
    assert set(answers) <= {204, 409, 401}
    server.restart()
    left = [key for key in [server.admin] + [one["key"] for one in others] if status(server, key) == 200]
    assert len(left) >= 1


# -------------------------------------------------------------------------------------------------------------- addresses


def test_a_key_is_taken_from_its_addresses_alone(shared):
    here = make(shared, "read", "verify", address_ranges=["127.0.0.1"])
    elsewhere = make(shared, "read", "verify", "admin", address_ranges=["10.0.0.0/8", "2001:db8::/32"])
    assert status(shared, here["key"]) == 200
    assert_problem(shared.call("GET", "/v1/policy", key=elsewhere["key"]), 403)
    assert_problem(shared.call("POST", "/v1/verify", {"user": "a", "code": "123456"}, key=elsewhere["key"]), 403)
    # No header talks a client's address away.
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        assert_problem(shared.call("GET", "/v1/policy", key=elsewhere["key"], headers={header: "10.0.0.1"}), 403)
    with Connection(shared.port) as browser:
        assert_problem(browser.request("POST", "/console/api/session", {"api_key": elsewhere["key"]}), 403, "api_key")
        assert browser.request("POST", "/console/api/session", {"api_key": here["key"]}).status == 201
    assert listed(shared, elsewhere)["last_used_at"] is None


# ------------------------------------------------------------------------------------------------------------------- rate


def test_a_key_is_held_to_its_rate_and_told_when_to_come_again(shared):
    slow, fast = make(shared, "read", requests_per_second=5), make(shared, "read")
    with shared.connect(slow["key"]) as connection, shared.connect(fast["key"]) as other:
        answers = [connection.request("GET", "/v1/policy") for _ in range(50)]
        good = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(good) + len(refused) == 50 and 5 <= len(good) < 50
        assert_problem(refused[0], 429)
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert all(other.request("GET", "/v1/policy").status == 200 for _ in range(50)), "another key has its own"
        time.sleep(1.1)
        assert connection.request("GET", "/v1/policy").status == 200


def test_a_rate_holds_across_connections(shared):
    made = make(shared, "verify", requests_per_second=20)

    def guess(i):
        with shared.connect(made["key"]) as connection:
            answers = [connection.request("POST", "/v1/verify", {"user": "nobody", "code": "123456"}) for _ in range(20)]
        return sum(answer.status == 200 for answer in answers), sum(answer.status == 429 for answer in answers)

    begun = time.monotonic()
    counts = in_parallel(8, guess)
    allowed = 20 + 20 * (time.monotonic() - begun) + 1
    assert sum(good for good, _ in counts) <= allowed and sum(refused for _, refused in counts) > 0


# --------------------------------------------------------------------------------------------------------------- last use


def test_the_last_use_is_told_and_kept(server):
    made = make(server, "read")
    assert listed(server, made)["last_used_at"] is None
    before = int(time.time())
    assert status(server, made["key"]) == 200
    used = listed(server, made)["last_used_at"]
    assert utc(before) <= used <= utc(time.time())
    server.restart()
    assert listed(server, made)["last_used_at"] == used


# ----------------------------------------------------------------------------------------------------------- command line


def cli(server, *arguments):
    return watchword.run("api-key", *arguments, "--data-dir", server.data_dir)


def test_the_command_line_makes_lists_rotates_and_revokes(server):
    server.stop()
    made = cli(server, "create", "--scope", "verify,read", "--name", "vpn", "--expires-in", "90d", "--address-range", "127.0.0.0/8",
               "--address-range", "10.0.0.0/8", "--requests-per-second", "100")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"ww_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", key)
    identity = key[3:19]
    row = next(line.split("\t") for line in cli(server, "list").stdout.splitlines() if line.startswith(identity))
    assert row[:3] == [identity, "verify,read", "vpn"] and row[4:] == ["-", "127.0.0.0/8,10.0.0.0/8", "100"]
    assert abs(datetime.datetime.fromisoformat(row[3].replace("Z", "+00:00")).timestamp() - time.time() - 90 * 86400) < 60
    new = cli(server, "rotate", identity, "--overlap", "1h", "--expires-in", "10d")
    assert new.returncode == 0, new.stderr
    server.start()
    assert status(server, key) == status(server, new.stdout.strip()) == 200
    server.stop()
    assert cli(server, "revoke", identity).returncode == 0
    server.start()
    assert status(server, key) == status(server, new.stdout.strip()) == 401
    actors = {entry["action"]: entry["actor"] for entry in server.expect(200, "GET", "/v1/audit")["entries"]}
    assert actors["api_key.rotate"] == actors["api_key.revoke"] == "cli"


@pytest.mark.parametrize("arguments, code", [
    (["create", "--scope", "read", "--name", "x", "--expires-in", "soon"], 2),
    (["create", "--scope", "read", "--name", "x", "--expires-in", "90"], 2),
    (["create", "--scope", "read", "--name", "x", "--expires-in", "-1d"], 2),
    (["create", "--scope", "read", "--name", "x", "--expires-in", "5000d"], 1),
    (["create", "--scope", "read", "--name", "x", "--requests-per-second", "0"], 2),
    (["create", "--scope", "read", "--name", "x", "--address-range", "10.1.2.3/8"], 1),
    (["create", "--scope", "read", "--name", ""], 1),
    (["rotate"], 2),
    (["rotate", "0000000000000000"], 1),
    (["rotate", "0000000000000000", "--overlap", "x"], 2),
    (["rotate", "0000000000000000", "--overlap", "91d"], 1),
    (["revoke", "nobody"], 1),
])
def test_wrong_arguments_are_refused_in_words(idle, arguments, code):
    done = cli(idle, *arguments)
    assert done.returncode == code and done.stdout == "" and done.stderr.strip(), done


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    server = watchword.Server(tmp_path_factory.mktemp("idle")).start()
    server.stop()
    yield server
    server.end()
