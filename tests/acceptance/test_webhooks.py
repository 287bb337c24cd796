"""Webhooks: signed, in order, at least once, whatever the receiver or the server does; and never in the way of what they tell."""
import hmac
import http.server
import json
import os
import ssl
import subprocess
import threading
import time

import pytest

from watchword import eventually, path_of, run

SECRET = "0123456789abcdef" * 3


class Receiver:
    """A real HTTP(S) server that keeps what it was told. `answer` gives the status, by event; None: no answer at all."""

    def __init__(self, port=0, certificate=None):
        self.told, self.answer, self.delay_s, self.lock = [], lambda event: 204, 0, threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = json.loads(body)
                time.sleep(receiver.delay_s)
                with receiver.lock:
                    status = receiver.answer(event)
                    receiver.told.append((status, event, dict(self.headers), body))
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def taken(self):
        with self.lock:
            return [event for status, event, _, _ in self.told if status and 200 <= status < 300]

    def wait_for(self, count, deadline_s=20):
        return eventually(lambda: len(self.taken()) >= count and self.taken(), deadline_s, f"{count} events")

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.end()


def config_of(tmp_path, url, **more):
    secret = tmp_path / "webhook.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    lines = [f'url = "{url}"', f'secret_file = "{secret}"', *(f"{name} = {json.dumps(value)}" for name, value in more.items())]
    return "[[webhooks]]\n" + "\n".join(lines) + "\n"


def hooked(make_server, tmp_path, receiver, **more):
    return make_server(config=config_of(tmp_path, f"http://127.0.0.1:{receiver.port}/hook", **more)).start()


def told(events):
    return [(event["event"], event["user"]) for event in events]


def test_what_concerns_people_is_told_and_signed(make_server, tmp_path, receiver):
    server = hooked(make_server, tmp_path, receiver)
    phone = server.register("ada")
    codes = server.expect(201, "POST", path_of("ada", "recovery-codes"))["codes"]
    server.verify("ada", codes[0])
    for _ in range(10):
        server.verify("ada", phone.wrong_code(server.now()))
    assert server.call("DELETE", path_of("ada", "devices", phone.device)).status == 204
    assert server.call("DELETE", path_of("ada")).status == 204
    events = receiver.wait_for(6)
    assert told(events) == [(name, "ada") for name in (
        "device.confirm", "recovery_codes.make", "recovery_codes.use", "user.lock", "device.remove", "user.remove",
    )]
    for status, event, headers, body in receiver.told:
        stamp, _, signature = headers["Watchword-Signature"].partition(",")
        at = stamp.removeprefix("t=")
        assert signature == "v1=" + hmac.digest(SECRET.encode(), f"{at}.".encode() + body, "sha256").hex()
        assert abs(int(at) - time.time()) < 60 and headers["Watchword-Id"] == event["id"]
        assert headers["Content-Type"] == "application/json" and event["actor"].startswith("key:")
    everything = b"".join(body for *_, body in receiver.told).decode()
    assert not any(code in everything for code in codes) and SECRET not in everything + server.log()
    assert len({event["id"] for event in events}) == 6


def test_a_receiver_that_is_away_misses_nothing_and_holds_up_nobody(make_server, tmp_path):
    first = Receiver()
    server = hooked(make_server, tmp_path, first)
    port = first.port
    server.register("before")
    first.wait_for(1)
    first.end()
    begin = time.monotonic()
    for i in range(20):
        server.register(f"user-{i}")
    assert time.monotonic() - begin < 10
    server.kill9()
    server.start()
    server.register("last")
    second = Receiver(port)
    events = second.wait_for(21, deadline_s=40)
    assert told(events) == [("device.confirm", f"user-{i}") for i in range(20)] + [("device.confirm", "last")]
    assert len({event["id"] for event in events}) == 21
    second.end()


def test_kill_9_loses_no_event(make_server, tmp_path, receiver):
    server = hooked(make_server, tmp_path, receiver)
    receiver.delay_s = 0.05
    for round_number in range(3):
        for i in range(5):
            server.register(f"user-{round_number}-{i}")
        server.kill9()
        server.start()
    wanted = [f"user-{r}-{i}" for r in range(3) for i in range(5)]
    eventually(lambda: {event["user"] for event in receiver.taken()} >= set(wanted), what="every event")
    # At least once, and told apart by their ids; the first of each in order.
    first = {}
    for event in receiver.taken():
        first.setdefault(event["id"], event["user"])
    assert list(first.values()) == wanted


