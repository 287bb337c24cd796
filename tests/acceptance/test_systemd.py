"""The unit under a real systemd: PID 1 of namespaces of its own, over a copy of this machine's files that is thrown away. Installed by the
very lines of docs/operations.md."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from watchword import BINARY, REPOSITORY, eventually, have

MANUAL = (REPOSITORY / "docs" / "operations.md").read_text()
SYSTEMD = pathlib.Path("/lib/systemd/systemd")

# The root is an overlay over this machine's, the kernel's settings are read only, and of the machine's own services none runs.
BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=2g,mode=0755 tmpfs "$PLACE"
root=$PLACE/root
mkdir -p "$PLACE"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$PLACE/upper,workdir=$PLACE/work" "$root"
mkdir -p "$root"/opt/source/{build,configs} "$root"/old
cp "$WATCHWORD" "$root"/opt/source/build/watchword
cp "$CONFIGS"/watchword.* "$root"/opt/source/configs/
for folder in etc/watchword var/lib/watchword var/log/watchword var/backups/watchword etc/systemd/system/watchword.service.d; do rm -rf "$root/$folder"; done
for link in /etc/systemd/system/*.wants/*; do ln -sfn /dev/null "$root/etc/systemd/system/${link##*/}"; done
mount -t proc proc "$root"/proc
mount --bind "$root"/proc/sys "$root"/proc/sys
mount -o remount,bind,ro "$root"/proc/sys
mount -t sysfs -o ro sysfs "$root"/sys
mount -t cgroup2 cgroup2 "$root"/sys/fs/cgroup
for folder in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$folder"; done
chmod 1777 "$root"/tmp
mkdir "$root"/dev/{pts,shm}
for device in null zero full random urandom tty; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root"/dev/pts
ln -s pts/ptmx "$root"/dev/ptmx
ln -s /proc/self/fd "$root"/dev/fd
ip link set lo up
hostname watchword-test
cd "$root"
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target --show-status=no < /dev/null
"""


def install_lines():
    block = MANUAL.split("The first time:\n\n", 1)[1].split("\n\n", 1)[0]
    return "\n".join(line[4:] for line in block.splitlines())


