#!/usr/bin/python3
"""Watchword beside nginx, on this machine, in this minute.

The server under test runs on core 0, the load on core 1; runs alternate, and what counts is the ratio of each pair. nginx, with one worker on the
same core, answers a constant JSON body of the same size to the same POSTs. Wrong codes come from watchword-load: a request costs wrk, with the
Lua that it takes to send different ones, more than it costs the servers, so that its core is the one that is full, and what is compared is how wrk
gets on with the answers. That is told as a row of its own.

    bench/server_comparison.py [--binary build/watchword] [--load build/watchword-load] [--pairs 5] [--seconds 4] [--users 1200000] [--json FILE]

Needs nginx and wrk. Loopback only; everything that it starts ends with it.
"""
import argparse
import hashlib
import hmac
import itertools
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

# Every request is made before the first is sent: what wrk does with Lua would be what limits the rate otherwise.
WRK_SCRIPT = """
local requests = {}
local head = "POST /v1/verify HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer " .. os.getenv("WW_KEY") ..
  "\\r\\nContent-Type: application/json\\r\\nContent-Length: "
for line in io.lines(os.getenv("WW_BODIES")) do requests[#requests + 1] = head .. #line .. "\\r\\n\\r\\n" .. line end
local at = tonumber(os.getenv("WW_OFFSET"))
request = function()
  at = at % #requests + 1
  return requests[at]
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


def be_patient(call):
    """What is measured is the cost of a guess, not its refusal: nobody is locked out before the hundredth wrong code. `call(method, path,
    body)` asks the server. Returns the policy."""
    policy = json.loads(call("GET", "/v1/policy"))
    policy["lockout"].update(failures=100, hard_failures=100)
    call("PUT", "/v1/policy", policy)
    return policy


def load_everybody(call, name, count):
    """Every user is in memory before anything is measured: nobody's code has seven digits. `name % i`: the i-th."""
    for at in range(0, count, 1000):
        call("POST", "/v1/verify/batch", {"items": [{"user": name % i, "code": "0000000"} for i in range(at, min(at + 1000, count))]})


