"""The audit trail: who did what, found again over REST, and checked offline."""
import json

from watchword import assert_problem, eventually, path_of, run


def entries_of(server, query="", key=None):
    answer = server.call("GET", "/v1/audit" + query, key=key)
    assert answer.status == 200, answer
    return answer.json()


def actions(server, query=""):
    """Oldest first."""
    return [entry["action"] for entry in reversed(entries_of(server, query)["entries"])]


def test_every_change_is_told_with_who_and_from_where(server):
    phone = server.register("ada")
    answer = server.call(
        "PATCH",
        path_of("ada", "devices", phone.device),
        {"name": "renamed"},
        headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    )
    assert answer.status == 200
    server.call("PATCH", path_of("ada", "devices", phone.device), {"enabled": False}, headers={"X-Request-Id": "r-1"})
    server.call("POST", path_of("ada", "unlock"))
    server.call("DELETE", path_of("ada", "devices", phone.device))
    server.call("DELETE", path_of("ada"))
    assert actions(server, "?user=ada") == [
        "device.begin", "device.confirm", "device.rename", "device.disable", "user.unlock", "device.remove", "user.remove",
    ]
    rename = entries_of(server, "?user=ada&action=device.rename")["entries"][0]
    assert rename["address"] == "127.0.0.1" and rename["actor"].startswith("key:")
    assert rename["trace"] == "0af7651916cd43dd8448eb211c80319c"
    assert rename["detail"]["new"] == "renamed" and rename["device"] == phone.device
    disable = entries_of(server, "?action=device.disable")["entries"][0]
    assert disable["trace"] == "r-1"


def test_a_policy_is_told_with_old_and_new(server):
    old = server.call("GET", "/v1/policy")
    wanted = dict(old.json(), issuer="Example")
    stale = server.call("PUT", "/v1/policy", dict(wanted, issuer="Other"))
    assert stale.status == 200
    lost = server.call("PUT", "/v1/policy", wanted, headers={"If-Match": old.headers["etag"]})
    assert_problem(lost, 412)
    told = entries_of(server, "?action=policy.replace")["entries"]
    assert len(told) == 1
    assert told[0]["detail"]["old"]["issuer"] == old.json()["issuer"] and told[0]["detail"]["new"]["issuer"] == "Other"


def test_keys_are_told_without_their_secret(server):
    made = server.call("POST", "/v1/api-keys", {"name": "desk", "scopes": ["audit"]}).json()
    told = entries_of(server, "?action=api_key.create", key=made["key"])["entries"]
    assert told[0]["detail"] == {"id": made["id"], "name": "desk", "scopes": ["audit"]}
    assert told[-1]["actor"] == "cli"
    assert made["key"] not in json.dumps(told)
    reader = server.call("POST", "/v1/api-keys", {"name": "r", "scopes": ["read"]}).json()
    assert_problem(server.call("GET", "/v1/audit", key=reader["key"]), 403)


def test_pages_have_neither_gap_nor_repetition(server):
    for i in range(7):
        server.call("POST", path_of("ada", "devices"), {"name": f"phone {i}"})
    seen, cursor = [], ""
    while True:
        page = entries_of(server, f"?user=ada&limit=3{cursor}")
        seen += [entry["sequence"] for entry in page["entries"]]
        if "next_cursor" not in page:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert len(seen) == 7 and seen == sorted(seen, reverse=True) and len(set(seen)) == 7


def test_bad_queries_are_named(server):
    for query, field in [
        ("?from=yesterday", "from"), ("?to=2026-13-01T00:00:00Z", "to"), ("?cursor=x", "cursor"), ("?limit=0", "limit"),
        ("?limit=1001", "limit"), ("?action=", "action"), ("?user=", "user"), ("?colour=red", "colour"),
        ("?cursor=-5-1", "cursor"),
    ]:
        assert_problem(server.call("GET", "/v1/audit" + query), 400, field)
    assert entries_of(server, "?from=2031-01-01T00:00:00Z")["entries"] == []


def test_the_trail_is_verified_offline_and_exported(server, tmp_path):
    server.register("ada")
    server.kill9()
    data = ["--data-dir", str(server.data_dir)]
    head = run("audit", "head", *data)
    assert head.returncode == 0
    saved = tmp_path / "head"
    saved.write_text(head.stdout)
    good = run("audit", "verify", "--head", str(saved), *data)
    assert good.returncode == 0 and "intact" in good.stdout, good
    told = [json.loads(line) for line in run("audit", "export", *data).stdout.splitlines()]
    assert [entry["action"] for entry in told] == ["api_key.create", "device.begin", "device.confirm"]
    assert [entry["sequence"] for entry in told] == [1, 2, 3]
    saved.write_text(head.stdout.replace(" 3 ", " 4 "))
    assert run("audit", "verify", "--head", str(saved), *data).returncode == 1


