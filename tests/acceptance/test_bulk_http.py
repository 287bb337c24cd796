"""Import and export of a running server: streams of any length, whole rows, nobody waits for them."""
import json
import os
import re
import socket
import subprocess
import time

from watchword import (
    GOOD_PHONES, Phone, assert_problem, base32, csv_rows, eventually, in_parallel, path_of, request_bytes, run, write_csv)

NDJSON = {"Content-Type": "application/x-ndjson"}
MANY = 100_000 if os.environ.get("WATCHWORD_FULL") == "1" else 20_000


def row(phone, **more):
    usual = {"user": phone.user, "name": "phone", "secret": base32(phone.secret), "algorithm": phone.algorithm,
             "digits": phone.digits, "period": phone.period}
    return {**usual, **more}


def lines(rows):
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def send(server, body, query="", key=None, headers=NDJSON):
    return server.call("POST", "/v1/import" + query, body, key, headers)


def chunked(server, pieces, key=None, query=""):
    """A body of unknown length; `pieces` may come slowly."""
    with server.connect(timeout_s=120) as connection:
        connection.send(request_bytes("POST", "/v1/import" + query, None, key or server.admin,
                                      {**NDJSON, "Transfer-Encoding": "chunked"}))
        for piece in pieces:
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        answer = connection.read()
        assert connection.request("GET", "/healthz").status == 200, "the connection goes on"
        return answer


def exported(server):
    with server.connect() as connection:
        answer = connection.request("GET", "/v1/export")
        assert answer.status == 200 and answer.headers["content-type"] == "application/x-ndjson", answer
        assert connection.request("GET", "/healthz").status == 200, "the connection goes on"
    return [json.loads(line) for line in answer.body.splitlines()]


def test_what_was_imported_signs_in_at_once_and_is_exported_without_its_secret(server):
    answer = send(server, lines(row(phone) for phone in GOOD_PHONES))
    assert answer.status == 200, answer
    told = answer.json()
    assert told == {"complete": True, "rows": 4, "imported": 4, "unchanged": 0, "new_users": 4, "refused_rows": 0, "refused": []}
    for phone in GOOD_PHONES:
        assert server.result(phone.user, phone.code(time.time())) == "accepted"
    found = {one["user"]: one for one in exported(server)}
    assert set(found) == {phone.user for phone in GOOD_PHONES}
    for phone in GOOD_PHONES:
        one = found[phone.user]
        assert (one["name"], one["algorithm"], one["digits"], one["period"]) == (
            "phone", phone.algorithm, phone.digits, phone.period)
        assert one["enabled"] is True and one["confirmed_at"] and "secret" not in one
        assert one["id"] == server.expect(200, "GET", path_of(phone.user, "devices"))["devices"][0]["id"]
    server.restart(hard=True)
    assert {one["user"] for one in exported(server)} == set(found)


def test_the_same_rows_again_change_nothing(server):
    body = lines(row(phone) for phone in GOOD_PHONES)
    assert send(server, body).json()["imported"] == 4
    before = exported(server)
    again = send(server, body).json()
    assert (again["imported"], again["unchanged"], again["new_users"], again["refused"]) == (0, 4, 0, [])
    assert exported(server) == before
    used = GOOD_PHONES[0].code(time.time())
    assert server.result("ada", used) == "accepted"
    send(server, body)
    assert server.result("ada", used) == "replayed", "an import brings no used code back"


def test_bad_rows_are_named_and_the_good_ones_are_in(server):
    ada = Phone.made("ada")
    rows = [
        row(ada),
        b"no JSON",
        {**row(ada), "name": "phone", "secret": base32(b"x" * 20)},
        {"user": "bo", "secret": base32(b"y" * 20)},
        {**row(Phone.made("cy")), "secret": "0189"},
        {**row(Phone.made("di")), "secret": base32(b"short")},
        {**row(Phone.made("ed")), "digits": 9},
        {**row(Phone.made("fi")), "period": "30"},
        {**row(Phone.made("gu")), "colour": "red"},
        {**row(ada), "name": "another"},
        b'{"user":"hu","user":"hu"}',
        {**row(Phone.made("io")), "line": 4711, "algorithm": "MD5"},
        b"x" * 9000,
        {**row(Phone.made("jo")), "name": None},
        b"",
        row(Phone.made("zoe")),
    ]
    body = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows)  # no last line end
    answer = send(server, body)
    assert answer.status == 200, answer
    told = answer.json()
    assert (told["rows"], told["imported"], told["refused_rows"]) == (15, 2, 13)
    refused = {one["line"]: one for one in told["refused"]}
    assert [one["line"] for one in told["refused"] if one["line"] < 4711] != [] and 4711 in refused
    assert set(refused) == {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 4711, 13, 14}
    fields = {line: one.get("field") for line, one in refused.items()}
    assert fields == {2: None, 3: "name", 4: "name", 5: "secret", 6: "secret", 7: "digits", 8: "period", 9: "colour",
                      10: "secret", 11: "user", 4711: "algorithm", 13: None, 14: "name"}
    assert refused[7]["user"] == "ed" and all(one["reason"] for one in told["refused"])
    assert base32(b"short") not in answer.body.decode()
    for phone in (ada, Phone.made("zoe")):
        assert server.result(phone.user, phone.code(time.time())) == "accepted"


