"""Prometheus' own unit tests of the alert rules: a healthy server rings no bell; each trouble rings its own and no other."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest

from watchword import REPOSITORY

CONFIGS = REPOSITORY / "configs" / "prometheus"
RULES = [CONFIGS / "watchword-rules.yml", CONFIGS / "watchword-alerts.yml"]
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES[1].read_text(), re.M)
RUNBOOK = REPOSITORY / "docs" / "runbook.md"

ALWAYS = 10_000  # samples
INSTANCE = 'job="watchword", instance="a:8080"'
SECONDS = 60  # between samples


def series(name, values, labels=""):
    return {"series": f"{name}{{{INSTANCE}{', ' + labels if labels else ''}}}", "values": values}


def steady(value):
    return f"{value}x{ALWAYS}" if value < 0 else f"{value}+0x{ALWAYS}"


def growing(per_minute, begin=0):
    return f"{begin}+{per_minute}x{ALWAYS}"


def verifications(accepted=6000, rejected=60, replayed=12, overloaded=0):
    return [series("watchword_verifications_total", growing(count), f'result="{result}"')
            for result, count in (("accepted", accepted), ("rejected", rejected), ("replayed", replayed), ("locked", 0),
                                  ("overloaded", overloaded))]


def answers(good=6000, bad=0):
    http = "watchword_http_requests_total"
    return [series(http, growing(good), 'route="/v1/verify", status="200"'),
            series(http, growing(bad), 'route="/v1/verify", status="503"'),
            series(http, growing(6), 'route="/v1/users", status="401"')]


def speeds(fast=6000, slow=0):
    name = "watchword_verification_duration_seconds"
    return [series(name + "_bucket", growing(fast), 'stage="total", le="0.01"'),
            series(name + "_bucket", growing(fast + slow), 'stage="total", le="+Inf"'),
            series(name + "_count", growing(fast + slow), 'stage="total"')]


def commits(fast=6000, slow=0):
    name = "watchword_commit_duration_seconds_bucket"
    return [series(name, growing(fast), 'le="0.001"'), series(name, growing(fast + slow), 'le="0.1"'),
            series(name, growing(fast + slow), 'le="+Inf"')]


GIB = 2**30


def healthy():
    """Every series that an alert looks at, by group, so that a case replaces what it is about."""
    return {
        "verifications": verifications(),
        "answers": answers(),
        "speeds": speeds(),
        "commits": commits(),
        "up": [series("up", steady(1))],
        "ready": [series("watchword_ready", steady(1))],
        "start": [series("process_start_time_seconds", steady(1000))],
        "queue": [series("watchword_worker_queue_depth", steady(3), 'pool="workers"'),
                  series("watchword_worker_queue_limit", steady(4096), 'pool="workers"'),
                  series("watchword_worker_queue_rejections_total", steady(0), 'pool="workers"')],
        "refused": [series("watchword_connections_refused_total", steady(0))],
        "files": [series("process_open_fds", steady(500)), series("process_max_fds", steady(65536))],
        "writable": [series("watchword_store_writable", steady(1))],
        "disk": [series("watchword_disk_free_bytes", steady(100 * GIB)),
                 series("watchword_disk_free_bytes_min", steady(GIB // 4))],
        "journal": [series("watchword_journal_lag_seconds", steady(8))],
        "audit": [series("watchword_audit_backlog", steady(2))],
        "outlet": [series("watchword_audit_backlog", steady(10), 'stream="file"'),
                   series("watchword_webhook_backlog", steady(10), 'webhook="desk"')],
        "webhook": [series("watchword_webhook_deliveries_total", growing(0.01), 'webhook="desk",result="failed"'),
                    series("watchword_webhook_deliveries_total", growing(0.01), 'webhook="desk",result="delivered"')],
        "jumps": [series("watchword_clock_jumps_total", steady(1), 'direction="forward"')],
        "stalls": [series("watchword_rocksdb_stall_seconds_total", steady(0))],
        "clock": [series("watchword_clock_synchronized", steady(1)), series("watchword_clock_seconds", growing(SECONDS))],
        "fence": [series("watchword_fence_timestamp_seconds", steady(-100000))],
        "locks": [series("watchword_lockouts_total", growing(0.1), 'kind="delay"')],
        # Prometheus' tests begin at 1970.
        "certificate": [series("watchword_certificate_expiry_timestamp_seconds", steady(90 * 86400), 'listener="a:8443"')],
        "api key": [series("watchword_api_key_expiry_timestamp_seconds", steady(60 * 86400))],
        "key": [series("watchword_key_created_timestamp_seconds", steady(-10 * 86400), 'key="master"')],
    }


# Per alert: what is other than healthy, after how many minutes, and what else rings then for the same reason.
CASES = {
    "WatchwordErrorsBurnFast": ({"answers": answers(5800, 200)}, 70, {"WatchwordErrorsBurnSlow"}),
    "WatchwordErrorsBurnSlow": ({"answers": answers(5979, 21)}, 70, set()),
    "WatchwordLatencyBurnFast": ({"speeds": speeds(5000, 1000)}, 70, {"WatchwordLatencyBurnSlow"}),
    "WatchwordLatencyBurnSlow": ({"speeds": speeds(5800, 200)}, 70, set()),
    "WatchwordAbsent": ({"up": []}, 5, set()),
    "WatchwordDown": ({"up": [series("up", steady(0))]}, 5, {"WatchwordAbsent"}),
    "WatchwordNotReady": ({"ready": [series("watchword_ready", steady(0))]}, 5, set()),
    "WatchwordRestarts": ({"start": [series("process_start_time_seconds", "0x5 100x5 200x5 300x100")]}, 25, set()),
    "WatchwordOverloaded": ({"verifications": verifications(overloaded=60)}, 15, set()),
    "WatchwordFilesRunOut": ({"files": [series("process_open_fds", steady(900)), series("process_max_fds", steady(1024))]}, 10,
                             set()),
    "WatchwordStoreRefusesWrites": ({"writable": [series("watchword_store_writable", steady(0))]}, 2, set()),
    "WatchwordDiskSlow": ({"commits": commits(5000, 1000)}, 15, set()),
    "WatchwordDiskFull": ({"disk": [series("watchword_disk_free_bytes", steady(GIB // 2)),
                                    series("watchword_disk_free_bytes_min", steady(GIB // 4))]}, 5, set()),
    "WatchwordDiskFills": ({"disk": [series("watchword_disk_free_bytes", f"{100 * GIB}-{GIB // 10}x{ALWAYS}"),
                                     series("watchword_disk_free_bytes_min", steady(GIB // 4))]}, 120, set()),
    "WatchwordJournalBacklog": ({"journal": [series("watchword_journal_lag_seconds", steady(300))]}, 10, set()),
    "WatchwordAuditBacklog": ({"audit": [series("watchword_audit_backlog", steady(5000))]}, 5, set()),
    "WatchwordOutletBacklog": ({"outlet": [series("watchword_webhook_backlog", steady(5000), 'webhook="desk"')]}, 20, set()),
    "WatchwordWebhookFails": ({"webhook": [
        series("watchword_webhook_deliveries_total", growing(0.4), 'webhook="desk",result="failed"'),
        series("watchword_webhook_deliveries_total", steady(7), 'webhook="desk",result="delivered"')]}, 60, set()),
    "WatchwordClockJumped": ({"jumps": [series("watchword_clock_jumps_total", "0x9 1x1000", 'direction="back"')]}, 15, set()),
    "WatchwordQueueBacklog": ({"queue": [series("watchword_worker_queue_depth", steady(3000), 'pool="workers"'),
                                         series("watchword_worker_queue_limit", steady(4096), 'pool="workers"')]}, 5, set()),
    "WatchwordRocksDBStalls": ({"stalls": [series("watchword_rocksdb_stall_seconds_total", growing(12))]}, 25, set()),
    "WatchwordClockUnsynchronised": ({"clock": [series("watchword_clock_synchronized", steady(0)),
                                                series("watchword_clock_seconds", growing(SECONDS))]}, 15, set()),
    "WatchwordClockOff": ({"clock": [series("watchword_clock_synchronized", steady(1)),
                                     series("watchword_clock_seconds", growing(SECONDS, 30))]}, 5, set()),
    "WatchwordFenced": ({"fence": [series("watchword_fence_timestamp_seconds", steady(120))]}, 5, set()),
    "WatchwordReplayBurst": ({"verifications": verifications(replayed=600)}, 20, set()),
    "WatchwordLockoutBurst": ({"locks": [series("watchword_lockouts_total", growing(100), 'kind="delay"')]}, 20, set()),
    "WatchwordGuessing": ({"verifications": verifications(accepted=100, rejected=300)}, 20, set()),
    "WatchwordKeysRefused": ({"answers": [*answers()[:2],
                                          series("watchword_http_requests_total", growing(120),
                                                 'route="/v1/users", status="401"')]}, 25, set()),
    "WatchwordCertificateExpires": ({"certificate": [series("watchword_certificate_expiry_timestamp_seconds",
                                                            steady(13 * 86400), 'listener="a:8443"')]}, 75, set()),
    "WatchwordCertificateExpiresSoon": ({"certificate": [series("watchword_certificate_expiry_timestamp_seconds",
                                                                steady(86400), 'listener="a:8443"')]}, 10, set()),
    "WatchwordApiKeyExpires": ({"api key": [series("watchword_api_key_expiry_timestamp_seconds", steady(13 * 86400))]}, 75,
                               set()),
    "WatchwordKeyOld": ({"key": [series("watchword_key_created_timestamp_seconds", steady(-401 * 86400), 'key="master"')]}, 75,
                        set()),
}


def promtool(directory, inputs, minutes, firing):
    test = {
        "rule_files": [str(file) for file in RULES],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": f"{SECONDS}s",
            "input_series": inputs,
            "promql_expr_test": [{
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)],
            }],
        }],
    }
    file = pathlib.Path(directory) / "test.yml"
    file.write_text(json.dumps(test))  # JSON is YAML
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed():
    assert shutil.which("promtool"), "install prometheus"
    done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES)], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_configuration_is_well_formed(tmp_path):
    for file in [*RULES, CONFIGS / "prometheus.yml"]:
        shutil.copy(file, tmp_path)
    (tmp_path / "watchword.key").write_text("key")
    done = subprocess.run(["promtool", "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case():
    assert sorted(CASES) == sorted(ALERTS)


def test_a_healthy_server_rings_no_bell(tmp_path):
    everything = [one for group in healthy().values() for one in group]
    promtool(tmp_path, everything, 240, set())


@pytest.mark.parametrize("alert", CASES)
def test_the_bell_rings_for_its_trouble_alone(tmp_path, alert):
    changes, minutes, others = CASES[alert]
    inputs = [one for group in {**healthy(), **changes}.values() for one in group]
    promtool(tmp_path, inputs, minutes, {alert, *others})


def anchors(text):
    """As GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}


def test_every_alert_names_a_part_of_the_runbook_that_is_there():
    text = RULES[1].read_text()
    urls = re.findall(r"runbook_url: (\S+)", text)
    assert len(urls) == len(ALERTS)
    there = anchors(RUNBOOK.read_text())
    for url in urls:
        path, _, anchor = url.partition("#")
        assert path == "docs/runbook.md" and anchor in there, url
    assert all(alert in RUNBOOK.read_text() for alert in ALERTS), "the runbook names each alert"
