#!/usr/bin/python3
"""watchword-load itself measured: beside wrk on the same targets, and its own cost beside what the server can do.

    bench/load_agreement.py [--pairs 9] [--seconds 2] [--connections 64] [--node build/bench-node] [--json FILE]

Targets are nginx with one worker that answers a constant, Watchword answering wrong codes, and a service that waits for a random time
first (--node), each on core 0, the load on core 1, in a closed loop with the same connections; runs alternate, every other pair in the other
order. Two things are asked of watchword-load: that its latencies are within a tenth of wrk's, and that one core of it drives the server at twice
its most. The latter is asked where the server does its most, with pipelined requests: where each goes alone, the kernel's part of sending and
receiving one is nearly all that either side does, and as dear for the one as for the other (that ratio is told, too).

Like is compared with like: wrk reads all answers that are there before it asks again, which watchword-load does with --bunches, and its
clock starts when a request is written, as the service time of watchword-load does. And wrk makes up for
coordinated omission by adding samples that nobody measured; they are taken out again here (wrk tells each value with its count, and adds
one at n - e, n - 2e, ... for each at n, e being the mean time between two requests of a connection).
"""
import argparse
import json
import os
import statistics
import subprocess
import time

from server_comparison import PERIOD_S, WRK_SCRIPT, Run, load, people, secret_of, totp

COMPARED = 50_000  # people whom both ask about: wrk keeps a request for each, and misses the cache where they are more
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

# One request, always the same: wrk then calls no Lua for each, which would cost it more than the request itself.
CONSTANT_SCRIPT = """
wrk.method = "POST"
wrk.body = io.lines(os.getenv("WW_BODIES"))()
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("WW_KEY")
"""

VALUES_SCRIPT = """
done = function(summary, latency)
  print("SUMMARY " .. summary.requests .. " " .. summary.duration)
  for i = 1, #latency do
    local value, count = latency(i)
    print("VALUE " .. value .. " " .. count)
  end
end
"""


def measured_values(told, requests, duration_us, connections):
    """Counts by microsecond as wrk measured them."""
    if requests < connections:
        return told
    between = duration_us // (requests // connections)
    return {value: count - (told.get(value + between, 0) if value > between else 0) for value, count in told.items()}


def percentile(values, share):
    left = share * sum(values.values())
    for value in sorted(values):
        left -= values[value]
        if left <= 0:
            return value
    return max(values)


def wrk(run, port, bodies, script_text):
    script = run.path("wrk.lua")
    with open(script, "w") as out:
        out.write(script_text + VALUES_SCRIPT)
    env = dict(os.environ, WW_KEY=run.key, WW_BODIES=bodies, WW_OFFSET="0")
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c%d" % run.args.connections, "-d%ds" % run.args.seconds, "-s", script,
                           "http://127.0.0.1:%d/v1/verify" % port], capture_output=True, text=True, env=env, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    requests, duration_us = next((int(line[1]), int(line[2])) for line in lines if line[:1] == ["SUMMARY"])
    told = {int(line[1]): int(line[2]) for line in lines if line[:1] == ["VALUE"]}
    values = measured_values(told, requests, duration_us, run.args.connections)
    return {"rate": requests / duration_us * 1e6, **{name: percentile(values, share) for name, share in SHARES.items()}}


def ours(run, port, *more):
    result = load(run, port, "--bunches", *more)
    return {"rate": result["rate"], "own_us": result["own_cpu_us_a_request"], **{name: result["service_us"][name] for name in SHARES}}


def drive(run, users):
    """The most that the server answers at all, with 16 requests in flight on each connection, and whether one core of watchword-load can offer
    twice that, at the times that it means to: none may be left unsent, and it may not be late itself."""
    pairs = []
    for _ in range(run.args.pairs):
        closed = load(run, run.port, "--users-file", users, "--pipeline", "16", "--allow-errors")
        most = closed["verdict_rate"]
        twice = load(run, run.port, "--users-file", users, "--pipeline", "64", "--rate", str(int(2 * most)), "--allow-errors")
        pairs.append({"most": most, "own_us": closed["own_cpu_us_a_request"], "unsent": twice["unsent"], "lag_p99_us": twice["own_lag_us"]["p99"],
                      "own_us_at_twice": twice["own_cpu_us_a_request"]})
        print("  %-10s at most %7.0f/s, own %.2f us   twice that offered: %d not sent, own lag p99 %.0f us, own %.2f us"
              % ("pipelined", most, pairs[-1]["own_us"], twice["unsent"], pairs[-1]["lag_p99_us"], pairs[-1]["own_us_at_twice"]), flush=True)
    return {"target": "driven", "pairs": pairs, "unsent": max(pair["unsent"] for pair in pairs),
            "lag_p99_us": statistics.median(pair["lag_p99_us"] for pair in pairs),
            "capacity_ratio": statistics.median(1e6 / pair["own_us"] / pair["most"] for pair in pairs)}


