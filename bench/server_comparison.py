#!/usr/bin/python3
"""Watchword beside nginx, on this machine, in this minute.

The server under test runs on core 0, wrk on core 1; runs alternate, and what counts is the ratio of each pair. nginx, with one worker on the
same core, answers a constant JSON body of the same size to the same POSTs.

    bench/server_comparison.py [--binary build/watchword] [--pairs 5] [--seconds 5] [--users 300000] [--json FILE]

Needs nginx and wrk. Loopback only; everything that it starts ends with it.
"""
import argparse
import hashlib
import hmac
import json
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PERIOD_S = 300  # long steps, so that codes made ahead of time stay good for a whole comparison

WRK_SCRIPT = """
local bodies = {}
local key = os.getenv("WW_KEY")
for line in io.lines(os.getenv("WW_BODIES")) do bodies[#bodies + 1] = line end
local head = "POST /v1/verify HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer " .. key ..
  "\\r\\nContent-Type: application/json\\r\\nContent-Length: "
local at = tonumber(os.getenv("WW_OFFSET"))
request = function()
  at = at % #bodies + 1
  local body = bodies[at]
  return head .. #body .. "\\r\\n\\r\\n" .. body
end
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def base32(secret):
    import base64
    return base64.b32encode(secret).decode().rstrip("=")


def totp(secret, step):
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    return "%06d" % ((int.from_bytes(digest[at:at + 4], "big") & 0x7fffffff) % 1000000)


def secret_of(i):
    return hashlib.sha1(b"bench %d" % i).digest()


class Run:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="watchword-bench-", dir=args.directory)
        self.children = []

    def start(self, command, **more):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
        self.children.append(child)
        return child

    def stop(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start_watchword(self, more=""):
        """`more`: of the configuration."""
        data = self.path("data")
        init = subprocess.run([self.args.binary, "init", "--data-dir", data], capture_output=True, text=True, check=True)
        self.key = init.stdout.strip()
        with open(self.path("users.csv"), "w") as out:
            out.write("user,name,secret,algorithm,digits,period\n")
            for i in range(self.args.users):
                out.write("user%d@example.org,phone,%s,SHA1,6,%d\n" % (i, base32(secret_of(i)), PERIOD_S))
        subprocess.run([self.args.binary, "import", self.path("users.csv"), "--format", "csv", "--data-dir", data], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = free_port()
        with open(self.path("watchword.toml"), "w") as out:
            out.write("[server]\nloops = 1\n" + more)
        self.start(["taskset", "-c", "0", self.args.binary, "serve", "--config", self.path("watchword.toml"), "--data-dir", data,
                    "--listen", "127.0.0.1:%d" % self.port])
        for _ in range(300):
            try:
                urllib.request.urlopen("http://127.0.0.1:%d/readyz" % self.port, timeout=1)
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("watchword did not become ready")

    def start_nginx(self, body):
        self.nginx_port = free_port()
        with open(self.path("nginx.conf"), "w") as out:
            out.write("""
