"""watchword-load against the real server, and against servers that answer what they must not."""
import fcntl
import http.server
import json
import os
import pty
import re
import resource
import struct
import subprocess
import termios
import threading

import pytest

from watchword import REPOSITORY, base32, have, Phone

LOAD = os.environ.get("WATCHWORD_LOAD_BINARY", str(REPOSITORY / "build" / "watchword-load"))


def load(url, *arguments, key=None, timeout_s=120):
    environment = {name: value for name, value in os.environ.items() if name != "WATCHWORD_API_KEY"}
    if key:
        environment["WATCHWORD_API_KEY"] = key
    target = [url] if url else []
    return subprocess.run([LOAD, *target, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s, env=environment)


def run_against(server, tmp_path, *arguments, exit_code=0):
    """One short run; its result as JSON."""
    file = tmp_path / "result.json"
    quick = [] if "--duration" in arguments else ["--duration", 1.5]
    done = load(f"http://127.0.0.1:{server.port}", "--json", file, "--warmup", 0.3, *quick, *arguments, key=server.admin)
    assert done.returncode == exit_code, (done.stdout, done.stderr)
    return json.loads(file.read_text()), done


def test_a_mix_of_verifications_is_answered_rightly(shared, tmp_path):
    result, done = run_against(shared, tmp_path, "--users", 1500, "--rate", 600, "--connections", 8, "--mix", "accept=60,wrong=30,replay=10")
    assert result["passed"] and result["wrong_answers"] == 0 and result["errors"] == 0
    kinds = result["kinds"]
    assert set(kinds["accept"]["results"]) == {"accepted"}
    assert set(kinds["wrong"]["results"]) <= {"rejected", "locked"} and kinds["wrong"]["results"]["rejected"] > 0
    assert set(kinds["replay"]["results"]) <= {"replayed", "late"} and kinds["replay"]["results"]["replayed"] > 0
    assert result["requests"] == sum(kind["requests"] for kind in kinds.values()) >= 899
    assert result["response_us"]["p50"] <= result["response_us"]["p99"] <= result["response_us"]["max"]
    assert "PASSED" in done.stdout and re.search(r"/s  p50", done.stderr), done.stderr


def test_every_kind_can_be_asked_for(shared, tmp_path):
    mix = "accept=5,wrong=5,replay=5,batch,register,cold,hot=5,attack-one=5,attack-many=5,unknown=5"
    result, _ = run_against(shared, tmp_path, "--users", 1200, "--rate", 400, "--connections", 8, "--batch-size", 20, "--threads", 2, "--mix", mix)
    kinds = result["kinds"]
    for kind in ("accept", "wrong", "replay", "batch", "register", "confirm", "cold", "hot", "attack-one", "attack-many", "unknown"):
        assert kinds[kind]["requests"] > 0, kind
    assert kinds["hot"]["results"].get("accepted", 0) <= 2 and kinds["hot"]["results"]["replayed"] > 0
    assert kinds["attack-one"]["results"]["rejected"] <= 15 and kinds["attack-one"]["results"]["locked"] > 0
    assert set(kinds["unknown"]["results"]) == {"no_device"}
    assert kinds["confirm"]["results"]["confirmed"] > 0
    assert kinds["batch"]["results"]["accepted"] > 0
    assert result["verdicts"] > result["requests"]


def test_an_open_loop_keeps_its_rate_and_tells_its_own_lag(shared, tmp_path):
    result, _ = run_against(shared, tmp_path, "--rate", 400, "--users", 100, "--mix", "wrong", "--connections", 16)
    assert result["settings"]["loop"] == "open"
    assert abs(result["requests"] + result["unsent"] - 600) <= 2 and result["requests"] > 300
    assert result["response_us"]["p50"] >= result["service_us"]["p50"] * 0.99
    assert result["own_lag_us"]["count"] == result["requests"]
    ticking, _ = run_against(shared, tmp_path, "--rate", 400, "--tick", 2000, "--users", 100, "--mix", "wrong", "--connections", 16)
    assert ticking["settings"]["tick_us"] == 2000 and abs(ticking["requests"] + ticking["unsent"] - 600) <= 2
    assert 200 < ticking["own_lag_us"]["p50"] and ticking["response_us"]["p50"] >= 1000
    ramp, _ = run_against(shared, tmp_path, "--rate", "100:700", "--users", 100, "--mix", "wrong", "--poisson")
    assert 500 <= ramp["requests"] <= 900


def test_pipelining_and_replaced_connections(shared, tmp_path):
    piped, _ = run_against(shared, tmp_path, "--pipeline", 8, "--connections", 2, "--users", 100, "--mix", "wrong,unknown")
    assert piped["errors"] == 0
    bunched, _ = run_against(shared, tmp_path, "--bunches", "--connections", 8, "--users", 100, "--mix", "wrong,unknown")
    assert bunched["errors"] == 0 and bunched["requests"] > 100 and bunched["settings"]["bunches"]
    churned, _ = run_against(shared, tmp_path, "--churn", 3, "--connections", 4, "--users", 100, "--mix", "wrong,unknown")
    assert churned["errors"] == 0 and churned["connections_opened"] > churned["requests"] / 4
    assert churned["connect_us"]["count"] > 0


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 6000, reason="needs more open files")
def test_thousands_of_connections_are_all_asked_over(shared, tmp_path):
    result, _ = run_against(shared, tmp_path, "--connections", 4096, "--threads", 2, "--mix", "unknown", "--users", 1, "--duration", 3, "--timeout", 30)
    assert result["passed"] and result["connections_opened"] == 4096 and result["connections_failed"] == 0
    assert result["requests"] > 4096