def test_two_administrators_never_lose_an_update(server):
    phone = server.register("ada")
    path = path_of("ada", "devices", phone.device)
    seen = server.call("GET", path).headers["etag"]
    assert server.call("GET", path_of("ada")).headers["etag"] == seen
    first = server.call("PATCH", path, {"name": "first"}, headers={"If-Match": seen})
    assert first.status == 200 and first.headers["etag"] != seen
    for method, where, body in [("PATCH", path, {"name": "second"}), ("DELETE", path, None), ("DELETE", path_of("ada"), None)]:
        assert_problem(server.call(method, where, body, headers={"If-Match": seen}), 412)
        assert_problem(server.call(method, where, body, headers={"If-Match": "W/" + first.headers["etag"]}), 412)
    assert server.device(phone)["name"] == "first"
    assert server.call("DELETE", path_of("ada"), headers={"If-Match": first.headers["etag"]}).status == 204
    # Who comes back under the same name is somebody else.
    again = server.register("ada")
    assert server.call("GET", path_of("ada")).headers["etag"] not in (seen, first.headers["etag"])
    assert_problem(server.call("DELETE", path_of("ada", "devices", again.device), headers={"If-Match": seen}), 412)


def test_refused_requests_are_told_but_cannot_fill_the_disk(server):
    reader = server.new_key("read")["key"]
    assert_problem(server.call("DELETE", path_of("ada"), key=reader), 403)
    for _ in range(400):
        assert_problem(server.call("GET", "/v1/users?prefix=s3cret", key="ww_nobody"), 401)
    told = eventually(lambda: [one for one in entries_of(server, "?action=request.refused&limit=1000")["entries"]][1:], what="entries")
    assert len(told) < 300
    first = told[-1] if told[-1]["detail"]["status"] == 403 else entries_of(server, "?action=request.refused&limit=1000")["entries"][-1]
    assert first["detail"] == {"status": 403, "method": "DELETE", "path": "/v1/users/ada"}
    assert first["actor"].startswith("key:")
    assert told[0]["actor"] == "nobody" and told[0]["address"] == "127.0.0.1" and "s3cret" not in json.dumps(told)


def test_a_lock_is_told_once(timed):
    phone = timed.register("ada", step_back=1)
    for _ in range(14):
        timed.verify("ada", phone.wrong_code(timed.now()))
    told = eventually(lambda: entries_of(timed, "?user=ada&action=user.lock")["entries"], what="the lock")
    assert len(told) == 1 and told[0]["detail"]["hard"] is False and told[0]["detail"]["retry_after_s"] >= 1


def verifications(server, user):
    """Their results, oldest first."""
    told = entries_of(server, f"?user={user}&action=verification&limit=1000")["entries"]
    return [entry["detail"]["result"] for entry in reversed(told)]


def test_policy_says_which_verifications_are_told(timed):
    phones = {user: timed.register(user, step_back=1) for user in ("ada", "bob", "eve")}

    def ask(user):
        phone = phones[user]
        right = phone.code(timed.now())
        answers = [timed.verify(user, code)["result"] for code in (right, right, phone.wrong_code(timed.now()))]
        assert answers == ["accepted", "replayed", "rejected"]

    ask("ada")  # as it comes: refusals
    timed.set_policy(audit_verifications="all")
    ask("bob")
    timed.set_policy(audit_verifications="none")
    ask("eve")
    # Durable with what it is about, or a moment later.
    eventually(lambda: len(verifications(timed, "bob")) == 3, what="three entries")
    assert verifications(timed, "bob") == ["accepted", "replayed", "rejected"]
    assert verifications(timed, "ada") == ["replayed", "rejected"] and verifications(timed, "eve") == []
    accepted = entries_of(timed, "?user=bob&action=verification")["entries"][-1]
    assert accepted["device"] == phones["bob"].device and accepted["actor"].startswith("key:")
    assert accepted["address"] == "127.0.0.1"
    policy = timed.expect(200, "GET", "/v1/policy")
    assert_problem(timed.call("PUT", "/v1/policy", {**policy, "audit_verifications": "some"}), 422, "audit_verifications")
    old = {name: value for name, value in policy.items() if name != "audit_verifications"}
    timed.expect(200, "PUT", "/v1/policy", old)
    assert timed.expect(200, "GET", "/v1/policy")["audit_verifications"] == "refusals"