daemon off; worker_processes 1; worker_cpu_affinity 01; pid %s; error_log /dev/null;
events { worker_connections 20000; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;
  server { listen 127.0.0.1:%d; location / { default_type application/json; return 200 '%s'; } }
}
""" % (self.path("nginx.pid"), *[self.path("t%d" % i) for i in range(5)], self.nginx_port, body))
        self.start(["taskset", "-c", "0", "nginx", "-p", self.dir, "-c", self.path("nginx.conf")])
        time.sleep(0.5)

    def start_node(self, folder):
        self.node_port = free_port()
        self.start(["taskset", "-c", "0", "node", os.path.join(folder, "service.js"), str(self.node_port), str(self.args.users), str(PERIOD_S)])
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.node_port)).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("the Node service did not come up")

    def write_bodies(self, name, code_of):
        with open(self.path(name), "w") as out:
            for i in range(self.args.users):
                out.write('{"user":"user%d@example.org","code":"%s"}\n' % (i, code_of(i)))
        return self.path(name)

    def wrk(self, port, bodies, connections, offset):
        script = self.path("wrk.lua")
        with open(script, "w") as out:
            out.write(WRK_SCRIPT)
        env = dict(os.environ, WW_KEY=self.key, WW_BODIES=bodies, WW_OFFSET=str(offset))
        done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c%d" % connections, "-d%ds" % self.args.seconds, "--latency", "-s",
                               script, "http://127.0.0.1:%d/v1/verify" % port], capture_output=True, text=True, env=env, check=True)
        if "Non-2xx" in done.stdout:
            print(done.stdout, file=sys.stderr)
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))
        requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        return rate, requests, int(bad.group(1)) if bad else 0

    def call(self, method, path, body=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def ask(self, user, code):
        return self.call("POST", "/v1/verify", {"user": user, "code": code})

    def be_patient(self):
        """What is measured is the cost of a guess, not its refusal: nobody is locked out before the hundredth wrong code."""
        policy = json.loads(self.call("GET", "/v1/policy"))
        policy["lockout"].update(failures=100, hard_failures=100)
        self.call("PUT", "/v1/policy", policy)


def fdatasync_p99_ms(directory, seconds=3):
    """One small append and one fdatasync at a time, on the disk of the data directory."""
    path = os.path.join(directory, "fdatasync")
    spent = []
    with open(path, "wb", buffering=0) as file:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            file.write(b"x" * 512)
            begin = time.monotonic()
            os.fdatasync(file.fileno())
            spent.append((time.monotonic() - begin) * 1000)
    os.unlink(path)
    return sorted(spent)[len(spent) * 99 // 100]


def durable_batches(run, codes, first, count, connections=4, size=100):
    """Accepted codes a second in batches: every answer is checked. The requests are made before the clock starts."""
    requests = []
    for at in range(first, first + count, size):
        items = ",".join('{"user":"user%d@example.org","code":"%s"}' % (i, codes(i)) for i in range(at, at + size))
        body = ('{"items":[%s]}' % items).encode()
        head = "POST /v1/verify/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n" % run.key
        requests.append(head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    os.sched_setaffinity(0, {1})
    sockets = [socket.create_connection(("127.0.0.1", run.port)) for _ in range(connections)]
    answers, poll, held = [], select.poll(), {}
    begin = time.monotonic()
    for s in sockets:
        poll.register(s, select.POLLIN)
        s.sendall(requests.pop())
        held[s.fileno()] = [s, b""]
    while held:
        for number, _ in poll.poll(10_000):
            one = held[number]
            one[1] += one[0].recv(1 << 20)
            head, mark, body = one[1].partition(b"\r\n\r\n")
            if not mark or len(body) < int(re.search(rb"(?i)content-length: (\d+)", head).group(1)):
                continue
            answers.append(one[1])
            one[1] = b""
            if requests:
                one[0].sendall(requests.pop())
            else:
                poll.unregister(number)
                held.pop(number)[0].close()
    spent = time.monotonic() - begin
    os.sched_setaffinity(0, {0, 1})
    accepted = sum(answer.count(b'"result":"accepted"') for answer in answers)
    assert accepted == count, "%d of %d accepted" % (accepted, count)
    return count / spent


def compare(run, name, bodies_of_pair, connections, expected):
    rows = []
    for pair in range(run.args.pairs):
        bodies, offset = bodies_of_pair(pair)
        ours, requests, bad = run.wrk(run.port, bodies, connections, offset)
        expected(bodies, offset, requests)
        theirs, _, _ = run.wrk(run.nginx_port, bodies, connections, offset)
        rows.append({"watchword": ours, "nginx": theirs, "ratio": ours / theirs, "requests": requests, "not_2xx": bad})
        print("  %-34s %9.0f/s  nginx %9.0f/s  ratio %.2f%s" % (name, ours, theirs, ours / theirs, "  NOT 2xx: %d" % bad if bad else ""),
              flush=True)
    return {"name": name, "connections": connections, "pairs": rows, "ratio_median": statistics.median(r["ratio"] for r in rows),
            "rate_median": statistics.median(r["watchword"] for r in rows)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--users", type=int, default=1000000)
    parser.add_argument("--directory", default=None, help="where the data directory is made (its disk is measured too)")
    parser.add_argument("--node", help="folder of bench/node with its packages installed: compare with that service too")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    run = Run(args)
    try:
        run.start_watchword()
        # The codes are those of one moment: a step that ends before the comparison does would make the oldest ones wrong.
        needed_s = args.pairs * 3 * 2 * (args.seconds + 1) + 60
        left_s = PERIOD_S - time.time() % PERIOD_S
        if left_s < needed_s < PERIOD_S:
            print("waiting %d s for the next step" % left_s, flush=True)
            time.sleep(left_s + 1)
        step = int(time.time()) // PERIOD_S
        wrong = run.write_bodies("wrong", lambda i: "%06d" % ((int(totp(secret_of(i), step)) + 500000) % 1000000))
        right = [run.write_bodies("right%d" % k, lambda i, k=k: totp(secret_of(i), step - 1 + k)) for k in range(3)]
        answer = run.ask("user0@example.org", "%06d" % ((int(totp(secret_of(0), step)) + 500000) % 1000000))
        run.start_nginx(answer)
        run.be_patient()
        # Every user is loaded once before anything is measured.
        for at in range(0, args.users, 1000):
            run.call("POST", "/v1/verify/batch",
                     {"items": [{"user": "user%d@example.org" % i, "code": "0000000"} for i in range(at, min(at + 1000, args.users))]})

        def all_rejected(bodies, offset, requests):
            body = json.loads(body_at(bodies, offset + requests // 2))
            verdict = run.ask(body["user"], body["code"])
            assert '"rejected"' in verdict, verdict

        def all_accepted(bodies, offset, requests):
            assert requests <= run_budget, "the run came round to codes that were used: take more users or fewer seconds"
            for k in range(1, 10):
                body = json.loads(body_at(bodies, offset + requests * k // 10))
                verdict = run.ask(body["user"], body["code"])
                assert '"replayed"' in verdict, verdict

        def body_at(bodies, at):
            with open(bodies) as file:
                for i, line in enumerate(file):
                    if i == at % args.users:
                        return line

        results = [compare(run, "wrong codes, 64 connections", lambda pair: (wrong, pair * 31337), 64, all_rejected)]
        used = [0]

        def fresh(_):
            # Each pair takes users (and then steps) that no run before it took.
            if used[0] % args.users + run_budget > args.users:
                used[0] = (used[0] // args.users + 1) * args.users
            at = used[0]
            used[0] += run_budget
            return right[at // args.users], at % args.users

        run_budget = args.users // -(-(2 * args.pairs + 1) // 3)
        for connections in (256, 64):
            results.append(compare(run, "durable acceptances, %d connections" % connections, fresh, connections, all_accepted))
        single = results[-1]["rate_median"]
        # The codes of the last step, of users that no run before took.
        first = args.users - args.pairs * 40_000
        assert used[0] <= 2 * args.users + first, "too few users for so many pairs"
        pairs = []
        for pair in range(args.pairs):
            rate = durable_batches(run, lambda i: totp(secret_of(i), step + 1), first + pair * 40_000, 40_000)
            pairs.append({"watchword": rate, "single": single, "ratio": rate / single})
            print("  %-34s %9.0f/s  one by one %9.0f/s  ratio %.2f" % ("durable, batches of 100", rate, single, rate / single), flush=True)
        batches = {"name": "durable, batches of 100, to one by one", "connections": 4, "pairs": pairs,
                   "ratio_median": statistics.median(p["ratio"] for p in pairs),
                   "rate_median": statistics.median(p["watchword"] for p in pairs)}
        results_beside = [batches]
        if args.node:
            run.start_node(args.node)
            pairs = []
            for pair in range(args.pairs):
                ours, _, _ = run.wrk(run.port, wrong, 64, pair * 7919)
                theirs, _, _ = run.wrk(run.node_port, wrong, 64, pair * 7919)
                pairs.append({"watchword": ours, "node": theirs, "ratio": ours / theirs})
                print("  %-34s %9.0f/s  node %9.0f/s  ratio %.2f" % ("wrong codes, 64 connections", ours, theirs, ours / theirs), flush=True)
            results_beside.append({"name": "wrong codes, to a Node service with otplib", "connections": 64, "pairs": pairs,
                                   "ratio_median": statistics.median(p["ratio"] for p in pairs),
                                   "rate_median": statistics.median(p["watchword"] for p in pairs)})
        disk = {"name": "fdatasync", "p99_ms": fdatasync_p99_ms(run.dir, 1)}
        for result in results:
            print("%-38s %9.0f/s   ratio to nginx %.2f (median of %d pairs)" % (result["name"], result["rate_median"],
                                                                                result["ratio_median"], args.pairs))
        print("%-38s %9.0f/s   ratio to one by one %.2f" % (batches["name"], batches["rate_median"], batches["ratio_median"]))
        print("%-38s p99 %.2f ms" % ("one fdatasync on this disk", disk["p99_ms"]))
        if args.json:
            with open(args.json, "w") as out:
                json.dump([*results, *results_beside, disk], out, indent=1)
    finally:
        run.stop()


if __name__ == "__main__":
    main()