def nginx_constant(folder, body):
    """nginx with one worker, on core 0, that answers everything with this JSON: its port, and the command."""
    port, config = free_port(), os.path.join(folder, "nginx.conf")
    temporary = " ".join("%s_temp_path %s;" % (of, os.path.join(folder, of)) for of in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(config, "w") as out:
        out.write("""
daemon off; worker_processes 1; worker_cpu_affinity 01; pid %s; error_log /dev/null;
events { worker_connections 20000; }
http {
  access_log off; keepalive_requests 1000000000; %s
  server { listen 127.0.0.1:%d; location / { default_type application/json; return 200 '%s'; } }
}
""" % (os.path.join(folder, "nginx.pid"), temporary, port, body))
    return port, ["taskset", "-c", "0", "nginx", "-p", folder, "-c", config]


class Run:
    def __init__(self, args, guessed=0, period_s=PERIOD_S):
        """`guessed`: further people, whose codes are guessed alone: of a wrong code stays a count that the next right one takes back,
        and most who sign in have not mistyped before."""
        self.args, self.period_s = args, period_s
        self.people = args.users + guessed
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
            for i in range(self.people):
                out.write("user%d@example.org,phone,%s,SHA1,6,%d\n" % (i, base32(secret_of(i)), self.period_s))
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
        self.nginx_port, command = nginx_constant(self.dir, body)
        self.start(command)
        time.sleep(0.5)

    def start_script(self, script, *arguments):
        """A Node service on core 0; its port."""
        port = free_port()
        self.start(["taskset", "-c", "0", "node", script, str(port), *map(str, arguments)])
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return port
            except OSError:
                time.sleep(0.05)
        sys.exit("%s did not come up" % script)

    def start_node(self, folder):
        self.node_port = self.start_script(os.path.join(folder, "service.js"), self.people, PERIOD_S)

    def start_delays(self, folder, mean_ms):
        return self.start_script(os.path.join(folder, "delays.js"), mean_ms)

    def write_bodies(self, name, code_of, people=None):
        with open(self.path(name), "w") as out:
            for i in people or range(self.args.users):
                out.write('{"user":"user%d@example.org","code":"%s"}\n' % (i, code_of(i)))
        os.sync()  # or the kernel writes it later, while commits wait for the disk
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
        be_patient(self.call)

    def load_everybody(self):
        load_everybody(self.call, "user%d@example.org", self.people)


def load(run, port, *more):
    """What a run of watchword-load with wrong codes told; `--constant` among the rest: to a server that knows none."""
    file = run.path("result.json")
    done = subprocess.run(["taskset", "-c", "1", run.args.load, "http://127.0.0.1:%d" % port, "--mix", "wrong", "--connections",
                           str(run.args.connections), "--duration", str(run.args.seconds), "--warmup", "0.2", "--json", file, "--plain", *more],
                          capture_output=True, text=True, env=dict(os.environ, WATCHWORD_API_KEY=run.key))
    if done.returncode != 0:
        sys.exit("watchword-load: " + done.stderr[-2000:])
    with open(file) as text:
        return json.load(text)


def people(run, name, first, end):
    with open(run.path(name), "w") as out:
        out.write("user,secret,period\n")
        for i in range(first, end):
            out.write("user%d@example.org,%s,%d\n" % (i, base32(secret_of(i)), PERIOD_S))
    return run.path(name)


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


def told(name, ours, beside, theirs, more=""):
    print("  %-36s %9.0f/s  %-10s %9.0f/s  ratio %.2f%s" % (name, ours, beside, theirs, ours / theirs, more), flush=True)
    return {"watchword": ours, beside: theirs, "ratio": ours / theirs}


def row_of(name, connections, pairs):
    return {"name": name, "connections": connections, "pairs": pairs, "ratio_median": statistics.median(pair["ratio"] for pair in pairs),
            "rate_median": statistics.median(pair["watchword"] for pair in pairs)}


class Comparison:
    """The rows, one after another, on one server that stays up."""

    BATCH_CODES = 40_000  # accepted in each run of batches

    def __init__(self, run):
        self.run, self.args = run, run.args
        self.users, self.pairs = run.args.users, run.args.pairs
        self.guessed = run.people - self.users
        # Singles take fresh people (then steps) run by run; the last ones are left to batches.
        self.singles = self.users - self.pairs * self.BATCH_CODES
        self.budget = self.singles // -(-2 * self.pairs // 3)
        self.used = 0

    def body_at(self, bodies, at):
        count = self.guessed if bodies == self.wrong else self.users
        with open(bodies) as file:
            return json.loads(next(itertools.islice(file, at % count, None)))

    def beside_nginx(self, name, bodies, offset, connections, check):
        ours, requests, bad = self.run.wrk(self.run.port, bodies, connections, offset)
        check(bodies, offset, requests)
        theirs, _, _ = self.run.wrk(self.run.nginx_port, bodies, connections, offset)
        return {**told(name, ours, "nginx", theirs, "  NOT 2xx: %d" % bad if bad else ""), "requests": requests, "not_2xx": bad}

    def all_rejected(self, bodies, offset, requests):
        body = self.body_at(bodies, offset + requests // 2)
        verdict = self.run.ask(body["user"], body["code"])
        assert '"rejected"' in verdict, verdict

    def all_accepted(self, bodies, offset, requests):
        """What was accepted is replayed now."""
        assert requests <= self.budget, "the run came round to codes that were used: take more users or fewer seconds"
        for k in range(1, 10):
            body = self.body_at(bodies, offset + requests * k // 10)
            verdict = self.run.ask(body["user"], body["code"])
            assert '"replayed"' in verdict, verdict

    def wrong_codes(self):
        name = "wrong codes, 64 connections"
        step = int(time.time()) // PERIOD_S
        self.wrong = self.run.write_bodies("wrong", lambda i: "%06d" % ((int(totp(secret_of(i), step)) + 500000) % 1000000),
                                           range(self.users, self.run.people))
        guessed = people(self.run, "guessed.csv", self.users, self.run.people)
        pairs = [self.load_pair(name, guessed, pair) for pair in range(2 * self.pairs)]
        from_wrk = name + ", from wrk"
        wrk_pairs = [self.beside_nginx(from_wrk, self.wrong, pair * 31337, 64, self.all_rejected) for pair in range(self.pairs)]
        self.fastest = max(pair["watchword"] for pair in pairs + wrk_pairs)
        return [row_of(name, 64, pairs), row_of(from_wrk, 64, wrk_pairs)]

    def load_pair(self, name, guessed, number):
        asks = {"watchword": lambda: load(self.run, self.run.port, "--users-file", guessed), "nginx": lambda: load(self.run, self.run.nginx_port, "--constant")}
        found = {server: asks[server]() for server in sorted(asks, reverse=number % 2 == 0)}
        locked = sum(kind["results"].get("locked", 0) for kind in found["watchword"]["kinds"].values())
        assert locked == 0, "%d answers said that people are locked, which is cheaper than to judge: take more people" % locked
        rates = {server: result["rate"] for server, result in found.items()}
        return {**told(name, rates["watchword"], "nginx", rates["nginx"]), "load_us": found["watchword"]["own_cpu_us_a_request"]}

    def node(self, folder):
        self.run.start_node(folder)
        pairs = []
        for pair in range(self.pairs):
            ours, requests, _ = self.run.wrk(self.run.port, self.wrong, 64, pair * 7919)
            self.all_rejected(self.wrong, pair * 7919, requests)
            theirs, _, _ = self.run.wrk(self.run.node_port, self.wrong, 64, pair * 7919)
            pairs.append(told("wrong codes, 64 connections", ours, "node", theirs))
        return row_of("wrong codes, to a Node service with otplib", 64, pairs)

    def await_step(self):
        """Codes are those of one moment: a step that ends before the comparison does would make the oldest ones wrong."""
        # No durable answer comes faster than a wrong code's: nobody is asked twice for one code.
        self.args.seconds = max(1, min(self.args.seconds, int(self.budget / (1.1 * self.fastest))))
        needed_s = self.pairs * 2 * 2 * (self.args.seconds + 1) + self.pairs * 3 + 10 + self.users * 15e-6
        left_s = PERIOD_S - time.time() % PERIOD_S
        if left_s < needed_s < PERIOD_S:
            print("  waiting %d s for the next step" % left_s, flush=True)
            time.sleep(left_s + 1)
        self.step = int(time.time()) // PERIOD_S
        self.right = [self.run.write_bodies("right%d" % k, lambda i, k=k: totp(secret_of(i), self.step - 1 + k)) for k in range(3)]

    def durable_pair(self, name, connections):
        if self.used % self.singles + self.budget > self.singles:
            self.used = (self.used // self.singles + 1) * self.singles
        at, self.used = self.used, self.used + self.budget
        return self.beside_nginx(name, self.right[at // self.singles], at % self.singles, connections, self.all_accepted)

    def durable(self):
        """Three rows: 256 connections, 64, and batches beside the latter."""
        name = "durable acceptances, 256 connections"
        rows = [row_of(name, 256, [self.durable_pair(name, 256) for _ in range(self.pairs)])]
        name, singles, batches = "durable acceptances, 64 connections", [], []
        for pair in range(self.pairs):
            singles.append(self.durable_pair(name, 64))
            rate = durable_batches(self.run, lambda i: totp(secret_of(i), self.step + 1), self.singles + pair * self.BATCH_CODES, self.BATCH_CODES)
            batches.append(told("durable, batches of 100", rate, "single", singles[-1]["watchword"]))
        return rows + [row_of(name, 64, singles), row_of("durable, batches of 100, to one by one", 4, batches)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--load", default="build/watchword-load")
    parser.set_defaults(connections=64)  # of wrong codes
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--users", type=int, default=1_200_000)
    parser.add_argument("--directory", default=None, help="where the data directory is made (its disk is measured too)")
    parser.add_argument("--node", help="folder of bench/node with its packages installed: compare with that service too")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.binary, args.load = os.path.abspath(args.binary), os.path.abspath(args.load)
    run = Run(args, guessed=max(1000, args.users // 4))
    try:
        run.start_watchword()
        run.be_patient()
        run.load_everybody()
        someone = args.users
        run.start_nginx(run.ask("user%d@example.org" % someone,
                                "%06d" % ((int(totp(secret_of(someone), int(time.time()) // PERIOD_S)) + 500000) % 1000000)))
        comparison = Comparison(run)
        results = comparison.wrong_codes()
        if args.node:
            results.append(comparison.node(args.node))
        comparison.await_step()
        results += comparison.durable()
        disk = {"name": "fdatasync", "p99_ms": fdatasync_p99_ms(run.dir, 1)}
        for result in results:
            print("%-44s %9.0f/s   ratio %.2f (median of %d pairs)" % (result["name"], result["rate_median"], result["ratio_median"], len(result["pairs"])))
        print("%-44s p99 %.2f ms" % ("one fdatasync on this disk", disk["p99_ms"]))
        if args.json:
            with open(args.json, "w") as out:
                json.dump([*results, disk], out, indent=1)
    finally:
        run.stop()


if __name__ == "__main__":
    main()
