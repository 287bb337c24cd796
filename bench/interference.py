"""What administrators cost those who sign in: p99 of verification at half its maximum, alone and while people are listed, exported, imported
and backed up. One server, an open loop at one rate; each figure is the median over pairs of neighbouring runs, one alone and one beside the work,
so that a machine that changes its pace changes both. Prints a table in Markdown.

    python3 bench/interference.py [--users 400000] [--seconds 6] [--pairs 5] [--only list,export] [--json FILE]

The server has one core, those who sign in another; who lists, exports and imports takes of theirs what they leave (SCHED_IDLE), so that what is
measured is the server and not the race of two clients. --server-cpus and --client-cpus change that.
"""
import argparse
import base64
import http.client
import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from server_comparison import be_patient, load_everybody

BUILD = pathlib.Path(os.environ.get("WATCHWORD_BUILD", pathlib.Path(__file__).resolve().parents[1] / "build"))
LOAD = os.environ.get("WATCHWORD_LOAD", str(BUILD / "watchword-load"))
LISTED_AT_ONCE = 100_000
MIX = "wrong=60,replay=40"  # codes that nobody has to be found for, so that the tester costs the same all along


def made_users(folder, count):
    file = folder / "users.csv"
    with open(file, "w") as out:
        out.write("user,name,secret,algorithm,digits,period\n")
        for i in range(count):
            out.write(f"person{i:07},phone,{base64.b32encode(i.to_bytes(20, 'big')).decode()},,,\n")
    return file


