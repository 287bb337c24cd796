#!/usr/bin/python3
"""What /metrics costs: two servers of one program, one that counts and one that does not, asked in turns.

Both run on core 0, wrk on core 1; each pair asks both for the same time, every other pair in the other order, and what counts is the
ratio of each pair. Codes are wrong ones: no disk, so that what is left of a request is as little as can be.

    bench/metrics_cost.py [--binary build/watchword] [--pairs 10] [--seconds 3] [--users 100000] [--connections 64]

Needs wrk. Loopback only; everything that it starts ends with it.
"""
import argparse
import os
import statistics
import time

from server_comparison import PERIOD_S, Run, secret_of, totp


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--users", type=int, default=100000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--directory", default=None)
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    runs = []
    try:
        left_s = PERIOD_S - time.time() % PERIOD_S
        if left_s < args.pairs * 2 * (args.seconds + 1) + 30:
            time.sleep(left_s + 1)
        step = int(time.time()) // PERIOD_S
        for counts in (True, False):
            run = Run(args)
            runs.append(run)
            run.start_watchword("[metrics]\nenabled = %s\n" % str(counts).lower())
            run.be_patient()
        bodies = runs[0].write_bodies("wrong", lambda i: "%06d" % ((int(totp(secret_of(i), step)) + 500000) % 1000000))
        for run in runs:  # everybody in memory
            run.wrk(run.port, bodies, args.connections, 0)
        ratios = []
        for pair in range(args.pairs):
            rates = {}
            for run in runs if pair % 2 == 0 else runs[::-1]:
                rates[run] = run.wrk(run.port, bodies, args.connections, pair * 7919)[0]
            ratios.append(rates[runs[0]] / rates[runs[1]])
            print("  with metrics %9.0f/s  without %9.0f/s  ratio %.3f" % (rates[runs[0]], rates[runs[1]], ratios[-1]), flush=True)
        print("ratio: median %.3f, from %.3f to %.3f" % (statistics.median(ratios), min(ratios), max(ratios)))
    finally:
        for run in runs:
            run.stop()


if __name__ == "__main__":
    main()