def test_a_wide_window_makes_no_guess_a_right_code(make_server, tmp_path):
    server = make_server().start()
    policy = server.expect(200, "GET", "/v1/policy")
    policy["window_steps"] = 10
    server.expect(200, "PUT", "/v1/policy", policy)
    result, _ = run_against(server, tmp_path, "--users", 300, "--mix", "accept,wrong=4", "--rate", 400)
    assert result["window_steps"] == 10
    assert set(result["kinds"]["wrong"]["results"]) <= {"rejected", "locked"} and set(result["kinds"]["accept"]["results"]) == {"accepted"}


def test_users_from_a_file_and_users_removed(make_server, tmp_path):
    server = make_server()
    phones = [Phone(os.urandom(20), user=f"person-{i}") for i in range(300)]
    server.import_phones(phones)
    server.start()
    file, left = tmp_path / "users.csv", tmp_path / "left.csv"
    rows = [f"{phone.user},phone,{base32(phone.secret)},,,\n" for phone in phones]
    file.write_text("user,name,secret,algorithm,digits,period\n" + "".join(rows))
    arguments = ("--users-out", left, "--mix", "cold,accept", "--connections", 4, "--rate", 120)
    first, _ = run_against(server, tmp_path, "--users-file", file, "--fresh", *arguments)
    assert first["kinds"]["accept"]["results"]["accepted"] > 0
    assert oct(left.stat().st_mode & 0o777) == "0o600"
    # Who goes on with what the last run left knows which codes are used up.
    again, _ = run_against(server, tmp_path, "--users-file", left, *arguments)
    assert "used_before" not in again["kinds"].get("accept", {"results": {}})["results"]
    result, done = run_against(server, tmp_path, "--users", 20, "--mix", "register,unknown", "--remove-users")
    assert "users of this run removed" in done.stderr
    names = {user["user"] for user in server.expect(200, "GET", "/v1/users?limit=1000")["users"]}
    assert names == {phone.user for phone in phones}


@pytest.mark.skipif(not have("openssl"), reason="needs openssl")
def test_tls_is_verified_unless_told_otherwise(make_server, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "key.pem", "-out",
         tmp_path / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    listeners = '[[listener]]\nhost = "127.0.0.1"\nport = 0\nplanes = ["verify", "admin"]\n'
    tls = listeners + f'certificate_file = "{tmp_path}/cert.pem"\nkey_file = "{tmp_path}/key.pem"\n'
    server = make_server(config=listeners + tls).start()
    ports = re.findall(r'"listening","address":"127\.0\.0\.1:(\d+)"', server.log())
    url = f"https://127.0.0.1:{ports[1]}"
    arguments = ("--users", 50, "--duration", 1, "--warmup", 0.2, "--mix", "wrong,unknown", "--connections", 4)
    refused = load(url, *arguments, key=server.admin)
    assert refused.returncode == 1 and "--ca" in refused.stderr, refused.stderr
    for trust in (("--ca", tmp_path / "cert.pem"), ("--insecure",)):
        done = load(url, *arguments, *trust, "--churn", 20, key=server.admin)
        assert done.returncode == 0, (trust, done.stdout, done.stderr)


def test_reports_stand_alone_and_comparisons_have_a_verdict(shared, tmp_path):
    page = tmp_path / "report.html"
    result, _ = run_against(shared, tmp_path, "--users", 100, "--mix", "wrong,unknown", "--html", page, "--title", "A <b>run</b>", "--duration", 2.5)
    text = page.read_text()
    assert text.count("<svg") == 3 and "A &lt;b&gt;run&lt;/b&gt;" in text
    assert "<script" not in text and not re.search(r"(src|href)=|url\(|@import", text)
    assert shared.admin not in text and "<td class=\"text\">2.5</td>" in text
    assert len(result["series"]) >= 2
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(result))
    same = load(None, "compare", a, a)
    assert same.returncode == 0 and "OK" in same.stdout, same.stdout
    result["rate"] *= 0.8
    b.write_text(json.dumps(result))
    worse = load(None, "compare", a, b)
    assert worse.returncode == 1 and "WORSE" in worse.stdout, worse.stdout
    assert load(None, "compare", a, b, "--threshold", 0.3).returncode == 0
    b.write_text("{}")
    assert load(None, "compare", a, b).returncode == 1


