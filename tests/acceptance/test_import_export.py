"""Bulk in and out, and the command line: exit codes, words on stderr, one process a data directory."""
import os
import re
import subprocess
import time

import pytest

from watchword import BINARY, GOOD_PHONES, REPOSITORY, Phone, base32, csv_rows, hotp, path_of, run, unbase32

HEADER = "user,name,secret,algorithm,digits,period\n"
MANY = 1_000_000 if os.environ.get("WATCHWORD_FULL") == "1" else 100_000


def import_text(server, text, *flags, binary=False):
    file = server.directory / "rows.csv"
    file.write_bytes(text if binary else text.encode())
    return run("import", file, "--format", "csv", "--data-dir", server.data_dir, *flags)


def export(server, *flags):
    done = run("export", "--data-dir", server.data_dir, *flags)
    assert done.returncode == 0, done.stderr
    return done


def test_what_was_imported_signs_in_and_is_exported_again(make_server):
    server = make_server()
    server.import_phones(GOOD_PHONES)
    server.start()
    for phone in GOOD_PHONES:
        assert server.result(phone.user, phone.code(time.time())) == "accepted"
    server.stop()
    plain = export(server)
    for phone in GOOD_PHONES:
        assert base32(phone.secret) not in plain.stdout + plain.stderr
    listed = {row["user"]: row for row in csv_rows(plain.stdout)}
    assert set(listed) == {phone.user for phone in GOOD_PHONES}

    told = export(server, "--with-secrets")
    assert "secret" in told.stderr.lower(), "warns"
    rows = {row["user"]: row for row in csv_rows(told.stdout)}
    assert told.stdout.startswith(HEADER)
    for phone in GOOD_PHONES:
        row = rows[phone.user]
        assert unbase32(row["secret"]) == phone.secret and row["name"] == "phone"
        assert (row["algorithm"] or "SHA1", int(row["digits"] or 6), int(row["period"] or 30)) == (
            phone.algorithm, phone.digits, phone.period)

    other = make_server("other")
    taken = import_text(other, told.stdout)
    assert taken.returncode == 0, taken.stderr
    assert export(other, "--with-secrets").stdout == told.stdout


def test_registered_devices_are_exported_and_pending_ones_are_not(make_server):
    server = make_server().start()
    phone = server.register("ada", step_back=1)
    server.begin("ada", "pending")
    server.stop()
    rows = csv_rows(export(server, "--with-secrets").stdout)
    assert [(row["user"], row["name"], row["secret"]) for row in rows] == [("ada", "phone", base32(phone.secret))]


def test_empty_columns_mean_the_usual_parameters(make_server):
    server = make_server()
    phone = Phone.made("ada")
    assert import_text(server, HEADER + f"ada,phone,{base32(phone.secret)},,,\n").returncode == 0
    server.start()
    assert server.result("ada", phone.code(time.time())) == "accepted"


def test_an_imported_device_accepts_each_code_once_and_knows_no_code_as_used(make_server):
    server = make_server()
    phone = Phone.made("ada")
    server.import_phones([phone])
    server.start()
    now = time.time()
    device = server.expect(200, "GET", path_of("ada", "devices"))["devices"][0]
    assert device["status"] == "active" and device["enabled"] is True
    assert server.result("ada", phone.code(now)) == "accepted"
    assert server.result("ada", phone.code(now)) == "replayed"


SECRET = base32(b"a good secret of some length")
BAD = [
    ("no secret", "u,phone,,,,"),
    ("secret too short", f"u,phone,{base32(b'x' * 15)},,,"),
    ("secret too long", f"u,phone,{base32(b'x' * 257)},,,"),
    ("no base32", "u,phone,0189018901890189018901890189,,,"),
    ("no user", f",phone,{SECRET},,,"),
    ("user too long", f"{'x' * 257},phone,{SECRET},,,"),
    ("user with a control character", f"a\x07b,phone,{SECRET},,,"),
    ("no name", f"u,,{SECRET},,,"),
    ("name too long", f"u,{'x' * 65},{SECRET},,,"),
    ("unknown algorithm", f"u,phone,{SECRET},MD5,,"),
    ("algorithm misspelled", f"u,phone,{SECRET},sha-1,,"),
    ("five digits", f"u,phone,{SECRET},,5,"),
    ("digits no number", f"u,phone,{SECRET},,six,"),
    ("period too short", f"u,phone,{SECRET},,,14"),
    ("period too long", f"u,phone,{SECRET},,,301"),
    ("too few columns", "u,phone"),
    ("too many columns", f"u,phone,{SECRET},,,,,"),
    ("name taken", f"good-1,phone,{base32(b'another secret entirely')},,,"),
    ("secret registered", f"good-1,other,{base32(Phone.made('good-1').secret)},,,"),
]


