"""Questions to an audit trail of ten million entries: how long each takes at its newest, middle and oldest end, and what they cost those who
sign in meanwhile (as interference.py measures it). Prints two tables in Markdown.

    python3 bench/audit_query.py [--entries 10000000] [--group 100] [--users 400000] [--seconds 6] [--pairs 5] [--directory DIR]

The trail is written by watchword-audit-trail, through the store and in groups, as a server writes it, over 300 days.
"""
import argparse
import datetime
import http.client
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

import interference

DAYS = 300


class Trail:
    def __init__(self, server):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=600)
        self.headers = {"Authorization": "Bearer " + server.key}

    def page(self, **question):
        begin = time.perf_counter()
        self.connection.request("GET", "/v1/audit?" + urllib.parse.urlencode(question), headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        took_ms = (time.perf_counter() - begin) * 1000
        assert answer.status == 200, body
        return json.loads(body), took_ms

    def asked(self, question, times):
        """The page that the question gives, and how long it took: median and worst of `times`, the first one left out and told apart."""
        page, first = self.page(**question)
        rest = [self.page(**question)[1] for _ in range(times)]
        return len(page["entries"]), first, statistics.median(rest), max(rest)

    def walked(self, question, pages):
        """One page after the other by cursor: all of them different entries, in order."""
        seen, times, cursor = [], [], {}
        for _ in range(pages):
            page, took = self.page(**question, **cursor)
            times.append(took)
            seen += [entry["sequence"] for entry in page["entries"]]
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == sorted(set(seen), reverse=True), "neither gap nor repetition"
        return len(seen), times[0], statistics.median(times), max(times)


def day(ago):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--group", type=int, default=100, help="entries that go with one write")
    parser.add_argument("--users", type=int, default=400_000)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rate", type=int)
    parser.add_argument("--directory", help="for the store; by default where temporary files are")
    parser.add_argument("--server-cpus", default="0")
    parser.add_argument("--client-cpus", default="1" if os.cpu_count() > 1 else "0")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and the server is ended
    os.environ["WATCHWORD_TRAIL_DAYS"] = str(DAYS)
    with tempfile.TemporaryDirectory(prefix="watchword-audit-", dir=args.directory) as name:
        folder = pathlib.Path(name)
        users_file = interference.made_users(folder, args.users)

        def fill(data):
            begin = time.monotonic()
            subprocess.run([interference.BUILD / "watchword-audit-trail", data, str(args.entries), str(DAYS), "100000", str(args.group)], check=True)
            took = time.monotonic() - begin
            size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
            print(f"{args.entries:,} entries written in {took:.0f} s ({args.entries / took:,.0f} a second); the store has {size / 1e9:.2f} GB.\n", flush=True)

        server = interference.Server(folder, users_file, args.server_cpus, before_start=fill)
        try:
            trail = Trail(server)
            print("| question, 100 entries a page | entries | first, ms | median, ms | worst, ms |\n| --- | --: | --: | --: | --: |")
            for words, question in (
                ("newest", {}), ("middle", {"to": day(DAYS / 2)}), ("oldest", {"to": day(DAYS - 0.01)}),
                ("one person, newest", {"user": "person0000042"}), ("one person, before the middle", {"user": "person0000042", "to": day(DAYS / 2)}),
                ("one person, oldest", {"user": "person0000042", "to": day(DAYS - 10)}),
                ("the busiest person, newest", {"user": "busy"}), ("the busiest person, middle", {"user": "busy", "to": day(DAYS / 2)}),
                ("the busiest person, an action, oldest", {"user": "busy", "action": "device.rename", "to": day(DAYS - 1)}),
                ("the busiest person, an action they never did", {"user": "busy", "action": "user.remove"}),
                ("an action, newest", {"action": "user.lock"}), ("an action, middle", {"action": "user.lock", "to": day(DAYS / 2)}),
                ("an action, oldest", {"action": "user.lock", "to": day(DAYS - 0.01)}),
                ("the rarest action, all of it", {"action": "policy.replace"}), ("an action that never was", {"action": "no.such"}),
                ("an hour in the middle", {"from": day(DAYS / 2), "to": day(DAYS / 2 - 1 / 24)}),
            ):
                count, first, median, worst = trail.asked(question, 20)
                print(f"| {words} | {count} | {first:.1f} | {median:.2f} | {worst:.1f} |", flush=True)
            count, first, median, worst = trail.walked({"to": day(DAYS / 2), "limit": 1000}, 100)
            print(f"| 100 pages of 1,000 by cursor, from the middle | {count:,} | {first:.1f} | {median:.2f} | {worst:.1f} |\n", flush=True)
            interference.measure(args, server, folder, users_file, ["audit"])
        finally:
            server.end()


if __name__ == "__main__":
    main()
