"""What /metrics says: clean by promtool, equal to what was sent, closed to those without the scope, and silent about people."""
import shutil
import subprocess
import threading
import time

import pytest

from metrics_text import Metrics, scrape
from watchword import Phone, assert_problem, eventually, path_of, steady

NAMES = ["ada.lovelace@example.org", "grace-hopper", "Ärztin/Müller"]


def counted(before, after, name, **labels):
    return after.sum(name, **labels) - before.sum(name, **labels)


def test_promtool_finds_nothing_to_say(server):
    assert shutil.which("promtool"), "install prometheus"
    phone = server.register("ada")
    server.verify("ada", phone.wrong_code(server.now()))
    text = scrape(server).text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0 and not checked.stdout and not checked.stderr, checked


def test_counts_equal_what_was_sent(timed):
    before = scrape(timed)
    phones = [timed.register(name, step_back=1) for name in NAMES]
    for phone in phones:
        assert timed.result(phone.user, phone.code(timed.now())) == "accepted"
        assert timed.result(phone.user, phone.code(timed.now())) == "replayed"
    wrong = phones[0].wrong_code(timed.now())
    for _ in range(4):
        assert timed.result(phones[0].user, wrong) == "rejected"
    assert timed.result("nobody at all", "000000") == "no_device"
    assert_problem(timed.call("POST", "/v1/verify", {"user": phones[0].user, "code": "1234567"}), 422)
    results = timed.batch([{"user": phone.user, "code": phone.code(timed.now())} for phone in phones])
    assert [one["result"] for one in results] == ["replayed"] * 3
    assert_problem(timed.call("POST", "/v1/verify", b"{"), 400)
    assert_problem(timed.call("POST", "/v1/verify", {"user": "x", "code": "123456"}, key="wrong"), 401)

    after = scrape(timed)
    wanted = {"accepted": 3, "replayed": 6, "rejected": 4, "no_device": 1, "invalid": 1, "locked": 0}
    assert {result: counted(before, after, "watchword_verifications_total", result=result) for result in wanted} == wanted

    # Single ones alone have stages: 3 accepted, 3 replayed, 4 rejected, 1 without a device, 1 of a wrong length.
    for stage in ("parse", "write", "total"):
        assert counted(before, after, "watchword_verification_duration_seconds_count", stage=stage) == 12, stage
    assert counted(before, after, "watchword_verification_duration_seconds_count", stage="commit_wait") == 3
    # Whoever is not in memory is asked about twice.
    assert counted(before, after, "watchword_verification_duration_seconds_count", stage="engine") in (12, 13)
    whole = after.get("watchword_verification_duration_seconds_sum", stage="total")
    parts = sum(after.get("watchword_verification_duration_seconds_sum", stage=stage)
                for stage in ("parse", "engine", "commit_wait", "write"))
    assert 0 < parts <= whole * 1.01, (parts, whole)

    http = "watchword_http_requests_total"
    assert counted(before, after, http, route="/v1/verify", status="200") == 11
    assert counted(before, after, http, route="/v1/verify", status="422") == 1
    assert counted(before, after, http, route="/v1/verify", status="400") == 1
    assert counted(before, after, http, route="/v1/verify", status="401") == 1
    assert counted(before, after, http, route="/v1/verify/batch", status="200") == 1
    assert counted(before, after, http, route="/v1/users/{user}/devices", status="201") == 3
    assert counted(before, after, http, route="/v1/users/{user}/devices/{device}/confirm", status="200") == 3
    assert counted(before, after, "watchword_http_request_duration_seconds_count", route="/v1/verify") == 14
    assert counted(before, after, "watchword_verify_batch_items_sum") == 3

    assert counted(before, after, "watchword_registrations_total", stage="begun") == 3
    assert counted(before, after, "watchword_registrations_total", stage="confirmed") == 3
    assert counted(before, after, "watchword_commit_changes_total") >= 6
    assert counted(before, after, "watchword_commit_duration_seconds_count") >= 6 + 3
    assert after.get("watchword_directory_residents") == 3