def test_bad_rows_are_listed_with_line_and_reason_and_good_ones_are_in(make_server):
    server = make_server()
    lines = [HEADER.strip(), f"good-1,phone,{base32(Phone.made('good-1').secret)},,,"]
    bad_lines = {}
    for k, (what, row) in enumerate(BAD):
        lines.append(row)
        bad_lines[len(lines)] = (what, row)
        lines.append(f"between-{k},phone,{base32(Phone.made(f'between-{k}').secret)},,,")
    done = import_text(server, "\n".join(lines) + "\n")
    assert done.returncode == 1, (done.returncode, done.stderr)
    told = done.stderr.splitlines() + done.stdout.splitlines()
    for number, (what, _) in bad_lines.items():
        named = [line for line in told if re.search(rf"\bline\D{{0,3}}{number}\b|\b{number}:", line)]
        assert named, f"line {number} ({what}) is not named in:\n{done.stderr}"
        assert len(named[0]) > 15, "with a reason"
    for number in range(1, len(lines) + 1):
        if number not in bad_lines:
            assert not [line for line in told if re.search(rf"\bline\D{{0,3}}{number}\b", line)], number
    assert SECRET not in done.stderr and base32(Phone.made("good-1").secret) not in done.stderr, "no secret on the terminal"
    server.start()
    wanted = ["good-1"] + [f"between-{k}" for k in range(len(BAD))]
    for user in wanted:
        assert server.result(user, Phone.made(user).code(time.time())) == "accepted"
    assert server.call("GET", path_of("u")).status == 404


@pytest.mark.parametrize("text", [
    "", "user,name\n", "name,user,secret,algorithm,digits,period\nphone,ada,X,,,\n", "\x00\x01\x02",
    "ada,phone,JBSWY3DPEHPK3PXPJBSWY3DPEH,,,\n",
])
def test_a_file_that_is_no_such_csv_is_refused(make_server, text):
    server = make_server()
    done = import_text(server, text)
    assert done.returncode in (1, 2) and done.stderr.strip()
    assert csv_rows(export(server).stdout) == []


def test_line_ends_byte_order_mark_and_quotes_are_taken_as_spreadsheets_write_them(make_server):
    server = make_server()
    secret = base32(Phone.made("ada").secret)
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + f'"ada","my ""phone""",{secret.lower()},"SHA1",6,30\r\n'
    done = import_text(server, text)
    assert done.returncode == 0, done.stderr
    rows = csv_rows(export(server, "--with-secrets").stdout)
    assert rows[0]["name"] == 'my "phone"' and rows[0]["secret"] == secret


