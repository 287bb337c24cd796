#!/usr/bin/python3
"""What /metrics costs: two servers of one program, one that counts and one that does not, asked in turns.

Both run on core 0, wrk on core 1; each pair asks both for the same time, every other pair in the other order, and what counts is the
ratio of each pair. Half of the pairs are taken, then both servers are started anew: where a process happens to lie in memory is worth a
hundredth too. Codes are wrong ones: no disk, so that what is left of a request is as little as can be.

    bench/metrics_cost.py [--binary build/watchword] [--pairs 24] [--seconds 1] [--users 50000] [--connections 64] [--json FILE]

Needs wrk. Loopback only; everything that it starts ends with it.
"""
import argparse
import json
import os
import statistics
import time

from server_comparison import PERIOD_S, Run, secret_of, totp


def measure(args, pairs, counting_first):
    """The pairs of two fresh servers."""
    runs, measured = {}, []
    try:
        for counts in (True, False) if counting_first else (False, True):
            run = runs[counts] = Run(args)
            run.start_watchword("[metrics]\nenabled = %s\n" % str(counts).lower())
            run.be_patient()
            run.load_everybody()
        step = int(time.time()) // PERIOD_S
        bodies = runs[True].write_bodies("wrong", lambda i: "%06d" % ((int(totp(secret_of(i), step)) + 500000) % 1000000))
        for pair in range(pairs):
            rates = {}
            for counts in (True, False) if pair % 2 == 0 else (False, True):
                rates[counts] = runs[counts].wrk(runs[counts].port, bodies, args.connections, pair * 7919)[0]
            measured.append({"with": rates[True], "without": rates[False], "ratio": rates[True] / rates[False]})
            print("  with metrics %9.0f/s  without %9.0f/s  ratio %.3f" % (rates[True], rates[False], measured[-1]["ratio"]), flush=True)
    finally:
        for run in runs.values():
            run.stop()
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--json")
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    half = args.pairs // 2
    pairs = measure(args, args.pairs - half, True) + (measure(args, half, False) if half else [])
    ratios = sorted(pair["ratio"] for pair in pairs)
    print("ratio: median %.3f, half of the pairs from %.3f to %.3f"
          % (statistics.median(ratios), ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]))
    if args.json:
        with open(args.json, "w") as out:
            json.dump(pairs, out, indent=1)


if __name__ == "__main__":
    main()