def test_the_limit_of_devices_holds_and_short_secrets_come_only_when_asked_for(server):
    server.set_policy(max_devices_per_user=2)
    rows = [{"user": "ada", "name": f"phone {i}", "secret": base32(bytes([i]) * 20)} for i in range(3)]
    assert [one["line"] for one in send(server, lines(rows)).json()["refused"]] == [3]
    short = Phone(b"0123456789", user="old")
    assert send(server, lines([row(short)])).json()["refused"][0]["field"] == "secret"
    assert send(server, lines([row(short)]), "?allow_short_secrets=true").json()["imported"] == 1
    assert server.result("old", short.code(time.time())) == "accepted"


def test_bad_requests_are_named(server):
    body = lines([row(GOOD_PHONES[0])])
    assert_problem(send(server, body, key="no-such-key"), 401)
    assert_problem(send(server, body, key=server.new_key("enroll", "verify", "read", "audit", "metrics")["key"]), 403)
    assert_problem(send(server, body, headers={"Content-Type": "application/json"}), 415)
    assert_problem(send(server, body, "?colour=red"), 400, "colour")
    assert_problem(send(server, body, "?allow_short_secrets=1"), 400, "allow_short_secrets")
    assert server.call("GET", "/v1/import").headers["allow"] == "POST"
    assert server.call("POST", "/v1/export", {}).headers["allow"] == "GET, HEAD"
    assert_problem(server.call("GET", "/v1/export?limit=5"), 400, "limit")
    assert_problem(server.call("GET", "/v1/export", key=server.new_key("read", "verify", "enroll")["key"]), 403)
    # The same where the body is too long to be there at once.
    large = b"x" * 200_000
    for status, options in ((401, {"key": "no-such-key"}), (403, {"key": server.new_key("enroll")["key"]}),
                            (415, {"headers": {"Content-Type": "text/csv"}}), (400, {"query": "?colour=red"})):
        with server.connect() as connection:
            connection.send(request_bytes("POST", "/v1/import" + options.get("query", ""), large, options.get("key", server.admin),
                                          options.get("headers", NDJSON)))
            assert_problem(connection.read(), status)
    assert send(server, b"").json()["rows"] == 0
    assert_problem(server.call("GET", "/v1/users/ada"), 404)


def many_rows(first, count):
    return lines({"user": f"person {i:07}", "name": "phone", "secret": base32(i.to_bytes(20, "big"))}
                 for i in range(first, first + count))


def test_a_stream_of_any_length_needs_no_memory_for_it(server):
    send(server, many_rows(0, 1000))
    before = server.resident_bytes()
    began = time.monotonic()
    answer = chunked(server, (many_rows(at, 1000) for at in range(0, MANY, 1000)))
    assert answer.status == 200 and answer.json()["imported"] == MANY - 1000, answer
    print(f"{MANY / (time.monotonic() - began):.0f} rows/s, {(server.resident_bytes() - before) >> 20} MiB more")
    # RocksDB's memory for what is not flushed is bounded, and there already or not; the rows themselves are not kept.
    assert server.resident_bytes() - before < 150 << 20
    rows = exported(server)
    assert [one["user"] for one in rows] == [f"person {i:07}" for i in range(MANY)], "in order, each once"


def test_a_client_that_does_not_read_or_goes_away_costs_nothing(server):
    chunked(server, (many_rows(at, 1000) for at in range(0, MANY, 1000)))
    before = server.resident_bytes()
    slow = [server.connect() for _ in range(20)]
    for connection in slow:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(request_bytes("GET", "/v1/export", None, server.admin))
    phone = Phone.made("ada")
    assert send(server, lines([row(phone)])).json()["imported"] == 1, "nobody holds the workers"
    assert server.result("ada", phone.code(time.time())) == "accepted"
    assert server.resident_bytes() - before < 60 << 20
    for connection in slow:
        connection.close()
    eventually(lambda: server.open_sockets() < 20, what="the end of the connections")
    server.assert_healthy()


