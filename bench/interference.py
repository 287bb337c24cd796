"""What administrators cost those who sign in: p99 of verification at half its maximum, alone and while people are listed, exported, imported
and backed up. One server, one load; prints a table in Markdown.

    python3 bench/interference.py [--users 300000] [--seconds 8]
"""
import argparse
import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BUILD = pathlib.Path(os.environ.get("WATCHWORD_BUILD", pathlib.Path(__file__).resolve().parents[1] / "build"))
LOAD = os.environ.get("WATCHWORD_LOAD", str(BUILD / "watchword-load"))


def made_users(folder, count):
    file = folder / "users.csv"
    with open(file, "w") as out:
        out.write("user,name,secret,algorithm,digits,period\n")
        for i in range(count):
            out.write(f"person{i:07},phone,{base64.b32encode(i.to_bytes(20, 'big')).decode()},,,\n")
    return file


class Server:
    def __init__(self, folder, users_file):
        data, config = folder / "data", folder / "watchword.toml"
        config.write_text(f'[backup]\ndir = "{folder}/backups"\n')
        watchword = str(BUILD / "watchword")
        self.key = subprocess.run([watchword, "init", "--data-dir", data], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([watchword, "import", users_file, "--data-dir", data], check=True, capture_output=True)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([watchword, "serve", "--data-dir", data, "--config", config, "--listen", "127.0.0.1:0"],
                                            stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not (told := re.search(r'"listening","address":"([^"]+)"', self.log.read_text())):
            assert time.monotonic() < end and self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        self.url = "http://" + told[1]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, data=body, method=method, headers={
            "Authorization": "Bearer " + self.key, "Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            size, last = 0, b""
            while piece := answer.read(1 << 16):
                size, last = size + len(piece), piece
            return size, last if size <= 1 << 16 else b""

    def end(self):
        self.process.terminate()
        self.process.wait(30)


def load(server, folder, users_file, seconds, *flags):
    result, known = folder / "result.json", folder / "known.csv"  # who has given which code, from run to run
    people = ["--users-file", known] if known.exists() else ["--users-file", users_file, "--fresh"]
    done = subprocess.run([LOAD, server.url, *people, "--users-out", folder / "next.csv", "--mix", "accept=80,wrong=15,replay=5", "--duration", str(seconds),
                           "--warmup", "2", "--connections", "32", "--plain", "--json", result, "--allow-errors", *flags],
                          env={**os.environ, "WATCHWORD_API_KEY": server.key}, capture_output=True, text=True)
    if not result.exists():
        sys.exit(done.stdout + done.stderr)
    told = json.loads(result.read_text())
    result.unlink()
    (folder / "next.csv").replace(known)
    return told


def listing(server):
    cursor, people = "", 0
    while people < 100_000:
        request = urllib.request.Request(f"{server.url}/v1/users?limit=1000{cursor}", headers={"Authorization": "Bearer " + server.key})
        with urllib.request.urlopen(request, timeout=60) as answer:
            page = json.load(answer)
        people += len(page["users"])
        if "next_cursor" not in page:
            break
        cursor = "&cursor=" + page["next_cursor"]


def exporting(server):
    server.ask("GET", "/v1/export")


def backing_up(server):
    server.ask("POST", "/v1/backups")


class Importing:
    """A thousand new people at a time."""

    made = 0

    def __call__(self, server):
        rows = []
        for _ in range(1000):
            Importing.made += 1
            secret = base64.b32encode((1 << 100 | Importing.made).to_bytes(20, "big")).decode()
            rows.append(json.dumps({"user": f"new{Importing.made}", "name": "phone", "secret": secret}))
        server.ask("POST", "/v1/import", "\n".join(rows).encode())


def beside(server, work, run):
    """`run`, while `work` is done again and again; what run returned, and how often the work was done."""
    over, done, faults = threading.Event(), [0], []

    def body():
        try:
            while not over.is_set():
                work(server)
                done[0] += 1
        except Exception as fault:  # told below
            faults.append(fault)

    thread = threading.Thread(target=body)
    thread.start()
    result = run()
    over.set()
    thread.join()
    if faults:
        raise faults[0]
    return result, done[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rate", type=int, help="instead of half of a maximum that is measured first")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        users_file = made_users(folder, arguments.users)
        server = Server(folder, users_file)
        try:
            rate = arguments.rate
            if rate is None:
                maximum = load(server, folder, users_file, 5)["rate"]
                rate = int(maximum / 2)
                print(f"Maximum {maximum:.0f}/s with the load beside it; half is {rate}/s.\n")
            run = lambda: load(server, folder, users_file, arguments.seconds, "--rate", str(rate))
            print("| beside it | p50 µs | p99 µs | against alone | done meanwhile |\n| --- | --: | --: | --: | --: |")
            alone = None
            for words, work in (("nothing", None), ("100,000 people listed, again and again", listing), ("export, again and again", exporting),
                                ("backup, again and again", backing_up), ("import, again and again", Importing()), ("nothing", None)):
                result, done = (run(), 0) if work is None else beside(server, work, run)
                p50, p99 = (result["response_us"][which] for which in ("p50", "p99"))
                alone = alone or p99
                print(f"| {words} | {p50:.0f} | {p99:.0f} | {p99 / alone:.2f} × | {done or ''} |", flush=True)
        finally:
            server.end()


if __name__ == "__main__":
    main()
