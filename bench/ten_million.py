#!/usr/bin/python3
"""Ten million registrations: import, start, memory when all of them are resident, accepts while folding, and recovery from kill -9
at full load.

    bench/ten_million.py [--build build] [--rows 10000000] [--directory DIR] [--steps import,ready,resident,folding,recovery]
                         [--seconds 15] [--json FILE]

With --directory, steps may be run one by one: what an earlier one made is found there, and so are the figures (figures.json).
Without, everything is made in a temporary directory and removed. Needs wrk; server on core 0, load on core 1; loopback only.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time

from server_comparison import WRK_SCRIPT

PERIOD_S = 300  # long steps: codes made ahead of time stay good for a whole step
MIB = 1 << 20

WRK_FIGURES = """
done = function(summary, latency)
  print("FIGURES " .. summary.requests .. " " .. summary.duration .. " " .. latency:percentile(50) .. " " .. latency:percentile(99) ..
    " " .. latency:percentile(99.9) .. " " .. latency.max .. " " .. summary.errors.status)
end
"""


def secret_of(i):
    return hashlib.sha1(b"%d" % i).digest()


def code_of(i, step):
    digest = hmac.digest(secret_of(i), struct.pack(">Q", step), "sha1")
    return "%06d" % ((struct.unpack_from(">I", digest, digest[-1] & 15)[0] & 0x7FFFFFFF) % 1000000)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


CODES_PER_S = 100_000  # made ahead for each second of a load: more than one core accepts durably


class Bench:
    def __init__(self, args, directory):
        self.args = args
        self.directory = directory
        self.data = directory / "data"
        self.figures_file = directory / "figures.json"
        self.figures = json.loads(self.figures_file.read_text()) if self.figures_file.exists() else {}
        self.server = None

    def tell(self, **figures):
        self.figures.update(figures)
        self.figures_file.write_text(json.dumps(self.figures, indent=1) + "\n")
        for name, value in figures.items():
            print("  %-46s %s" % (name, "%.3f" % value if isinstance(value, float) else value), flush=True)

    @property
    def key(self):
        return (self.directory / "admin.key").read_text().strip()

    # -- server

    def serve(self, settings=""):
        """Returns the seconds to readiness."""
        self.port = free_port()
        config = self.directory / "watchword.toml"
        config.write_text(settings + "\n[server]\nloops = 1\n[policy.lockout]\nfailures = 100\nhard_failures = 100\n")
        self.log = open(self.directory / "server.log", "ab")
        begin = time.monotonic()
        self.server = subprocess.Popen(
            ["taskset", "-c", "0", str(self.args.build / "watchword"), "serve", "--config", str(config), "--data-dir", str(self.data),
             "--listen", "127.0.0.1:%d" % self.port], stdout=self.log, stderr=self.log)
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return time.monotonic() - begin
            except OSError:
                pass
            assert self.server.poll() is None, "the server ended; see %s" % self.log.name
            time.sleep(0.002)

    def stop(self, how=signal.SIGTERM):
        if self.server is None:
            return
        self.server.send_signal(how)
        self.server.wait(120)
        self.server = None
        self.log.close()

    def resident(self):
        for line in open("/proc/%d/status" % self.server.pid):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        return 0

    def wal_bytes(self):
        total = 0
        for file in (self.data / "db").glob("*.log"):
            try:
                total += file.stat().st_size
            except FileNotFoundError:
                pass
        return total

    # -- load

    def write_bodies(self, first, count, step):
        path = self.directory / "bodies"
        with open(path, "w") as out:
            for i in range(first, first + count):
                out.write('{"user":"user-%08d","code":"%s"}\n' % (i, code_of(i, step)))
        os.sync()  # or the kernel writes it later, while commits wait for the disk
        return path

    def start_wrk(self, bodies, connections, seconds):
        script = self.directory / "wrk.lua"
        script.write_text(WRK_SCRIPT + WRK_FIGURES)
        return subprocess.Popen(
            ["taskset", "-c", "1", "wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "-s", str(script),
             "http://127.0.0.1:%d/v1/verify" % self.port], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(os.environ, WW_KEY=self.key, WW_BODIES=str(bodies), WW_OFFSET="0"))

    def fresh(self, count):
        """Registrations that no run used before, as long as they last; their first and the step whose codes are good for long."""
        first = self.figures.get("used", 0)
        assert first + count <= self.args.rows, "no unused registrations are left; make the data anew"
        self.figures["used"] = first + count
        left_s = PERIOD_S - time.time() % PERIOD_S
        needed_s = self.args.seconds * 2 + 30
        if left_s < needed_s:
            time.sleep(left_s + 1)
        return first, int(time.time()) // PERIOD_S

    # -- steps

    def do_import(self):
        rows = self.directory / "estate.csv"
        begin = time.monotonic()
        with open(rows, "w", buffering=1 << 20) as out:
            out.write("user,name,secret,algorithm,digits,period\n")
            for i in range(self.args.rows):
                out.write("user-%08d,phone,%s,,,%d\n" % (i, base64.b32encode(secret_of(i)).decode(), PERIOD_S))
        print("  (the file took %.0f s)" % (time.monotonic() - begin), flush=True)
        shutil.rmtree(self.data, ignore_errors=True)
        init = subprocess.run([self.args.build / "watchword", "init", "--data-dir", self.data], capture_output=True, text=True, check=True)
        (self.directory / "admin.key").write_text(init.stdout)
        begin = time.monotonic()
        subprocess.run([self.args.build / "watchword", "import", rows, "--format", "csv", "--data-dir", self.data], check=True,
                       capture_output=True)
        spent = time.monotonic() - begin
        rows.unlink()
        size = sum(file.stat().st_size for file in (self.data / "db").glob("*"))
        self.figures["used"] = 0
        self.tell(rows=self.args.rows, import_s=spent, import_rows_per_s=self.args.rows / spent, disk_bytes_per_row=size / self.args.rows)

    def do_ready(self):
        times = []
        for _ in range(5):
            times.append(self.serve())
            resident = self.resident()
            self.stop()
        self.tell(ready_s_median=sorted(times)[2], ready_s_max=max(times), resident_mib_at_ready=resident / MIB)

    def do_resident(self):
        """Everybody is looked up once, over HTTP: with small caches, since what counts is Watchword's own memory."""
        self.serve("[data]\nblock_cache_bytes = 8388608\nmemtable_bytes_max = 16777216")
        headers = {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"}

        def look_up(first, last):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            for at in range(first, last, 1000):
                # Of a length that none of these devices has: looked up and refused, nothing is charged or written.
                items = ",".join('{"user":"user-%08d","code":"00000000"}' % i for i in range(at, min(at + 1000, last)))
                connection.request("POST", "/v1/verify/batch", '{"items":[%s]}' % items, headers)
                answer = connection.getresponse()
                assert answer.status == 200 and b"unavailable" not in answer.read()

        rows = self.args.resident or self.args.rows
        warm = rows // 20
        look_up(0, warm)  # caches and pools are warm after these
        before, begin = self.resident(), time.monotonic()
        parts = [threading.Thread(target=look_up, args=(warm + (rows - warm) * k // 4, warm + (rows - warm) * (k + 1) // 4))
                 for k in range(4)]
        for part in parts:
            part.start()
        for part in parts:
            part.join()
        spent = time.monotonic() - begin
        after = self.resident()
        self.stop()
        self.tell(resident_registrations=rows, resident_bytes_per_registration=(after - before) / (rows - warm),
                  first_uses_per_s=(rows - warm) / spent, resident_mib_with_them=after / MIB)

    def do_folding(self):
        """Durable acceptances, every user cold, while the folds run as they are configured, and with folding put off."""
        for name, settings in (("folding", ""), ("no_folding", "[data]\nunfolded_cells_max = 10000000\nfold_interval_ms = 600000")):
            self.serve(settings)
            count = self.args.seconds * CODES_PER_S
            first, step = self.fresh(count)
            bodies = self.write_bodies(first, count, step)
            # Everybody is resident first: what is measured is the disk, not the loading.
            self.warm(first, count)
            wal, done = [0], threading.Event()

            def watch():
                while not done.wait(0.1):
                    wal[0] = max(wal[0], self.wal_bytes())

            watcher = threading.Thread(target=watch)
            watcher.start()
            wrk = self.start_wrk(bodies, 64, self.args.seconds)
            out = wrk.communicate()[0]
            done.set()
            watcher.join()
            requests, duration, p50, p99, p999, most, bad = map(float, re.search(r"FIGURES (.*)", out)[1].split())
            assert bad == 0, out
            assert requests <= count, "the run came round to codes that were used: take more for CODES_PER_S"
            self.stop()
            self.tell(**{name + "_accepts_per_s": requests / duration * 1e6, name + "_p50_ms": p50 / 1000, name + "_p99_ms": p99 / 1000,
                         name + "_p99.9_ms": p999 / 1000, name + "_max_ms": most / 1000, name + "_wal_mib_max": wal[0] / MIB})

    def warm(self, first, count):
        headers = {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for at in range(first, first + count, 1000):
            items = ",".join('{"user":"user-%08d","code":"00000000"}' % i for i in range(at, at + 1000))
            connection.request("POST", "/v1/verify/batch", '{"items":[%s]}' % items, headers)
            connection.getresponse().read()

    def do_recovery(self):
        times = []
        for _ in range(2 if self.args.seconds < 10 else 3):
            self.serve()
            count = self.args.seconds * CODES_PER_S
            first, step = self.fresh(count)
            bodies = self.write_bodies(first, count, step)
            self.warm(first, count)
            wrk = self.start_wrk(bodies, 256, self.args.seconds)
            time.sleep(self.args.seconds * 0.8)
            wal = self.wal_bytes()
            self.stop(signal.SIGKILL)
            wrk.kill()
            wrk.wait()
            times.append(self.serve())
            # The first codes of the run were accepted long before the end: they are used up. (wrk asks for one that it never sends.)
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            for i in range(first + 1, first + 101):
                connection.request("POST", "/v1/verify", json.dumps({"user": "user-%08d" % i, "code": code_of(i, step)}),
                                   {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
                answer = json.loads(connection.getresponse().read())
                assert answer["result"] == "replayed", answer
            self.stop()
        self.tell(recovery_s_median=statistics.median(times), recovery_s_max=max(times), recovery_wal_mib=wal / MIB)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--rows", default=10_000_000, type=int)
    parser.add_argument("--directory", type=pathlib.Path)
    parser.add_argument("--steps", default="import,ready,resident,folding,recovery")
    parser.add_argument("--seconds", default=15, type=int, help="of each load")
    parser.add_argument("--resident", type=int, help="make only so many of them resident")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    args.build = args.build.resolve()
    directory = args.directory or pathlib.Path(tempfile.mkdtemp(prefix="watchword-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    bench = Bench(args, directory)
    try:
        for step in args.steps.split(","):
            print(step, flush=True)
            getattr(bench, "do_" + step)()
        if args.json:
            args.json.write_text(json.dumps(bench.figures, indent=1) + "\n")
    finally:
        bench.stop(signal.SIGKILL)
        if not args.directory:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