def test_a_terminal_shows_one_screen_and_has_its_own_back(shared):
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    command = [LOAD, f"http://127.0.0.1:{shared.port}", "--users", "50", "--mix", "wrong,unknown", "--duration", "2", "--warmup", "0.2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writing, env={**os.environ, "WATCHWORD_API_KEY": shared.admin})
    os.close(writing)
    seen = b""
    try:
        while True:
            seen += os.read(reading, 65536)
    except OSError:  # the terminal's other end is closed
        pass
    os.close(reading)
    text = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 0 and "PASSED" in text and "\x1b" not in text
    screen = seen.decode()
    begin, end = screen.index("\x1b[?1049h"), screen.index("\x1b[?1049l")
    assert begin < screen.index("own lag") < end and "rate, second by second" in screen
    lines = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", screen[begin:end]).replace("\r", "").split("\n")
    assert max(map(len, lines)) <= 90, max(lines, key=len)


def test_wrong_usage_is_told_with_what_to_do(shared):
    url = f"http://127.0.0.1:{shared.port}"
    for arguments, words in (
        ((url, "--mix", "nothing"), "no kind of request"),
        ((url, "--rate", "fast"), "--rate"),
        ((url, "--no-such-flag"), "no-such-flag"),
        ((None,), "address"),
    ):
        done = load(*arguments, key="k")
        assert done.returncode == 2 and words in done.stderr, (arguments, done)
    assert "WATCHWORD_API_KEY" in load(url).stderr and load(url).returncode == 2
    stranger = load(url, key="no-such-key")
    assert stranger.returncode == 1 and "key" in stranger.stderr, stranger
    nobody = load("http://127.0.0.1:1", key="k")
    assert nobody.returncode == 1 and "127.0.0.1:1" in nobody.stderr, nobody


class Fake(http.server.BaseHTTPRequestHandler):
    """Answers every verification with what the test says."""

    protocol_version = "HTTP/1.1"
    answer = staticmethod(lambda body, seen: "accepted")
    seen = None

    def reply(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reply(404 if "policy" in self.path else 200, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(200, {"result": self.answer(body, self.seen), "user": body["user"]})

    def log_message(self, *_):
        pass


@pytest.fixture
def fake():
    class Handler(Fake):
        seen = set()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, Handler
    server.shutdown()
    server.server_close()
    thread.join()


def honest(body, seen):
    """As a server that knows no wrong codes: once accepted, then replayed."""
    used = (body["user"], body["code"])
    if used in seen:
        return "replayed"
    seen.add(used)
    return "accepted"


@pytest.mark.parametrize(
    "answer, mix, words",
    [
        (lambda body, seen: "accepted", "replay", "a replay was accepted"),
        (lambda body, seen: "accepted", "hot", "a replay was accepted"),
        (lambda body, seen: "accepted", "wrong", "a wrong code"),
        (lambda body, seen: "rejected", "accept", "a valid code"),
        (lambda body, seen: "accepted", "unknown", "does not exist"),
        (lambda body, seen: "rejected", "attack-one", "guesses at one person"),
        (honest, "accept,replay", None),
    ],
)
def test_a_server_that_answers_wrongly_fails_the_run(fake, tmp_path, answer, mix, words):
    server, handler = fake
    handler.answer = staticmethod(answer)
    users = tmp_path / "users.csv"
    users.write_text("user,secret\n" + "".join(f"user-{i},{base32(os.urandom(20))}\n" for i in range(200)))
    url = f"http://127.0.0.1:{server.server_port}"
    done = load(url, "--users-file", users, "--fresh", "--mix", mix, "--connections", 2, "--duration", 1, "--warmup", 0, key="k")
    if words is None:
        assert done.returncode == 0, (done.stdout, done.stderr)
    else:
        assert done.returncode == 1 and words in done.stdout, (done.stdout, done.stderr)