def test_an_import_that_is_cut_leaves_whole_rows(server):
    body = many_rows(0, 3000)
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/v1/import", None, server.admin,
                                      {**NDJSON, "Content-Length": str(len(body) + 500)}) + body + b'{"user":"half",')
        eventually(lambda: server.call("GET", path_of("person 0002000")).status == 200, what="rows, before the body's end")
    with server.connect() as connection:  # half closed: no more will come
        connection.send(request_bytes("POST", "/v1/import", None, server.admin, {**NDJSON, "Content-Length": "100000"}) +
                        many_rows(5000, 3) + b'{"user":"half"')
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.closed_by_server()
    eventually(lambda: server.open_sockets() < 12, what="the end of the connections")
    users = [one["user"] for one in exported(server)]
    assert all(re.fullmatch(r"person \d{7}", user) for user in users)
    again = send(server, body).json()
    assert again["imported"] + again["unchanged"] == 3000 and again["refused"] == []


def test_after_ten_thousand_refusals_an_import_stops_and_says_where(server):
    phone = Phone.made("ada")
    body = lines([row(phone)]) + b"{}\n" * 30_000
    answer = chunked_until_answered(server, body)
    told = answer.json()
    assert told["complete"] is False and told["refused_rows"] == len(told["refused"]) == 10_000
    assert told["rows"] == 10_001 and "10001" in told["detail"]
    assert server.result("ada", phone.code(time.time())) == "accepted"


def chunked_until_answered(server, body):
    with server.connect() as connection:
        try:
            connection.send(request_bytes("POST", "/v1/import", body, server.admin, NDJSON))
        except OSError:
            pass
        return connection.read()


def test_malformed_chunks_end_an_import(server):
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/v1/import", None, server.admin, {**NDJSON, "Transfer-Encoding": "chunked"}))
        connection.send(b"5\r\n{}\n{}XX\r\n")
        assert_problem(connection.read(), 400)
        assert connection.closed_by_server()
    server.assert_healthy()


def test_imports_side_by_side_and_with_registrations_lose_nothing(server):
    """Eight imports of the same people, each with devices of its own, and registrations between them."""
    people = 60

    def one(i):
        if i < 6:
            rows = [{"user": f"person {k}", "name": f"import {i}", "secret": base32(bytes([i + 1]) + k.to_bytes(19, "big"))}
                    for k in (range(people) if i % 2 else reversed(range(people)))]
            with server.connect() as connection:
                return connection.request("POST", "/v1/import", lines(rows), NDJSON).json()["imported"]
        done = 0
        with server.connect() as connection:
            for k in range(people):
                done += connection.request("POST", path_of(f"person {k}", "devices"), {"name": f"own {i}"}).status == 201
        return done

    assert in_parallel(8, one) == [people] * 8
    for k in range(people):
        names = [one["name"] for one in server.expect(200, "GET", path_of(f"person {k}", "devices"))["devices"]]
        assert sorted(names) == [f"import {i}" for i in range(6)] + ["own 6", "own 7"]


def test_every_imported_device_is_in_the_audit_trail(server):
    send(server, lines([row(GOOD_PHONES[0]), row(GOOD_PHONES[1])]))
    entries = server.expect(200, "GET", "/v1/audit?action=import")["entries"]
    assert [one["user"] for one in entries] == [GOOD_PHONES[1].user, "ada"]
    assert entries[0]["actor"].startswith("key:") and entries[0]["device"]


def test_to_an_old_client_the_export_ends_with_the_connection(server):
    send(server, lines(row(phone) for phone in GOOD_PHONES))
    with server.connect() as connection:
        connection.send(f"GET /v1/export HTTP/1.0\r\nAuthorization: Bearer {server.admin}\r\n\r\n".encode())
        assert connection.closed_by_server()
        head, _, body = connection.input.partition(b"\r\n\r\n")
        assert b"chunked" not in head and len(body.splitlines()) == 4
    with server.connect() as connection:
        connection.send(request_bytes("HEAD", "/v1/export", None, server.admin))
        connection.send(request_bytes("GET", "/healthz"))
        connection._more()
        eventually(lambda: b"ok" in connection.input or connection._more(), what="the next answer")
        assert b"user" not in connection.input


# ------------------------------------------------------------------------------------------------------- the command line


def remote(server, command, *arguments, key=None, **more):
    environment = {"WATCHWORD_API_KEY": key if key is not None else server.admin}
    return run(command, *arguments, "--url", f"http://127.0.0.1:{server.port}", environment=environment, **more)


def csv_file(server, phones, extra=""):
    file = server.directory / "rows.csv"
    write_csv(file, phones, extra)
    return file


