"""watchword doctor: what it finds, how bad, and what to do."""
import json
import os
import re
import shutil
import time

import pytest

import watchword
from tls_estate import Authority

RANK = {"ok": 0, "warn": 1, "fail": 2}
EXIT_CODE = {"ok": 0, "warn": 0, "fail": 1}


def examined(data_dir, *flags, config=None, environment=None):
    more = ["--config", config] if config else []
    done = watchword.run("doctor", "--json", "--data-dir", data_dir, *more, *flags, environment=environment)
    report = json.loads(done.stdout)
    worst = max((one["health"] for one in report["checks"]), key=RANK.get)
    assert report["health"] == worst and done.returncode == EXIT_CODE[worst], (done, report)
    for one in report["checks"]:
        assert one["found"] and (one["health"] == "ok") == ("advice" not in one), one
    return report


def of(report, check):
    return [one for one in report["checks"] if one["check"] == check]


def worst(report, check):
    return max((one["health"] for one in of(report, check)), key=RANK.get)


@pytest.fixture
def stopped(tmp_path):
    return watchword.Server(tmp_path / "server")


def test_a_stopped_store_that_is_well(stopped):
    report = examined(stopped.data_dir)
    for check in ("configuration", "data directory", "master key", "store", "keys", "disk"):
        assert worst(report, check) == "ok", report
    assert {one["check"] for one in report["checks"]} >= {"backup", "clock", "limits"}
    before = sorted(os.listdir(stopped.data_dir)), sorted(os.listdir(stopped.data_dir / "db"))
    examined(stopped.data_dir)
    assert (sorted(os.listdir(stopped.data_dir)), sorted(os.listdir(stopped.data_dir / "db"))) == before, "it changes nothing"
    # For people: one line a check, with what to do under it.
    done = watchword.run("doctor", "--data-dir", stopped.data_dir)
    assert "ok    configuration" in done.stdout and "->" in done.stdout and done.stderr == ""


def test_beside_a_running_server(server):
    report = examined(server.data_dir)
    (store,) = of(report, "store")
    assert store["health"] == "ok" and str(server.process.pid) in store["found"]
    assert worst(report, "master key") == "ok" and worst(report, "disk") == "ok"
    server.register("ada")
    server.assert_healthy()


def test_what_is_not_there(tmp_path):
    report = examined(tmp_path / "nowhere")
    for check in ("data directory", "master key", "store", "disk"):
        assert worst(report, check) == "fail", check
    assert "watchword init" in of(report, "data directory")[0]["advice"]


def test_a_configuration_that_is_wrong(tmp_path, stopped):
    config = tmp_path / "w.toml"
    config.write_text("[data]\nsurprise = 1\n")
    report = examined(stopped.data_dir, config=config)
    assert of(report, "configuration")[0]["health"] == "fail" and "w.toml:2" in of(report, "configuration")[0]["found"]
    assert worst(examined(stopped.data_dir, config=tmp_path / "missing"), "configuration") == "fail"


def test_permissions_that_are_loose(stopped):
    os.chmod(stopped.data_dir, 0o755)
    report = examined(stopped.data_dir)
    assert worst(report, "data directory") == "fail" and "chmod 700" in of(report, "data directory")[0]["advice"]
    os.chmod(stopped.data_dir, 0o700)
    os.chmod(stopped.data_dir / "master.key", 0o640)
    report = examined(stopped.data_dir)
    assert worst(report, "master key") == "fail" and worst(report, "store") == "fail"


@pytest.mark.skipif(os.getuid() != 0, reason="gives files away")
def test_a_data_directory_of_somebody_else(stopped):
    os.chown(stopped.data_dir, 65534, 65534)
    os.chown(stopped.data_dir / "master.key", 65534, 65534)
    report = examined(stopped.data_dir)
    assert worst(report, "data directory") == "warn" and worst(report, "master key") == "fail"


def test_a_master_key_that_is_wrong_or_gone(stopped):
    key = stopped.data_dir / "master.key"
    right = key.read_text()
    key.write_text("0" * 64 + "\n")
    report = examined(stopped.data_dir)
    assert worst(report, "master key") == "ok" and worst(report, "store") == "fail"
    assert "does not open" in of(report, "store")[0]["found"]
    assert right.strip() not in json.dumps(report) and "0" * 64 not in json.dumps(report)
    key.unlink()
    assert worst(examined(stopped.data_dir), "master key") == "fail"


def test_a_store_of_another_format_and_one_that_is_damaged(stopped):
    (stopped.data_dir / "FORMAT").write_text("watchword 9\n")
    report = examined(stopped.data_dir)
    assert worst(report, "store") == "fail" and "watchword 9" in of(report, "store")[0]["found"]
    (stopped.data_dir / "FORMAT").write_text("watchword 1\n")
    (stopped.data_dir / "db" / "CURRENT").write_text("rubbish")
    assert worst(examined(stopped.data_dir), "store") == "fail"