def test_short_secrets_are_for_old_estates_that_say_so(make_server):
    server = make_server()
    text = HEADER + f"ten,phone,{base32(b'0123456789')},,,\nnine,phone,{base32(b'012345678')},,,\n"
    assert import_text(server, text).returncode == 1
    assert csv_rows(export(server).stdout) == []
    done = import_text(server, text, "--allow-short-secrets")
    assert done.returncode == 1
    assert [row["user"] for row in csv_rows(export(server).stdout)] == ["ten"]
    server.start()
    assert server.result("ten", hotp(b"0123456789", int(time.time() // 30))) == "accepted"


def test_importing_the_same_file_again_changes_nothing_that_was_there(make_server):
    server = make_server()
    phone = Phone.made("ada")
    server.import_phones([phone])
    server.start()
    code = phone.code(time.time())
    assert server.result("ada", code) == "accepted"
    tag = server.call("GET", path_of("ada")).headers["etag"]
    server.stop()
    rows = HEADER + f"ada,phone,{base32(phone.secret)},,,\n" + f"bo,phone,{base32(Phone.made('bo').secret)},,,\n" * 2
    again = import_text(server, rows)
    assert again.returncode == 0 and "Imported 1 of 3 rows, 1 new users; 2 were there already." in again.stderr, again.stderr
    other = import_text(server, HEADER + f"ada,phone,{base32(Phone.made('bo').secret)},,,\nada,other,{base32(phone.secret)},,,\n")
    assert other.returncode == 1 and "2 rows were refused" in other.stderr, "what is not the same is refused"
    server.start()
    assert server.call("GET", path_of("ada")).headers["etag"] == tag
    assert len(server.expect(200, "GET", path_of("ada", "devices"))["devices"]) == 1
    assert server.result("ada", code) == "replayed", "a second import brings no used code back"


def test_several_devices_of_one_user_come_in_up_to_the_limit(make_server):
    server = make_server()
    phones = [Phone.made(f"device-{i}") for i in range(9)]
    text = HEADER + "".join(f"ada,{phone.user},{base32(phone.secret)},,,\n" for phone in phones)
    done = import_text(server, text)
    assert done.returncode == 1 and re.search(r"\b10\b", done.stderr), "the ninth device, on line 10"
    server.start()
    listed = server.expect(200, "GET", path_of("ada", "devices"))["devices"]
    assert [one["name"] for one in listed] == [f"device-{i}" for i in range(8)]
    for phone in phones[:8]:
        assert server.result("ada", phone.code(time.time())) == "accepted"


def test_an_estate_of_a_hundred_thousand_comes_in_and_starts_in_under_a_second(make_server):
    server = make_server()
    file = server.directory / "estate.csv"
    with open(file, "w") as out:
        out.write(HEADER)
        for i in range(MANY):
            out.write(f"user-{i:07},phone,{base32(Phone.made(f'user-{i:07}').secret)},,,\n")
    begin = time.monotonic()
    done = run("import", file, "--format", "csv", "--data-dir", server.data_dir, timeout_s=900)
    took_s = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    file.unlink()
    assert MANY / took_s > 10_000, f"{MANY / took_s:.0f} rows a second"
    server.start()
    first_s = server.ready_after_s
    server.restart()
    starts = sorted([first_s, server.ready_after_s])
    assert starts[0] < 1.0, f"ready after {starts} s"
    sample = [Phone.made(f"user-{i:07}") for i in range(0, MANY, MANY // 1000)]
    answers = server.batch([{"user": phone.user, "code": phone.code(time.time())} for phone in sample])
    assert {one["result"] for one in answers} == {"accepted"}
    server.restart(hard=True)
    assert server.ready_after_s < 2.0
    page = server.expect(200, "GET", "/v1/users?prefix=user-00&limit=1000")
    assert len(page["users"]) == 1000 and page["next_cursor"]
    server.stop()
    assert export(server).stdout.count("\n") >= MANY


# ---------------------------------------------------------------------------------------------------------- command line


def test_a_second_process_on_the_data_directory_says_so_and_exits_1(make_server):
    server = make_server().start()
    for command in (["serve", "--listen", "127.0.0.1:0"], ["export"], ["api-key", "list"]):
        second = run(*command, "--data-dir", server.data_dir, timeout_s=30)
        assert second.returncode == 1, (command, second)
        assert "in use" in second.stderr.lower() or "another process" in second.stderr.lower(), second.stderr
    server.assert_healthy()
    assert server.call("GET", "/v1/users").status == 200


def test_init_makes_no_second_directory_over_the_first(make_server):
    server = make_server()
    again = run("init", "--data-dir", server.data_dir)
    assert again.returncode == 1 and again.stdout == "" and again.stderr.strip()
    server.start()
    assert server.call("GET", "/v1/users").status == 200, "the first key is still the key"


def test_serving_what_was_never_made_says_what_to_do(tmp_path):
    refused = run("serve", "--data-dir", tmp_path / "nothing", "--listen", "127.0.0.1:0", timeout_s=30)
    assert refused.returncode == 1 and "init" in refused.stderr
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("arguments", [
    ["fly"], ["serve", "--colour", "red"], ["import"], ["init", "--data-dir"], ["api-key"], ["api-key", "create"], [],
    ["serve", "--listen", "nonsense", "--data-dir", "/nonexistent"],
    ["serve", "--listen", "127.0.0.1:99999", "--data-dir", "/nonexistent"],
    ["import", "x.csv", "--format", "xml", "--data-dir", "/nonexistent"],
    ["api-key", "create", "--scope", "root", "--name", "x", "--data-dir", "/nonexistent"],
])
def test_wrong_usage_exits_2_and_says_what_is_right(arguments):
    done = run(*arguments, timeout_s=30)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.strip() and done.stdout == ""


def test_help_and_version_exit_0():
    for arguments in (["--help"], ["serve", "--help"], ["import", "--help"], ["--version"]):
        done = run(*arguments, timeout_s=30)
        assert done.returncode == 0 and (done.stdout + done.stderr).strip(), arguments


def test_importing_a_file_that_is_not_there_exits_1(make_server):
    server = make_server()
    done = run("import", server.directory / "missing.csv", "--format", "csv", "--data-dir", server.data_dir)
    assert done.returncode == 1 and "missing.csv" in done.stderr


def test_the_port_that_is_taken_is_named(make_server):
    server = make_server("one").start()
    other = make_server("two")
    refused = run("serve", "--data-dir", other.data_dir, "--listen", f"127.0.0.1:{server.port}", timeout_s=30)
    assert refused.returncode == 1 and str(server.port) in refused.stderr


CONFIGS = [
    ("[server]\nheader_timeout_s = 2\ncolour = \"red\"\n", "colour", 3),
    ("[server]\nheader_timeout_s = \"two\"\n", "header_timeout_s", 2),
    ("[server]\nheader_timeout_s = -1\n", "header_timeout_s", 2),
    ("\n\n[serve]\nx = 1\n", "serve", 3),
    ("[data]\nfree_bytes_min = 1.5\n", "free_bytes_min", 2),
    ("top = 1\n", "top", 1),
    ("[server\n", "", 1),
    ("[server]\nheader_timeout_s = 2\nheader_timeout_s = 3\n", "header_timeout_s", 3),
]


@pytest.mark.parametrize("text,name,line", CONFIGS, ids=[str(i) for i in range(len(CONFIGS))])
def test_a_wrong_configuration_stops_the_start_with_name_and_line(make_server, text, name, line):
    server = make_server()
    file = server.directory / "wrong.toml"
    file.write_text(text)
    done = run("serve", "--config", file, "--data-dir", server.data_dir, "--listen", "127.0.0.1:0", timeout_s=30)
    assert done.returncode in (1, 2), done
    assert name in done.stderr and re.search(rf"\b{line}\b", done.stderr), done.stderr


def test_the_configuration_that_comes_with_it_is_right(make_server):
    text = (REPOSITORY / "configs" / "watchword.toml").read_text()
    make_server(config=text).start()


def test_the_stop_is_graceful_on_sigterm_and_on_sigint(make_server):
    server = make_server().start()
    server.stop()
    server.start()
    server.process.send_signal(2)
    assert server.process.wait(30) == 0
    server.process = None
    server.start().stop()


def test_the_log_is_one_structured_line_an_event(make_server):
    server = make_server().start()
    server.register("ada", step_back=1)
    server.stop()
    lines = server.log().splitlines()
    assert lines, "a start and a stop at least"
    for line in lines:
        assert re.match(r"^(\{.*\}|\d{4}-\d\d-\d\d.*|time=.*|ts=.*)$", line), f"not structured: {line!r}"


def test_the_progress_bar_is_for_terminals_only(make_server):
    server = make_server()
    done = import_text(server, HEADER + f"ada,phone,{SECRET},,,\n")
    assert "\r" not in done.stderr and "\x1b" not in done.stderr and done.stdout == ""


def test_an_import_that_is_killed_can_be_done_again(make_server):
    server = make_server()
    count = 60_000
    file = server.directory / "estate.csv"
    with open(file, "w") as out:
        out.write(HEADER)
        for i in range(count):
            out.write(f"user-{i:07},phone,{base32(Phone.made(f'user-{i:07}').secret)},,,\n")
    for pause_s in (0.05, 0.2, 0.5):
        process = subprocess.Popen([BINARY, "import", str(file), "--format", "csv", "--data-dir", str(server.data_dir)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(pause_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    run("import", file, "--format", "csv", "--data-dir", server.data_dir)
    server.start()
    sample = [Phone.made(f"user-{i:07}") for i in range(0, count, 100)]
    answers = server.batch([{"user": phone.user, "code": phone.code(time.time())} for phone in sample])
    assert {one["result"] for one in answers} == {"accepted"}
    assert len(server.expect(200, "GET", path_of("user-0000000", "devices"))["devices"]) == 1