def test_a_refused_event_holds_up_its_user_alone(make_server, tmp_path, receiver):
    server = hooked(make_server, tmp_path, receiver)
    refusing = [True]
    receiver.answer = lambda event: 500 if refusing[0] and event["user"] == "ada" else 200
    ada = server.register("ada")
    server.call("DELETE", path_of("ada", "devices", ada.device))
    server.register("bob")
    events = receiver.wait_for(1)
    assert told(events) == [("device.confirm", "bob")]
    refusing[0] = False
    events = receiver.wait_for(3, deadline_s=40)
    assert told(events)[1:] == [("device.confirm", "ada"), ("device.remove", "ada")]


def test_a_slow_receiver_slows_nothing(make_server, tmp_path, receiver):
    server = hooked(make_server, tmp_path, receiver, timeout_s=1)
    receiver.delay_s = 3  # longer than an attempt may take
    times = []
    for i in range(10):
        begin = time.monotonic()
        server.register(f"user-{i}")
        times.append(time.monotonic() - begin)
    assert max(times) < 2
    eventually(lambda: "no answer in time" in server.log(), what="the time-out")
    receiver.delay_s = 0
    wanted = {f"user-{i}" for i in range(10)}
    eventually(lambda: {event["user"] for event in receiver.taken()} == wanted, 30, "every event")
    begin = time.monotonic()
    server.stop()
    assert time.monotonic() - begin < 10


def test_deliveries_are_counted(make_server, tmp_path, receiver):
    server = hooked(make_server, tmp_path, receiver, name="desk")
    server.register("ada")
    receiver.wait_for(1)

    def counted(line):
        return line in server.call("GET", "/metrics").body.decode()

    eventually(lambda: counted('watchword_webhook_deliveries_total{result="delivered",webhook="desk"} 1') or
               counted('watchword_webhook_deliveries_total{webhook="desk",result="delivered"} 1'), what="the count")
    eventually(lambda: counted('watchword_webhook_backlog{webhook="desk"} 0'), what="an empty backlog")


def certificate(tmp_path, name, san):
    files = (tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
         "-addext", f"subjectAltName={san}", "-out", str(files[0]), "-keyout", str(files[1])],
        check=True, capture_output=True,
    )
    return files


def test_https_is_verified(make_server, tmp_path):
    good = certificate(tmp_path, "good", "IP:127.0.0.1,DNS:localhost")
    other = certificate(tmp_path, "other", "DNS:elsewhere.example")
    receivers = [Receiver(certificate=good), Receiver(certificate=good), Receiver(certificate=other)]
    trusted, untrusted, misnamed = receivers
    config = config_of(tmp_path, f"https://localhost:{trusted.port}/", name="trusted", ca_file=str(good[0]))
    config += config_of(tmp_path, f"https://127.0.0.1:{untrusted.port}/", name="untrusted")
    config += config_of(tmp_path, f"https://127.0.0.1:{misnamed.port}/", name="misnamed", ca_file=str(other[0]))
    server = make_server(config=config).start()
    server.register("ada")
    assert told(trusted.wait_for(1)) == [("device.confirm", "ada")]

    def reason(name):
        lines = [json.loads(line) for line in server.log().splitlines() if '"webhook failed"' in line]
        return next((line["reason"] for line in lines if line["webhook"] == name), None)

    assert "certificate" in eventually(lambda: reason("untrusted"), what="the refusal")
    assert "certificate" in eventually(lambda: reason("misnamed"), what="the refusal")
    assert untrusted.told == [] and misnamed.told == []
    server.stop()
    for one in receivers:
        one.end()


@pytest.mark.parametrize(
    "lines, words",
    [
        (['url = "http://hooks.example.org/"'], "https"),
        (['url = "https://user:pass@hooks.example.org/"'], "webhooks.url"),
        (['url = "https://hooks.example.org/"', 'events = ["device.explode"]'], "device.explode"),
        (['url = "https://hooks.example.org/"', "events = []"], "events"),
        (['url = "https://hooks.example.org/"', 'colour = "red"'], "colour"),
        (["timeout_s = 3"], "url"),
    ],
)
def test_a_bad_configuration_is_named(tmp_path, lines, words):
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    file = tmp_path / "w.toml"
    file.write_text("[[webhooks]]\n" + "\n".join([*lines, f'secret_file = "{secret}"']) + "\n")
    done = run("serve", "--config", str(file), "--data-dir", str(tmp_path / "none"))
    assert done.returncode == 1 and words in done.stderr and "w.toml:" in done.stderr, done
    os.chmod(secret, 0o644)
    file.write_text(f'[[webhooks]]\nurl = "https://hooks.example.org/"\nsecret_file = "{secret}"\n')
    done = run("serve", "--config", str(file), "--data-dir", str(tmp_path / "none"))
    assert done.returncode == 1 and "0600" in done.stderr or "600" in done.stderr, done
