"""A real Prometheus scrapes a loaded server: every expression of every panel and of every rule is asked for, and returns data."""
import contextlib
import json
import math
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from watchword import REPOSITORY, Phone, Server, eventually

PROMETHEUS = REPOSITORY / "configs" / "prometheus"
DASHBOARDS = sorted((REPOSITORY / "configs" / "grafana").glob("*.json"))
LOAD_S = 12
RATE_INTERVAL = "10s"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Prometheus:
    def __init__(self, directory, port, targets):
        self.directory, self.port = directory, port
        for file in ("watchword-rules.yml", "watchword-alerts.yml"):
            shutil.copy(PROMETHEUS / file, directory)
        # The example as it is, but for its pace and its target.
        text = (PROMETHEUS / "prometheus.yml").read_text()
        text = text.replace("interval: 15s", "interval: 1s").replace('["127.0.0.1:8080"]', json.dumps(targets))
        (directory / "prometheus.yml").write_text(text)

    def start(self):
        self.log = open(self.directory / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/tsdb",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        eventually(self._ready, 30, "Prometheus", every_s=0.1)

    def _ready(self):
        assert self.process.poll() is None, (self.directory / "prometheus.log").read_text()
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2).status == 200

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def values(self, expression):
        found = self.get("query", query=expression)
        samples = [found["result"]] if found["resultType"] == "scalar" else [one["value"] for one in found["result"]]
        return [float(value) for _, value in samples]

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def certificate(directory):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj",
         "/CN=localhost", "-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")],
        capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (directory / "key.pem").chmod(0o600)
    return f'certificate_file = "{directory}/cert.pem"\nkey_file = "{directory}/key.pem"\n'


def outlets(directory):
    """A stream of the trail to a file, and a webhook whose receiver is away."""
    secret = directory / "webhook.secret"
    secret.write_text("s" * 64)
    secret.chmod(0o600)
    return (f'[audit.stream]\nfile = "{directory}/trail.jsonl"\n'
            f'[[webhooks]]\nname = "hooks"\nurl = "http://127.0.0.1:{free_port()}/"\nsecret_file = "{secret}"\n'
            'events = ["device.confirm"]\n')


def load(server, phones, end):
    """A little of everything: right, wrong, used and repeated codes, batches, registrations, reads, refusals, a recovery code."""
    with server.connect() as connection:
        for i, phone in enumerate(phones * 1000):
            if time.monotonic() > end:
                return
            connection.request("POST", "/v1/verify", {"user": phone.user, "code": phone.code(time.time())})
            connection.request("POST", "/v1/verify", {"user": phone.user, "code": "000000", "request_id": "one"})
            connection.request("POST", "/v1/verify", {"user": phone.user, "code": "000000", "request_id": "one"})
            if i % 5 == 0:
                connection.batch([{"user": other.user, "code": "000001"} for other in phones[:20]])
                connection.request("GET", "/v1/users?limit=5")
                connection.request("GET", "/v1/policy", key="wrong")
                connection.request("GET", "/healthz")
            if i % 20 == 0:
                phone = server.register(f"new-{threading.get_ident()}-{i}")
                connection.request("POST", f"/v1/users/{phone.user}/recovery-codes")
                connection.request("POST", "/v1/verify", {"user": phone.user, "code": "BCDF-GHJK-MNPQ-RSTV"})


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    assert shutil.which("prometheus"), "install prometheus"
    directory = tmp_path_factory.mktemp("dashboards")
    config = "[[listener]]\nport = 0\n[[listener]]\nport = 0\nplanes = [\"verify\"]\n" + certificate(directory)
    server = Server(directory / "server", config=config + "[data]\nfold_interval_ms = 1000\n" + outlets(directory))
    phones = [Phone.made(f"person-{i}") for i in range(200)]
    server.import_phones(phones)
    server.start()
    home = directory / "prometheus"
    home.mkdir()
    prometheus = Prometheus(home, free_port(), [f"127.0.0.1:{server.port}"])
    (home / "watchword.key").write_text(server.new_key("metrics", name="prometheus")["key"])
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90 * 86400))
    server.expect(201, "POST", "/v1/api-keys", {"name": "gateway", "scopes": ["verify"], "expires_at": soon})
    try:
        prometheus.start()
        end = time.monotonic() + LOAD_S
        threads = [threading.Thread(target=load, args=(server, phones[i::2], end)) for i in range(2)]
        for thread in threads:
            thread.start()
        # Until the load's end, and as long as the rules need for a second round.
        for thread in threads:
            thread.join()
        yield prometheus
    finally:
        if hasattr(prometheus, "process"):
            prometheus.end()
        server.end()


def of_dashboards():
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield pytest.param(target["expr"], id=f"{panel['title']}/{target['refId']}")


def filled_in(expression):
    for name, value in (("$__rate_interval", RATE_INTERVAL), ("$job", "watchword"), ("$instance", ".*")):
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def assert_data(prometheus, expression):
    values = eventually(lambda: prometheus.values(expression), 20, f"data of {expression}", every_s=0.5)
    assert any(math.isfinite(value) for value in values), (expression, values)


@pytest.mark.parametrize("expression", of_dashboards())
def test_every_panel_shows_something(scraped, expression):
    assert_data(scraped, filled_in(expression))


def rules(kind):
    import yaml

    for file in ("watchword-rules.yml", "watchword-alerts.yml"):
        for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"]:
            for rule in group["rules"]:
                if kind in rule:
                    yield rule[kind], rule["expr"]


def operands(expression):
    """What an alert compares: with nothing wrong the comparison itself is empty."""
    absent = re.fullmatch(r"absent\((.*)\)", expression.strip())
    parts = [absent[1]] if absent else re.split(r"\s(?:and|or|unless)\s", expression)
    for part in parts:
        part = re.sub(r"^\s*(?:ignoring|on) \([^)]*\)", "", part)
        for side in re.split(r"\s(?:==|!=|>=|<=|>|<)\s", part):
            if not re.fullmatch(r"[\d.*+\s]+", side):
                yield side.strip()


def test_every_recorded_series_is_there(scraped):
    for name, expression in rules("record"):
        assert_data(scraped, expression)
        assert_data(scraped, name)


def test_every_alert_compares_what_is_there(scraped):
    readable = scraped.values("watchword_clock_readable") == [1.0]
    for name, expression in rules("alert"):
        for operand in operands(expression):
            if "clock_synchronized" in operand and not readable:
                continue
            assert_data(scraped, operand)


def test_prometheus_has_no_complaint(scraped):
    for group in scraped.get("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] in ("ok", "unknown"), rule
    targets = scraped.get("targets")["activeTargets"]
    assert [target["health"] for target in targets] == ["up"], targets
    # A healthy server rings none of these bells.
    firing = {alert["labels"]["alertname"] for alert in scraped.get("alerts")["alerts"] if alert["state"] == "firing"}
    assert not firing & {"WatchwordAbsent", "WatchwordDown", "WatchwordNotReady", "WatchwordStoreRefusesWrites"}, firing


def test_dashboards_have_the_rows_that_people_look_for():
    titles = {panel["title"] for file in DASHBOARDS for panel in json.loads(file.read_text())["panels"] if panel["type"] == "row"}
    assert {"Traffic", "Latency by stage", "Durability", "Registrations", "Abuse", "Resources"} <= titles
    for file in DASHBOARDS:
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert all(panel.get("description") for panel in panels if panel["type"] != "row")