def compare(run, name, port, bodies, script, *more):
    pairs = []
    for number in range(run.args.pairs):
        asked = [("wrk", lambda: wrk(run, port, bodies, script)), ("watchword-load", lambda: ours(run, port, *more))]
        pair = {tool: ask() for tool, ask in (asked if number % 2 == 0 else asked[::-1])}
        pairs.append(pair)
        a, b = pair["wrk"], pair["watchword-load"]
        print("  %-10s wrk %7.0f/s p50 %6.0f p90 %6.0f p99 %6.0f us   watchword-load %7.0f/s p50 %6.0f p90 %6.0f p99 %6.0f us, own %.2f us"
              % (name, a["rate"], a["p50"], a["p90"], a["p99"], b["rate"], b["p50"], b["p90"], b["p99"], b["own_us"]), flush=True)
    row = {"target": name, "pairs": pairs}
    for field in ("rate", *SHARES):
        row[field + "_ratio"] = statistics.median(pair["watchword-load"][field] / pair["wrk"][field] for pair in pairs)
        row[field] = {tool: statistics.median(pair[tool][field] for pair in pairs) for tool in ("wrk", "watchword-load")}
    row["own_us"] = statistics.median(pair["watchword-load"]["own_us"] for pair in pairs)
    # Against whoever got more out of the target.
    row["capacity_ratio"] = statistics.median(
        1e6 / pair["watchword-load"]["own_us"] / max(pair["watchword-load"]["rate"], pair["wrk"]["rate"]) for pair in pairs)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--load", default="build/watchword-load")
    parser.add_argument("--node", help="folder of bench/node: the service with random delays too")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--directory")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.binary, args.load = os.path.abspath(args.binary), os.path.abspath(args.load)
    run = Run(args)
    try:
        run.start_watchword()
        run.be_patient()
        run.load_everybody()
        step = int(time.time()) // PERIOD_S
        wrong = run.write_bodies("wrong", lambda i: "%06d" % ((int(totp(secret_of(i), step)) + 500000) % 1000000), range(COMPARED))
        few, users = people(run, "few.csv", 0, COMPARED), people(run, "load.csv", COMPARED, args.users)
        run.start_nginx(run.ask("user0@example.org", "%06d" % ((int(totp(secret_of(0), step)) + 500000) % 1000000)))
        rows = [compare(run, "nginx", run.nginx_port, wrong, CONSTANT_SCRIPT, "--constant"),
                compare(run, "watchword", run.port, wrong, WRK_SCRIPT, "--users-file", few)]
        if args.node:
            rows.append(compare(run, "delays", run.start_delays(args.node, 8), wrong, CONSTANT_SCRIPT, "--constant"))
        driven = drive(run, users)
        print("\n%-10s %8s %8s %8s %8s %28s" % ("target", "rate", "p50", "p90", "p99", "own capacity / this rate"))
        for row in rows:
            print("%-10s %8.2f %8.2f %8.2f %8.2f %28.1f" % (row["target"], row["rate_ratio"], row["p50_ratio"], row["p90_ratio"], row["p99_ratio"],
                                                          row["capacity_ratio"]))
        print("%-10s %64.1f   twice its most offered: %d not sent, own lag p99 %.0f us" % ("pipelined", driven["capacity_ratio"], driven["unsent"],
                                                                                           driven["lag_p99_us"]))
        if args.json:
            with open(args.json, "w") as out:
                json.dump([*rows, driven], out, indent=1)
    finally:
        run.stop()


if __name__ == "__main__":
    main()