def test_a_registration_that_nobody_confirms_expires(timed):
    timed.begin("ada")
    timed.begin("grace")
    assert scrape(timed).get("watchword_registrations_pending") == 2
    timed.clock.forward(601)
    after = scrape(timed)
    assert after.get("watchword_registrations_pending") == 0
    assert after.get("watchword_registrations_total", stage="expired") == 2


def test_locks_are_counted_once_each(timed):
    phone = timed.register("ada", step_back=1)
    wrong = phone.wrong_code(timed.now())
    while timed.result("ada", wrong) != "locked":
        pass
    after = scrape(timed)
    assert after.get("watchword_lockouts_total", kind="delay") == 1
    assert after.get("watchword_lockouts_total", kind="hard") == 0
    assert after.get("watchword_verifications_total", result="locked") == 1


def test_the_scope_is_needed(shared):
    metrics, verify = shared.new_key("metrics"), shared.new_key("verify", "read")
    assert shared.call("GET", "/metrics", key=metrics["key"]).status == 200
    assert shared.call("HEAD", "/metrics", key=metrics["key"]).body == b""
    assert_problem(shared.call("GET", "/metrics", key=verify["key"]), 403)
    assert_problem(shared.call("GET", "/metrics", key="wrong"), 401)
    with shared.connect() as connection:
        connection.key = None
        assert_problem(connection.request("GET", "/metrics"), 401)
    assert_problem(shared.call("POST", "/metrics", {}, key=metrics["key"]), 405)
    assert_problem(shared.call("GET", "/metrics?x=1", key=metrics["key"]), 400)
    # Nothing else opens with it.
    assert_problem(shared.call("GET", "/v1/policy", key=metrics["key"]), 403)


def test_the_plane_is_where_the_configuration_says(make_server):
    config = """
[[listener]]
port = 0
planes = ["verify", "admin"]
[[listener]]
port = 0
planes = ["metrics"]
"""
    server = make_server(config=config).start()
    assert_problem(server.call("GET", "/metrics"), 404)
    other = int(eventually(lambda: [line.rsplit(":", 1)[1].split('"')[0] for line in server.log().splitlines()
                                    if '"listening"' in line][1:], what="the second listener")[0])
    from watchword import Connection

    with Connection(other, server.admin) as connection:
        assert connection.request("GET", "/metrics").status == 200
        assert_problem(connection.request("GET", "/v1/policy"), 404)


def test_the_console_shows_the_same(shared):
    with shared.connect() as connection:
        connection.key = None
        opened = connection.request("POST", "/console/api/session", {"api_key": shared.new_key("metrics")["key"]})
        assert opened.status == 201, opened
        cookie = opened.headers["set-cookie"].split(";")[0]
        shown = connection.request("GET", "/console/api/metrics", headers={"Cookie": cookie})
        assert shown.status == 200, shown
        names = {line.split(" ")[2] for line in shown.body.decode().splitlines() if line.startswith("# TYPE")}
        assert names == set(scrape(shared).types)
        other = connection.request("POST", "/console/api/session", {"api_key": shared.new_key("read")["key"]})
        cookie = other.headers["set-cookie"].split(";")[0]
        assert_problem(connection.request("GET", "/console/api/metrics", headers={"Cookie": cookie}), 403)


def test_the_console_has_what_came_before_it_was_opened(make_server):
    server = make_server().start()
    steady()
    phone = server.register("early", step_back=1)
    assert server.result("early", phone.code(server.now())) == "accepted"
    assert server.result("early", phone.code(server.now())) == "replayed"
    for _ in range(3):
        assert server.result("early", phone.wrong_code(server.now())) == "rejected"
    with server.connect() as connection:
        connection.key = None

        def history(scope):
            opened = connection.request("POST", "/console/api/session", {"api_key": server.new_key(scope)["key"]})
            cookie = opened.headers["set-cookie"].split(";")[0]
            return connection.request("GET", "/console/api/metrics/history", headers={"Cookie": cookie})

        def told():
            answer = history("metrics")
            assert answer.status == 200 and "no-store" in answer.headers["cache-control"], answer
            body = answer.json()
            return body if body["readings"] and body["readings"][-1]["verifications"]["rejected"] == 3 else None

        shown = eventually(told, every_s=0.5, what="a reading after the verifications")
        assert shown["interval_s"] == 5 and len(shown["bounds_s"]) == 19
        times = [reading["at_ms"] for reading in shown["readings"]]
        assert times == sorted(times) and all(4_500 < after - before < 7_000 for before, after in zip(times, times[1:]))
        last = shown["readings"][-1]
        assert last["verifications"] == {"accepted": 1, "rejected": 3, "replayed": 1, "locked": 0, "no_device": 0, "invalid": 0,
                                         "unavailable": 0, "overloaded": 0}
        assert sum(last["verification_duration"]) == 5 and len(last["verification_duration"]) == 20
        assert sum(last["commit_duration"]) >= 4
        assert_problem(history("read"), 403)