def test_an_accepted_code_is_in_the_trail_when_its_answer_is_there(timed):
    timed.set_policy(audit_verifications="all")
    phones = [timed.register(f"user-{i}", step_back=1) for i in range(30)]
    items = [{"user": phone.user, "code": phone.code(timed.now())} for phone in phones]
    with timed.connect() as connection:
        assert [one["result"] for one in connection.batch(items)] == ["accepted"] * 30
    timed.kill9()
    done = run("audit", "export", "--data-dir", str(timed.data_dir))
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["user"] for one in told if one["action"] == "verification"] == [phone.user for phone in phones]
    assert run("audit", "verify", "--data-dir", str(timed.data_dir)).returncode == 0


def test_verifications_carry_address_and_trace(timed):
    phone = timed.register("ada", step_back=1)
    codes = timed.expect(201, "POST", path_of("ada", "recovery-codes"))["codes"]
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    for code in (phone.wrong_code(timed.now()), codes[0], codes[0], "-".join(["3333"] * 4)):
        timed.expect(200, "POST", "/v1/verify", {"user": "ada", "code": code}, headers=trace)
    told = eventually(
        lambda: [one for one in entries_of(timed, "?user=ada")["entries"] if one.get("trace")][3:] and
        entries_of(timed, "?user=ada")["entries"], what="four entries",
    )
    told = [one for one in reversed(told) if one["action"] in ("verification", "recovery_codes.use")]
    assert [(one["action"], one["detail"]["result"]) for one in told] == [
        ("verification", "rejected"), ("recovery_codes.use", "accepted"), ("verification", "replayed"),
        ("recovery_codes.use", "rejected"),
    ]
    for one in told:
        assert one["trace"] == "0af7651916cd43dd8448eb211c80319c" and one["address"] == "127.0.0.1", one
        assert one["actor"].startswith("key:") and one["actor"] != "key:0000000000000000"
    assert codes[0] not in json.dumps(told)


def test_what_costs_nothing_cannot_fill_the_disk(timed):
    with timed.connect() as connection:
        answers = connection.batch([{"user": "nobody", "code": "123456"}] * 2000)
        assert {one["result"] for one in answers} == {"no_device"}
        eventually(lambda: len(verifications(timed, "nobody")) > 100, what="the first ones")
        assert len(verifications(timed, "nobody")) < 400
        timed.clock.forward(10)
        connection.verify("nobody", "123456")

    def accounted_for():
        entries = entries_of(timed, "?user=nobody&action=verification&limit=1000")["entries"]
        return len(entries) + sum(entry["detail"].get("left_out", 0) for entry in entries)

    eventually(lambda: accounted_for() == 2001, what="an entry, or a count, for each")


def test_a_lock_by_recovery_codes_is_told(timed):
    timed.register("ada", step_back=1)
    timed.expect(201, "POST", path_of("ada", "recovery-codes"))
    alphabet = "346789CDFHJKMNPQ"
    for i in range(10):
        timed.verify("ada", "-".join([alphabet[i] * 4] * 4))
    told = entries_of(timed, "?user=ada&action=user.lock")["entries"]
    assert len(told) == 1 and told[0]["detail"]["hard"] is False and told[0]["address"] == "127.0.0.1"


def test_commands_that_own_the_directory_are_told(server, tmp_path):
    server.stop()
    data = ["--data-dir", str(server.data_dir)]
    rows = tmp_path / "rows.csv"
    rows.write_text("user,name,secret,algorithm,digits,period\nada,phone,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,,\n,x,,,,\n")
    assert run("import", str(rows), "--format", "csv", *data).returncode == 1
    assert run("backup", str(tmp_path / "backups"), *data).returncode == 0
    target = tmp_path / "restored"
    target.mkdir()
    (target / "master.key").write_bytes((server.data_dir / "master.key").read_bytes())
    (target / "master.key").chmod(0o600)
    assert run("restore", str(tmp_path / "backups"), "--data-dir", str(target)).returncode == 0

    def told(directory):
        lines = run("audit", "export", "--data-dir", str(directory)).stdout.splitlines()
        return [(one["actor"], one["action"], one.get("detail")) for one in map(json.loads, lines)]

    imported = ("cli", "import", {"rows": 2, "devices": 1, "unchanged": 0, "new_users": 1, "refused": 1})
    assert told(server.data_dir)[1] == imported
    assert told(server.data_dir)[2][:2] == ("cli", "backup.make")
    assert [one[:2] for one in told(target)[1:]] == [imported[:2], ("cli", "restore")]
    assert run("audit", "verify", "--data-dir", str(target)).returncode == 0


def test_a_backup_over_rest_is_told(make_server, tmp_path):
    server = make_server(config=f'[backup]\ndir = "{tmp_path}/backups"\n').start()
    made = server.expect(201, "POST", "/v1/backups")
    told = entries_of(server, "?action=backup.make")["entries"]
    assert len(told) == 1 and told[0]["detail"]["id"] == made["id"] and told[0]["address"] == "127.0.0.1"
