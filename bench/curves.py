#!/usr/bin/python3
"""How cost grows: with users, connections, devices a user and the window; and how long a durable answer takes at half the maximum rate, beside
one fdatasync on that disk, and beside nginx answering a constant at that rate.

    bench/curves.py [--binary build/watchword] [--load build/watchword-load] [--seconds 2] [--pairs 5] [--quick] [--json FILE]

The server runs on core 0, watchword-load on core 1. Everybody is brought into memory before anything is measured, and those who are asked
about are some of all, at random. Every answer is checked; a wrong one ends the measurement. Needs nginx. Loopback only.
"""
import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from server_comparison import base32, be_patient, fdatasync_p99_ms, load_everybody, nginx_constant

PERIOD_S = 30
SLICE_MAX = 250_000  # two codes each: more than a run takes
HALF_SECONDS = 11  # the journal is folded after ten seconds or 500,000 cells
DURABLE_CONNECTIONS = 256
TICK_US = 50  # of the open loop: without, the load tester keeps its core busy, and a host that shares out what both cores have holds the server up


def secret_of(i, device):
    return hashlib.sha1(b"curve %d %d" % (i, device)).digest()


class Server:
    """A data directory with imported users, and the server on it, with all of them in memory.

    The load tester takes a slice of the people for each durable run: each code is used up by it.
    """

    def __init__(self, args, users, devices=1, slices=1, slice_max=SLICE_MAX, digits=6, more=""):
        """`more`: of the configuration."""
        self.args = args
        self.directory = tempfile.mkdtemp(prefix="watchword-curves-", dir=args.directory)
        self.process = None
        data = os.path.join(self.directory, "data")
        try:
            made = subprocess.run([args.binary, "init", "--data-dir", data], capture_output=True, text=True, check=True)
            self.key = made.stdout.strip()
            everybody = os.path.join(self.directory, "everybody.csv")
            with open(everybody, "w") as out:
                out.write("user,name,secret,algorithm,digits,period\n")
                for i in range(users):
                    for device in range(devices):
                        out.write("user%d@example.org,phone %d,%s,SHA1,%d,%d\n" % (i, device, base32(secret_of(i, device)), digits, PERIOD_S))
            begin = time.monotonic()
            subprocess.run([args.binary, "import", everybody, "--format", "csv", "--data-dir", data], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            self.import_s = time.monotonic() - begin
            os.unlink(everybody)
            self.slices = []
            size = min(users // slices, slice_max)
            people = random.Random(7).sample(range(users), size * slices)
            for part in range(slices):
                # One device a user: the load tester gives codes of the first.
                name = os.path.join(self.directory, "users-%d.csv" % part)
                with open(name, "w") as out:
                    out.write("user,secret,digits\n")
                    for i in people[part * size:(part + 1) * size]:
                        out.write("user%d@example.org,%s,%d\n" % (i, base32(secret_of(i, 0)), digits))
                self.slices.append(name)
            config = os.path.join(self.directory, "watchword.toml")
            with open(config, "w") as out:
                out.write("[server]\nloops = 1\n" + more)
            self.log = os.path.join(self.directory, "log")
            begin = time.monotonic()
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(["taskset", "-c", "0", args.binary, "serve", "--config", config, "--data-dir", data,
                                                 "--listen", "127.0.0.1:0"], stdout=log, stderr=log)
            self._await_ready()
            self.ready_s = time.monotonic() - begin
            self.policy = be_patient(self.call)
            self.empty_bytes = self.resident_bytes()
            load_everybody(self.call, "user%d@example.org", users)
            self.loaded_bytes = self.resident_bytes()
            os.sync()  # what this wrote is not to be written while others wait for the disk
        except BaseException:
            self.stop()
            raise

    def _await_ready(self):
        for _ in range(6000):
            with open(self.log) as log:
                told = re.search(r'"listening","address":"127\.0\.0\.1:(\d+)"', log.read())
            if told:
                self.port = int(told[1])
                try:
                    urllib.request.urlopen("http://127.0.0.1:%d/readyz" % self.port, timeout=5).close()
                    return
                except OSError:
                    pass
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        with open(self.log) as log:
            sys.exit("the server did not become ready:\n" + log.read())

    def call(self, method, path, body=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def folds(self):
        return int(float(re.search(r"^watchword_journal_folds_total (\S+)", self.call("GET", "/metrics"), re.MULTILINE)[1]))

    def set_window(self, steps):
        self.policy["window_steps"] = steps
        self.call("PUT", "/v1/policy", self.policy)

    def resident_bytes(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    def disk_bytes(self):
        return sum(os.lstat(os.path.join(folder, file)).st_blocks * 512
                   for folder, _, files in os.walk(os.path.join(self.directory, "data")) for file in files)

    def load(self, mix, connections=64, part=0, seconds=None, warmup=0.5, more=(), port=None):
        """One run of the load tester; its result. `port`: of another server than this one."""
        file = os.path.join(self.directory, "result.json")
        command = ["taskset", "-c", "1", self.args.load, "http://127.0.0.1:%d" % (port or self.port), "--users-file", self.slices[part], "--mix", mix,
                   "--connections", str(connections), "--duration", str(seconds or self.args.seconds), "--warmup", str(warmup),
                   "--json", file, "--plain", *map(str, more)]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, WATCHWORD_API_KEY=self.key))
        if done.returncode != 0:
            raise RuntimeError("watchword-load: " + done.stderr[-2000:] + done.stdout[-2000:])
        with open(file) as text:
            return json.load(text)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def point(result, **more):
    times = result["response_us"]
    return dict(more, rate=result["rate"], p50_us=times["p50"], p99_us=times["p99"], p99_9_us=times["p99_9"],
                load_us_a_request=result["own_cpu_us_a_request"])


def tell(curve, points):
    last = points[-1]
    print("  %-12s %s" % (curve, "  ".join("%s %s" % (name, "%.4g" % value if isinstance(value, float) else value)
                                           for name, value in last.items())), file=sys.stderr, flush=True)


def by_users(args):
    points = []
    for users in [10_000, 100_000] if args.quick else [10_000, 100_000, 1_000_000, 10_000_000]:
        with Server(args, users, slices=2 if users > 10_000 else 1) as server:
            disk_bytes = server.disk_bytes()
            wrong = server.load("wrong")
            # Few people have few codes: two each, as many as half a second takes.
            brief = {"seconds": 0.5, "warmup": 0.05} if users == 10_000 else {}
            durable = server.load("accept", DURABLE_CONNECTIONS, len(server.slices) - 1, more=["--fresh"], **brief)
            enough = durable["skipped"] == 0
            points.append(point(wrong, users=users, durable_rate=durable["rate"] if enough else None,
                                durable_p99_us=durable["response_us"]["p99"] if enough else None, ready_s=server.ready_s,
                                import_rows_a_second=users / server.import_s, bytes_at_start=server.empty_bytes,
                                resident_bytes=server.loaded_bytes, bytes_a_user=(server.loaded_bytes - server.empty_bytes) / users,
                                disk_bytes=disk_bytes))
        tell("users", points)
    return points


def by_connections(args, server):
    points = []
    counts = [1, 64, 512] if args.quick else [1, 8, 64, 512, 4096]
    for part, connections in enumerate(counts):
        wrong = server.load("wrong", connections, part)
        durable = server.load("accept", connections, part, more=["--fresh"])
        points.append(point(wrong, connections=connections, durable_rate=durable["rate"], durable_p50_us=durable["response_us"]["p50"],
                            durable_p99_us=durable["response_us"]["p99"]))
        tell("connections", points)
    return points


def by_window(args, server):
    points = []
    for window in [0, 1, 10] if args.quick else range(11):
        server.set_window(window)
        points.append(point(server.load("wrong"), window_steps=window))
        tell("window", points)
    server.set_window(1)
    return points


def by_devices(args):
    points = []
    for devices in [1, 8] if args.quick else range(1, 9):
        # Eight digits: a wrong code of the device that the load tester knows is seldom the right one of another.
        with Server(args, 20_000, devices, digits=8) as server:
            try:
                wrong = server.load("wrong")
            except RuntimeError as fault:
                print("devices: once more, since", fault, file=sys.stderr, flush=True)
                # With eight devices 21 codes more are right: of 200,000 guesses one in 24 times one is. Twice in a row is a fault.
                wrong = server.load("wrong")
            points.append(point(wrong, devices=devices))
        tell("devices", points)
    return points


@contextlib.contextmanager
def constant_server(server):
    """nginx on the server's core, giving everybody the answer to a wrong code; its port."""
    port, command = nginx_constant(server.directory, server.call("POST", "/v1/verify", {"user": "user0@example.org", "code": "000000"}))
    nginx = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        if nginx.poll() is not None:
            raise RuntimeError("nginx did not start")
        yield port
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait()


def at_half(args, server):
    """p99 and p99.9 of durable acceptances at half of the maximum rate, open loop, long enough for the journal to be folded as configured, beside one
    fdatasync's p99 on that disk, and p99 of nginx, which answers a constant at that rate: what the machine makes of an open loop."""
    rows = []
    asked = [0, 0]
    seconds = 2 if args.quick else HALF_SECONDS
    with constant_server(server) as constant_port:
        for pair in range(args.pairs):
            # The same people as two pairs before: each of them has given two codes, of that time and the next.
            part = pair % 2
            time.sleep(max(0, asked[part] + 3 * PERIOD_S - time.monotonic()))
            ceiling = server.load("accept", DURABLE_CONNECTIONS, 2 * part, more=["--fresh"])
            open_loop = ["--tick", TICK_US, "--rate", int(ceiling["rate"] / 2)]
            folds = server.folds()
            half = server.load("accept", DURABLE_CONNECTIONS, 2 * part + 1, seconds=seconds, more=["--fresh", *open_loop])
            folds = server.folds() - folds
            asked[part] = time.monotonic()
            disk_ms = fdatasync_p99_ms(server.directory, 1)
            constant = server.load("wrong", DURABLE_CONNECTIONS, 2 * part + 1, seconds=seconds, more=["--constant", *open_loop], port=constant_port)
            rows.append({"maximum": ceiling["rate"], "rate": half["rate"], "p99_ms": half["response_us"]["p99"] / 1000, "fdatasync_p99_ms": disk_ms,
                         "p99_9_ms": half["response_us"]["p99_9"] / 1000, "folds": folds, "ratio": half["response_us"]["p99"] / 1000 / disk_ms,
                         "constant_p99_ms": constant["response_us"]["p99"] / 1000, "own_lag_p99_us": half["own_lag_us"]["p99"]})
            tell("at half", rows)
    return rows


def measure(args):
    if not shutil.which("nginx"):
        sys.exit("nginx is needed: install nginx-light")
    curves = {"users": by_users(args)}
    # A durable run takes fresh people: a slice for each.
    points = 3 if args.quick else 5
    # Folds come every 10 s or 500,000 cells as a rule: here, so often that each run has some.
    often = "[data]\nunfolded_cells_max = 20000\n"
    with Server(args, points * (60_000 if args.quick else 100_000), slices=points, more=often) as server:
        curves["connections"] = by_connections(args, server)
        curves["window"] = by_window(args, server)
    with Server(args, 800_000 if args.quick else 3_000_000, slices=4, slice_max=750_000) as server:
        curves["at_half"] = at_half(args, server)
    curves["devices"] = by_devices(args)
    return curves


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--load", default="build/watchword-load")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--quick", action="store_true", help="few points")
    parser.add_argument("--pairs", type=int, default=5, help="of the rate at half the maximum and the disk")
    parser.add_argument("--directory", help="where data directories are made (their disk is measured too)")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.binary, args.load = os.path.abspath(args.binary), os.path.abspath(args.load)
    curves = measure(args)
    text = json.dumps(curves, indent=1)
    if args.json:
        with open(args.json, "w") as out:
            out.write(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