def test_without_metrics_there_are_none(make_server):
    server = make_server(config="[metrics]\nenabled = false\n").start()
    assert_problem(server.call("GET", "/metrics"), 404)
    with server.connect() as connection:
        connection.key = None
        opened = connection.request("POST", "/console/api/session", {"api_key": server.admin})
        cookie = opened.headers["set-cookie"].split(";")[0]
        for path in ["/console/api/metrics", "/console/api/metrics/history"]:
            assert_problem(connection.request("GET", path, headers={"Cookie": cookie}), 404)
    phone = server.register("ada", step_back=1)
    assert server.result("ada", phone.code(server.now())) in ("accepted", "replayed")


def test_no_person_device_or_path_is_ever_a_label(server):
    steady()
    for name in NAMES:
        phone = server.register(name, name="Telefon von " + name[:20])
        server.verify(name, phone.wrong_code(server.now()))
        server.expect(200, "GET", path_of(name))
        server.expect(200, "PATCH", path_of(name, "devices", phone.device), {"name": "renamed " + name[:10]})
        server.expect(200, "GET", "/v1/users?prefix=" + "ada")
    for path in ("/v1/nothing/here-at-all", "/assets/secret-file-name", "/portal/api/my-own-word", "/console/api/v1/users/zoe",
                 "/nowhere?x=y", "/v1/users/zoe/devices/0123456789abcdef", "/v1/api-keys/0123456789abcdef"):
        server.call("GET", path)
        server.call("DELETE", path)
    metrics = scrape(server)
    values = {value for _, value in metrics.label_values()}
    for word in ["ada", "grace", "rztin", "Telefon", "renamed", "here-at-all", "secret-file-name", "my-own-word", "zoe",
                 "nowhere", "0123456789abcdef", server.admin]:
        assert not any(word in value for value in values), word


def test_labels_stay_few_whatever_is_asked(server):
    for i in range(300):
        server.call("GET", f"/v1/users/person-{i}")
        server.call("GET", f"/path-{i}/x")
        server.call("GET", f"/portal/{i}")
    many = scrape(server)
    assert len(many.of("watchword_http_requests_total")) < 60
    assert len(many.samples) < 1500, len(many.samples)


def test_what_an_operator_needs_is_there(shared):
    metrics = scrape(shared)
    for name in [
        "watchword_worker_queue_depth", "watchword_worker_queue_limit", "watchword_worker_queue_rejections_total",
        "watchword_commit_group_size_count", "watchword_commit_duration_seconds_count", "watchword_commit_queue_depth",
        "watchword_commit_failures_total", "watchword_journal_lag_cells", "watchword_journal_lag_seconds",
        "watchword_directory_residents", "watchword_directory_bytes", "watchword_directory_loads_total",
        "watchword_rocksdb_wal_syncs_total", "watchword_rocksdb_files", "watchword_rocksdb_block_cache_hits_total",
        "watchword_store_writable", "watchword_ready", "watchword_disk_free_bytes", "watchword_disk_free_bytes_min",
        "watchword_lockouts_total", "watchword_registrations_total", "watchword_key_created_timestamp_seconds",
        "watchword_clock_readable", "watchword_build_info", "watchword_sessions", "watchword_connections",
        "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_cpu_seconds_total",
        "process_start_time_seconds",
    ]:
        assert metrics.of(name), name
    assert metrics.get("watchword_ready") == 1 and metrics.get("watchword_store_writable") == 1
    assert metrics.get("process_resident_memory_bytes") > 1e6
    assert abs(metrics.get("process_start_time_seconds") - time.time()) < 3600
    if metrics.get("watchword_clock_readable"):
        assert metrics.has("watchword_clock_synchronized") and metrics.has("watchword_clock_offset_seconds")
    assert len(metrics.of("watchword_build_info")) == 1
    bounds = metrics.check_histogram("watchword_verification_duration_seconds", stage="total")
    assert bounds[0] == 1e-5 and bounds[-2] == 10 and 0.01 in bounds
    metrics.check_histogram("watchword_commit_duration_seconds")
    metrics.check_histogram("watchword_commit_group_size")