def test_the_command_line_imports_into_and_exports_from_a_running_server(server):
    done = remote(server, "import", csv_file(server, GOOD_PHONES))
    assert done.returncode == 0, done.stderr
    assert "Imported 4 of 4 rows, 4 new users" in done.stderr
    again = remote(server, "import", csv_file(server, GOOD_PHONES))
    assert again.returncode == 0 and "Imported 0 of 4 rows, 0 new users; 4 were there already." in again.stderr, again.stderr
    for phone in GOOD_PHONES:
        assert server.result(phone.user, phone.code(time.time())) == "accepted"
    told = remote(server, "export")
    assert told.returncode == 0, told.stderr
    server.stop()
    assert run("export", "--data-dir", server.data_dir).stdout == told.stdout, "as the data directory's own export"
    assert {one["user"] for one in csv_rows(told.stdout)} == {phone.user for phone in GOOD_PHONES}
    assert all(one["secret"] == "" for one in csv_rows(told.stdout))


def test_the_command_line_names_bad_rows_by_the_files_lines(server):
    file = csv_file(server, GOOD_PHONES[:1], extra='bo,phone,0189,,,\n\ncy,phone,{},,,\n"di,x,y,,,\n'.format(base32(b"short")))
    done = remote(server, "import", file)
    assert done.returncode == 1
    named = re.findall(r"^line (\d+): (.+)$", done.stderr, re.M)
    assert sorted(int(line) for line, _ in named) == [3, 5, 6], done.stderr
    assert "Imported 1 of 4 rows" in done.stderr and base32(b"short") not in done.stderr
    short = csv_file(server, [Phone(b"0123456789", user="old")])
    assert remote(server, "import", short).returncode == 1
    assert remote(server, "import", short, "--allow-short-secrets").returncode == 0


def test_the_command_line_says_what_is_wrong(server):
    file = csv_file(server, GOOD_PHONES[:1])
    assert remote(server, "import", file, key="").returncode == 2
    wrong = remote(server, "import", file, key="no-such-key")
    assert wrong.returncode == 1 and "401" in wrong.stderr
    forbidden = remote(server, "export", key=server.new_key("read")["key"])
    assert forbidden.returncode == 1 and "403" in forbidden.stderr and "admin" in forbidden.stderr
    assert remote(server, "export", "--with-secrets").returncode == 2
    assert remote(server, "import", file, "--data-dir", server.data_dir).returncode == 2
    gone = run("export", "--url", "http://127.0.0.1:1", environment={"WATCHWORD_API_KEY": "x"})
    assert gone.returncode == 1 and "connect" in gone.stderr
    assert run("export", "--url", "ftp://x", environment={"WATCHWORD_API_KEY": "x"}).returncode == 2
    no_place = remote(server, "backup")
    assert no_place.returncode == 1 and "409" in no_place.stderr
    assert run("backup").returncode == 2


def test_the_command_line_asks_a_running_server_for_a_backup(make_server, tmp_path):
    server = make_server(config=f'[backup]\ndir = "{tmp_path}/backups"\n').start()
    server.register("ada")
    made = remote(server, "backup")
    assert made.returncode == 0 and "verified backup 1" in made.stderr, made.stderr
    restored = run("restore", tmp_path / "backups", "--data-dir", tmp_path / "again", "--config", server.config_file)
    assert restored.returncode == 0 or "master" in restored.stderr, restored.stderr


def test_the_command_line_goes_over_tls_and_trusts_nobody_else(make_server, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    config = (f'[[listener]]\nhost = "127.0.0.1"\nport = 0\nplanes = ["verify", "admin", "metrics", "portal"]\n'
              f'[[listener]]\nhost = "127.0.0.1"\nport = 0\nplanes = ["admin"]\n'
              f'certificate_file = "{tmp_path}/cert.pem"\nkey_file = "{tmp_path}/key.pem"\n')
    server = make_server(config=config).start()
    ports = re.findall(r'"listening","address":"127\.0\.0\.1:(\d+)"', server.log())
    url = f"https://127.0.0.1:{ports[-1]}"
    environment = {"WATCHWORD_API_KEY": server.admin}
    file = csv_file(server, GOOD_PHONES)
    stranger = run("import", file, "--url", url, environment=environment)
    assert stranger.returncode == 1 and "certificate" in stranger.stderr, stranger.stderr
    done = run("import", file, "--url", url, "--ca-file", tmp_path / "cert.pem", environment=environment)
    assert done.returncode == 0, done.stderr
    told = run("export", "--url", url, "--ca-file", tmp_path / "cert.pem", environment=environment)
    assert told.returncode == 0 and len(csv_rows(told.stdout)) == 4, told.stderr