class Server:
    def __init__(self, folder, users_file, cpus, before_start=lambda data: None):
        data, config = folder / "data", folder / "watchword.toml"
        config.write_text(f'[backup]\ndir = "{folder}/backups"\nkeep = 2\n')
        watchword = str(BUILD / "watchword")
        self.key = subprocess.run([watchword, "init", "--data-dir", data], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([watchword, "import", users_file, "--data-dir", data], check=True, capture_output=True)
        before_start(data)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["taskset", "-c", cpus, watchword, "serve", "--data-dir", data, "--config", config,
                                             "--listen", "127.0.0.1:0"], stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not (told := re.search(r'"listening","address":"([^"]+)"', self.log.read_text())):
            assert time.monotonic() < end and self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        self.url = "http://" + told[1]

    def settle(self, count):
        """So that every pair meets the same: everybody in memory (nobody's code has seven digits), and nobody locked before the hundredth
        wrong code."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=60)

        def ask(method, path, body=None):
            connection.request(method, path, json.dumps(body) if body else None,
                               {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return text

        be_patient(ask)
        load_everybody(ask, "person%07d", count)

    def end(self):
        self.process.terminate()
        self.process.wait(30)


def load(server, folder, users_file, seconds, cpus, *flags):
    """One run of those who sign in. Who has given which code goes from run to run."""
    result, known = folder / "result.json", folder / "known.csv"
    people = ["--users-file", known] if known.exists() else ["--users-file", users_file, "--fresh"]
    done = subprocess.run(["taskset", "-c", cpus, LOAD, server.url, *people, "--users-out", folder / "next.csv", "--mix", MIX, "--duration",
                           str(seconds), "--warmup", "1", "--connections", "32", "--plain", "--json", result, "--allow-errors", *flags],
                          env={**os.environ, "WATCHWORD_API_KEY": server.key}, capture_output=True, text=True)
    if not result.exists():
        sys.exit(done.stdout + done.stderr)
    told = json.loads(result.read_text())
    result.unlink()
    (folder / "next.csv").replace(known)
    return told


# ------------------------------------------------------------------------------------------------- what administrators do


class Administrator:
    """Does one work again and again, in a process of its own, until it is ended. Says on standard output how far it is: a D each time that it is
    done, an M for each megabyte that came."""

    def __init__(self, url, key):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=600)
        self.headers = {"Authorization": "Bearer " + key, "Content-Type": "application/x-ndjson"}
        self.made = int(time.time() * 1000)
        self.bytes = 0

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        last = b""
        while piece := answer.read(1 << 16):
            last = piece
            self.bytes += len(piece)
            if self.bytes >= 1 << 20:
                os.write(1, b"M")
                self.bytes -= 1 << 20
        assert answer.status in (200, 201), (answer.status, last)
        return last

    def list(self):
        """100,000 people, in pages of a thousand. Of a page only the cursor is read."""
        cursor = ""
        for _ in range(LISTED_AT_ONCE // 1000):
            told = re.search(rb'"next_cursor":"([^"]+)"', self.ask("GET", "/v1/users?limit=1000" + cursor)[-400:])
            if not told:
                break
            cursor = "&cursor=" + told[1].decode()

    def export(self):
        self.ask("GET", "/v1/export")

    def backup(self):
        try:
            self.ask("POST", "/v1/backups")
        except AssertionError as refused:
            if refused.args[0][0] != 409:
                raise
            time.sleep(0.05)  # the one of an administrator who is gone is still being made

    def import_(self):
        """A thousand new people."""
        rows = []
        for _ in range(1000):
            self.made += 1
            secret = base64.b32encode((1 << 100 | self.made).to_bytes(20, "big")).decode()
            rows.append(json.dumps({"user": f"new{self.made}", "name": "phone", "secret": secret}))
        self.ask("POST", "/v1/import", "\n".join(rows).encode())

    def audit(self):
        """A page of the trail, by time, person or action, from anywhere in it."""
        days = int(os.environ.get("WATCHWORD_TRAIL_DAYS", "1"))
        to = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - random.random() * days * 86400))
        what = random.choice(["", "", "&user=busy", f"&user=person{random.randrange(100_000):07}", "&action=user.lock", "&action=policy.replace",
                              "&user=busy&action=device.rename"])
        self.ask("GET", f"/v1/audit?to={to}{what}")

    def work(self, name):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        do = getattr(self, name)
        while True:
            do()
            os.write(1, b"D")


WORKS = {
    "list": "100,000 people listed, again and again",
    "export": "all people exported, again and again",
    "backup": "a backup, again and again",
    "import_": "a thousand people imported, again and again",
    "audit": "pages of the audit trail, again and again",
}


def beside(server, cpus, name, run):
    """`run`, while the work is done again and again: what run returned, and how far the work came meanwhile."""
    process = subprocess.Popen(["taskset", "-c", cpus, sys.executable, __file__, "--administrator", name, server.url], stdout=subprocess.PIPE,
                               text=True, env={**os.environ, "WATCHWORD_API_KEY": server.key})
    try:
        result = run()
        if process.poll() is not None:
            sys.exit(f"{name} has failed")
    finally:
        process.kill()
    return result, process.communicate()[0]


def compared(args, server, name, run):
    """The pairs of one work. Which of a pair comes first changes."""
    pairs = []
    for i in range(args.pairs):
        both = {}
        for which in ("alone", "beside") if i % 2 == 0 else ("beside", "alone"):
            both[which] = (run(), "") if which == "alone" else beside(server, args.client_cpus, name, run)
            time.sleep(0.5)
        alone, (with_it, done) = both["alone"][0], both["beside"]
        pairs.append({"alone": alone["response_us"], "beside": with_it["response_us"], "done": done,
                      "rates": [alone["rate"], with_it["rate"]]})
    median = lambda pick: statistics.median(map(pick, pairs))
    return {"work": name, "pairs": pairs, "done": sum(pair["done"].count("D") for pair in pairs), "megabytes": sum(pair["done"].count("M") for pair in pairs),
            "p50_alone": median(lambda pair: pair["alone"]["p50"]), "p50": median(lambda pair: pair["beside"]["p50"]),
            "p99_alone": median(lambda pair: pair["alone"]["p99"]), "p99": median(lambda pair: pair["beside"]["p99"]),
            "ratio": median(lambda pair: pair["beside"]["p99"] / pair["alone"]["p99"]),
            "ratio_least": min(pair["beside"]["p99"] / pair["alone"]["p99"] for pair in pairs),
            "ratio_most": max(pair["beside"]["p99"] / pair["alone"]["p99"] for pair in pairs),
            "rate_least": min(rate for pair in pairs for rate in pair["rates"])}


def sustained(server, folder, users_file, cpus):
    """The highest rate at which all that is due comes through, in tenths of what a closed loop reaches: there, many answers are read and many
    requests sent at a time, which is cheaper for both sides than what arrives evenly."""
    closed = statistics.median(load(server, folder, users_file, 4, cpus)["rate"] for _ in range(3))
    for tenths in range(10, 0, -1):
        told = [load(server, folder, users_file, 3, cpus, "--rate", str(int(closed * tenths / 10))) for _ in range(2)]
        if any(one["rate"] > 0.97 * closed * tenths / 10 and one["response_us"]["p99"] < 20_000 for one in told):
            break
    return closed, closed * tenths / 10


def measure(args, server, folder, users_file, works):
    """The table of these works; its rows with all their pairs."""
    server.settle(args.users)
    rate = args.rate
    if rate is None:
        closed, maximum = sustained(server, folder, users_file, args.client_cpus)
        rate = int(maximum / 2)
        print(f"Maximum {closed:.0f}/s in a closed loop and {maximum:.0f}/s in an open one, server on core {args.server_cpus}; half of that is {rate}/s.\n")
    run = lambda: load(server, folder, users_file, args.seconds, args.client_cpus, "--rate", str(rate))
    run()  # the first one warms up
    print("| beside it | p50 alone | p50 | p99 alone | p99, µs | against alone | from to | done meanwhile |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    rows = []
    for work in works:
        row = compared(args, server, work, run)
        rows.append(row)
        slow = "" if row["rate_least"] > 0.97 * rate else f" (only {row['rate_least']:.0f}/s of {rate}/s came through)"
        print(f"| {WORKS[work]}{slow} | {row['p50_alone']:.0f} | {row['p50']:.0f} | {row['p99_alone']:.0f} | {row['p99']:.0f} | "
              f"{row['ratio']:.2f} × | {row['ratio_least']:.2f} to {row['ratio_most']:.2f} | {row['done']}, {row['megabytes']} MB |", flush=True)
    return {"rate": rate, "rows": rows}


def main():
    if sys.argv[1:2] == ["--administrator"]:
        return Administrator(sys.argv[3], os.environ["WATCHWORD_API_KEY"]).work(sys.argv[2])
    cores = os.cpu_count()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=400_000)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rate", type=int, help="instead of half of the open loop's maximum, which is measured first")
    parser.add_argument("--only", help="some of: list,export,backup,import,audit")
    parser.add_argument("--server-cpus", default="0")
    parser.add_argument("--client-cpus", default="1" if cores > 1 else "0")
    parser.add_argument("--json", help="write all pairs there")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and the server is ended
    works = [work for work in WORKS if args.only is None or work.rstrip("_") in args.only.split(",")]
    with tempfile.TemporaryDirectory(prefix="watchword-interference-") as name:
        folder = pathlib.Path(name)
        users_file = made_users(folder, args.users)
        server = Server(folder, users_file, args.server_cpus)
        try:
            told = measure(args, server, folder, users_file, works)
            if args.json:
                pathlib.Path(args.json).write_text(json.dumps(told, indent=1))
        finally:
            server.end()


if __name__ == "__main__":
    main()