class Machine:
    def __init__(self, directory):
        controllers = re.search(r"^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 ", pathlib.Path("/proc/self/mountinfo").read_text(), re.M)
        if controllers is None:
            pytest.skip("needs a cgroup2 file system")
        self.group = pathlib.Path(controllers[1]) / f"watchword-test-{os.getpid()}"
        place = directory / "place"
        place.mkdir()
        try:
            self.group.mkdir()
        except OSError as error:
            pytest.skip(f"needs the right to make a control group: {error}")
        self.console = directory / "console"
        enter = f"echo $$ > {self.group}/cgroup.procs && exec unshare --mount --pid --fork --net --uts --ipc --cgroup --kill-child bash -c \"$BOOT\""
        self.process = subprocess.Popen(["bash", "-c", enter], stdout=open(self.console, "wb"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        env={**os.environ, "BOOT": BOOT, "PLACE": str(place), "WATCHWORD": BINARY, "CONFIGS": str(REPOSITORY / "configs")})
        try:
            eventually(self._is_up, 30, "systemd as PID 1")
        except AssertionError as error:
            self.end()
            pytest.skip(f"systemd does not run here: {error} {self.console.read_text()[-500:]}")

    def _is_up(self):
        assert self.process.poll() is None, "it ended"
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.first = int(children[0]) if children else None
        return self.first is not None and self.run("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def run(self, command, check=True):
        done = subprocess.run(["nsenter", "-t", str(self.first), "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                               "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", "bash", "-c", command], capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, (command, done, self.journal() if "systemctl" in command else "")
        return done

    def journal(self):
        return self.run("journalctl -u watchword --no-pager -o cat", check=False).stdout

    def property(self, name):
        return self.run(f"systemctl show -p {name} --value watchword").stdout.strip()

    def pid_outside(self):
        """The server's process id as this test sees it."""
        inside = self.property("MainPID")
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                ids = re.search(r"^NSpid:\t(.*)$", status.read_text(), re.M)
                mine = os.readlink(status.parent / "ns" / "pid") == os.readlink(f"/proc/{self.first}/ns/pid")
            except OSError:
                continue
            if mine and ids and ids[1].split()[-1] == inside:
                return int(status.parent.name)
        raise AssertionError(f"no process {inside}")

    def ask(self, method, path, body=None):
        data = f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'" if body is not None else ""
        done = self.run(f"curl -sS -X {method} -H \"Authorization: Bearer $(cat /opt/source/admin.key)\" {data} -w '\\n%{{http_code}}' http://127.0.0.1:8080{path}")
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text) if text else None

    def end(self):
        self.process.kill()  # --kill-child: and with it PID 1, which is everybody
        self.process.wait()

        def gone():
            for folder, _, _ in sorted(os.walk(self.group), reverse=True):
                try:
                    os.rmdir(folder)
                except OSError:
                    return False
            return True

        eventually(gone, 20, "the end of all processes in the control group")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    if os.getuid() != 0 or not SYSTEMD.exists() or not have("systemctl", "unshare", "nsenter", "ip", "curl", "systemd-analyze"):
        pytest.skip("needs root and systemd")
    made = Machine(tmp_path_factory.mktemp("machine"))
    try:
        made.run("cd /opt/source && set -e && " + install_lines())
        yield made
    finally:
        made.end()


def test_what_the_manual_says_installs_a_service_that_runs(machine):
    assert machine.property("ActiveState") == "active"
    eventually(lambda: machine.property("StatusText").startswith("Serving"), 20, "the status line")
    assert machine.ask("GET", "/v1/users")[0] == 200
    assert machine.run("stat -c %a /opt/source/admin.key").stdout.strip() == "600"
    assert machine.run("systemctl is-enabled watchword").stdout.strip() == "enabled"


def test_the_master_key_is_the_credential_and_no_file_of_the_service(machine):
    files = machine.run("ls /var/lib/watchword").stdout.split()
    assert "FORMAT" in files and "master.key" not in files
    assert machine.run("stat -c %U:%a /etc/watchword/master.key").stdout.strip() == "root:600"
    (doctor,) = re.findall(r"^    (systemd-run [^\n]*\n +/usr/bin/watchword doctor [^#\n]*)", MANUAL, re.M)
    told = machine.run(doctor.replace("--data-dir", "--json --data-dir"), check=False).stdout
    (key,) = [one for one in json.loads(told)["checks"] if one["check"] == "master key"]
    assert key["health"] == "ok" and "/run/credentials/" in key["found"], told


def test_it_may_write_its_own_places_and_nothing_else(machine):
    process = pathlib.Path(f"/proc/{machine.pid_outside()}")
    status = (process / "status").read_text()
    assert re.search(r"^Seccomp:\t2$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^CapBnd:\t0+$", status, re.M)
    assert re.search(r"^Max core file size +0 +0 ", (process / "limits").read_text(), re.M)
    inside = machine.property("MainPID")
    for folder, writable in (("/var/lib/watchword", True), ("/var/log/watchword", True), ("/tmp", True), ("/etc", False), ("/usr/bin", False),
                             ("/var/lib", False), ("/etc/watchword", False), ("/root", False), ("/home", False)):
        tried = machine.run(f"nsenter -t {inside} -m -- touch {folder}/probe && nsenter -t {inside} -m -- rm {folder}/probe", check=False)
        assert (tried.returncode == 0) == writable, (folder, tried.stderr)
    assert machine.run("ls /tmp").stdout.strip().count("probe") == 0, "its /tmp is its own"


def test_nothing_that_it_does_is_forbidden_to_it(machine):
    machine.run("install -d -m 700 -o watchword -g watchword /var/backups/watchword && "
                "printf '[backup]\\ndir = \"/var/backups/watchword\"\\n[audit.stream]\\nfile = \"/var/log/watchword/audit.jsonl\"\\n' > /etc/watchword/watchword.toml && "
                "systemctl restart watchword")
    assert machine.ask("POST", "/v1/users/ada/devices", {"name": "phone"})[0] == 201
    assert machine.ask("POST", "/v1/users/ada/recovery-codes")[0] == 201
    assert machine.ask("POST", "/v1/backups")[0] == 201
    assert machine.ask("POST", "/v1/keys/rotate", {})[0] == 202
    eventually(lambda: machine.ask("GET", "/v1/keys")[1]["resealing"] is False, 20, "the rotation's end")
    eventually(lambda: "recovery_codes.make" in machine.run("cat /var/log/watchword/audit.jsonl", check=False).stdout, 20, "the stream")
    assert "Operation not permitted" not in machine.journal()


def test_a_reload_returns_when_it_is_done_and_drops_nobody(machine):
    before = machine.property("MainPID")
    machine.run("systemctl reload watchword")
    assert machine.property("MainPID") == before and machine.property("ActiveState") == "active"
    assert machine.ask("GET", "/v1/users/ada")[0] == 200


def test_one_that_is_killed_or_hangs_is_started_again(machine):
    machine.run("mkdir -p /etc/systemd/system/watchword.service.d && printf '[Service]\\nWatchdogSec=3\\n' > /etc/systemd/system/watchword.service.d/short.conf && "
                "systemctl daemon-reload && systemctl restart watchword")
    for signal_number, restarts in ((signal.SIGKILL, 1), (signal.SIGSTOP, 2)):
        os.kill(machine.pid_outside(), signal_number)
        eventually(lambda: int(machine.property("NRestarts")) >= restarts and machine.property("ActiveState") == "active", 40,
                   f"a start after signal {signal_number}", every_s=0.2)
        assert machine.ask("GET", "/v1/users/ada")[0] == 200, "and nothing is lost"
    time.sleep(4)  # longer than the watchdog waits: one that is well is left alone
    assert machine.property("NRestarts") == "2"


def test_it_is_as_closed_as_the_manual_says(machine):
    said = float(re.search(r"exposure of ([\d.]+)", MANUAL)[1])
    shown = machine.run("systemd-analyze security watchword --no-pager").stdout
    assert float(re.search(r"Overall exposure level for watchword.service: ([\d.]+)", shown)[1]) <= said, shown


def test_a_stop_is_clean_and_a_broken_configuration_is_told(machine):
    machine.run("systemctl stop watchword")
    assert machine.property("Result") == "success" and machine.property("ExecMainStatus") == "0"
    machine.run("cp /etc/watchword/watchword.toml /tmp/good.toml && echo 'surprise = 1' >> /etc/watchword/watchword.toml")
    assert machine.run("systemctl start watchword", check=False).returncode != 0
    assert "surprise" in machine.journal()
    machine.run("systemctl stop watchword; cp /tmp/good.toml /etc/watchword/watchword.toml; systemctl reset-failed watchword; systemctl start watchword")
    assert machine.ask("GET", "/v1/users/ada")[0] == 200