def test_a_certificate_tells_its_end(make_server, tmp_path):
    pair = tmp_path / "pair.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj",
         "/CN=localhost", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    pair.write_text((tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text())
    pair.chmod(0o600)
    config = f'[[listener]]\nport = 0\n[[listener]]\nport = 0\nplanes = ["verify"]\ncertificate_file = "{pair}"\n'
    server = make_server(config=config).start()
    ends = scrape(server).of("watchword_certificate_expiry_timestamp_seconds")
    assert len(ends) == 1
    assert abs(ends[0][1] - time.time() - 3 * 86400) < 600


def test_a_scrape_under_load_stalls_nobody(server):
    """Scrapes without pause beside verifications: each verification is answered, and the slowest soon."""
    phones = [Phone.made(f"person-{i}") for i in range(50)]
    server.stop()
    server.import_phones(phones)
    server.start()
    stop = threading.Event()
    scrapes, faults = [], []

    def scraper():
        with server.connect() as connection:
            while not stop.is_set():
                begin = time.monotonic()
                answer = connection.request("GET", "/metrics")
                scrapes.append(time.monotonic() - begin)
                if answer.status != 200:
                    faults.append(answer)

    thread = threading.Thread(target=scraper)
    thread.start()
    times = []
    try:
        with server.connect() as connection:
            end = time.monotonic() + 3
            i = 0
            while time.monotonic() < end:
                phone = phones[i % len(phones)]
                i += 1
                begin = time.monotonic()
                assert connection.verify(phone.user, "000000")["result"] in ("accepted", "rejected", "locked", "replayed")
                times.append(time.monotonic() - begin)
    finally:
        stop.set()
        thread.join()
    assert not faults, faults[:1]
    assert len(scrapes) >= 3 and len(times) >= 100, (len(scrapes), len(times))
    # One core between the two, and other tests beside them: a stall would be a scrape's whole length for each verification.
    times.sort()
    assert times[len(times) // 2] < 0.05, times[len(times) // 2]
    after = scrape(server)
    assert after.sum("watchword_verifications_total") == len(times)
    assert after.get("watchword_verification_duration_seconds_count", stage="total") == len(times)


def test_a_trace_goes_into_the_log(server):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    phone = server.register("ada")
    wrong = phone.wrong_code(server.now())
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    while server.call("POST", "/v1/verify", {"user": "ada", "code": wrong}, headers=headers).json()["result"] != "locked":
        pass
    line = eventually(lambda: [one for one in server.log().splitlines() if '"user locked"' in one], what="the line")[0]
    assert f'"trace":"{trace}"' in line
    # And into the audit trail, of this lock and of a change.
    server.expect(200, "POST", path_of("ada", "unlock"), headers=headers)
    entries = eventually(lambda: [one for one in server.expect(200, "GET", "/v1/audit")["entries"]
                                  if one["action"] in ("user.lock", "user.unlock")][:2], what="the entries")
    assert [one.get("trace") for one in entries] == [trace] * len(entries) and len(entries) == 2, entries


@pytest.mark.parametrize("value", [
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    'evil","level":"error',
    "",
])
def test_what_is_no_trace_is_left_out(shared, value):
    user = f"trace {value}"[:200]
    phone = shared.register(user)
    wrong = phone.wrong_code(shared.now())
    while shared.call("POST", "/v1/verify", {"user": user, "code": wrong},
                      headers={"traceparent": value}).json()["result"] != "locked":
        pass
    lines = eventually(lambda: [one for one in map(str, shared.log().splitlines())
                                if '"user locked"' in one and f'"user":{json_text(user)}' in one], what="the line")
    assert '"trace"' not in lines[0]


def json_text(text):
    import json

    return json.dumps(text, ensure_ascii=False)