def test_a_rotation_that_has_not_ended(tmp_path):
    server = watchword.Server(tmp_path / "server", config="[data]\nreseal_rows_per_s_max = 50\n")
    server.import_phones([watchword.Phone.made(f"user-{i}") for i in range(500)])
    server.start()
    server.expect(202, "POST", "/v1/keys/rotate")
    server.stop()
    report = examined(server.data_dir)
    assert worst(report, "keys") == "warn" and any("older data key" in one["found"] for one in of(report, "keys"))


def test_a_key_that_is_old(stopped):
    clock = watchword.Clock(stopped.directory, at=time.time() + 500 * 86400)
    report = examined(stopped.data_dir, environment=clock.environment())
    assert worst(report, "keys") == "warn" and "keys rotate" in of(report, "keys")[0]["advice"]


def test_a_clock_that_is_behind_what_it_has_been(stopped):
    (stopped.data_dir / "CLOCK").write_text(f"{int((time.time() + 3600) * 1000)}\n")
    report = examined(stopped.data_dir)
    assert any(one["health"] == "fail" and "behind" in one["found"] for one in of(report, "clock"))
    (stopped.data_dir / "CLOCK").write_text(f"{int((time.time() - 3600) * 1000)}\n")
    assert worst(examined(stopped.data_dir), "clock") != "fail"


def test_a_disk_with_too_little_room(stopped, tmp_path):
    config = tmp_path / "w.toml"
    free = shutil.disk_usage(stopped.data_dir).free
    config.write_text(f"[data]\nfree_bytes_min = {free * 2}\n")
    assert worst(examined(stopped.data_dir, config=config), "disk") == "fail"
    config.write_text(f"[data]\nfree_bytes_min = {free // 2}\n")
    assert worst(examined(stopped.data_dir, config=config), "disk") == "warn"


def test_certificates(stopped, tmp_path):
    authority = Authority(tmp_path / "ca")
    config = tmp_path / "w.toml"

    def listener(certificate, key, host="127.0.0.1"):
        config.write_text(f'[[listener]]\nhost = "{host}"\ncertificate_file = "{certificate}"\nkey_file = "{key}"\n')
        return examined(stopped.data_dir, config=config)

    assert worst(listener(*authority.issue("good", "localhost", days=60)), "certificate") == "ok"
    soon = authority.issue("soon", "localhost", days=5)
    report = listener(*soon)
    assert worst(report, "certificate") == "warn" and re.search("[45] days", of(report, "certificate")[0]["found"])
    clock = watchword.Clock(tmp_path, at=time.time() + 30 * 86400)
    report = examined(stopped.data_dir, config=config, environment=clock.environment())
    assert worst(report, "certificate") == "fail" and "expired" in of(report, "certificate")[0]["found"]
    other_key = authority.issue("other", "localhost")[1]
    assert worst(listener(soon[0], other_key), "certificate") == "fail"
    assert worst(listener(tmp_path / "none.pem", other_key), "certificate") == "fail"
    config.write_text('[[listener]]\nhost = "0.0.0.0"\n')
    report = examined(stopped.data_dir, config=config)
    assert worst(report, "certificate") == "warn" and "in the clear" in of(report, "certificate")[0]["advice"]


def test_limits(stopped, tmp_path):
    config = tmp_path / "w.toml"
    config.write_text("[server]\nconnections_max = 1000000\n")
    assert worst(examined(stopped.data_dir, config=config), "limits") in ("warn", "ok")
    config.write_text("[server]\nconnections_max = 10\n")
    report = examined(stopped.data_dir, config=config)
    assert of(report, "limits")[0]["health"] == "ok" or "4362" in of(report, "limits")[0]["found"]


def test_backups(tmp_path):
    server = watchword.Server(tmp_path / "server", config=f'[backup]\ndir = "{tmp_path}/backups"\n').start()
    report = examined(server.data_dir, config=server.config_file)
    assert worst(report, "backup") == "warn" and "none yet" in of(report, "backup")[0]["found"]
    server.expect(201, "POST", "/v1/backups")
    server.stop()
    report = examined(server.data_dir, config=server.config_file)
    assert any("0 hours old" in one["found"] for one in of(report, "backup"))
    for file in (tmp_path / "backups" / "meta").iterdir():
        os.utime(file, (time.time() - 5 * 86400,) * 2)
    report = examined(server.data_dir, config=server.config_file)
    assert any("5 days old" in one["found"] for one in of(report, "backup"))


def test_wrong_usage_is_exit_code_2_with_words(stopped):
    done = watchword.run("doctor", "--data-dir", stopped.data_dir, "--nonsense")
    assert done.returncode == 2 and done.stdout == "" and "nonsense" in done.stderr
