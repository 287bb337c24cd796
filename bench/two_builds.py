#!/usr/bin/python3
"""Two builds of the server beside each other, for gains of a few per cent: wrong codes, second by second in turn, rate and processor time a request.

    bench/two_builds.py --before OLD/watchword --after build/watchword [--load build/watchword-load] [--rounds 20] [--users 300000] [--json FILE]

All of them run on core 0, nginx with a constant answer among them, the load on core 1. In each round each is asked for a second, the order turned
round every time; what counts are the ratios within a round. Processor time is that of all threads of a server, folds and flushes included, until a
tenth of a second after the last answer. Needs nginx; loopback only; everything that it starts ends with it.
"""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import time

from server_comparison import Run, load, people, secret_of, totp, PERIOD_S


def processor_us(process):
    """Of all threads, those that have ended too, microseconds: the process' own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~process.pid << 3) | 2) * 1e6


class Asked:
    """A server, and what was measured of it round by round."""

    def __init__(self, name, run, port, process, more):
        self.name, self.run, self.port, self.process, self.more = name, run, port, process, more
        self.rates, self.costs = [], []

    def ask(self):
        before = processor_us(self.process)
        result = load(self.run, self.port, *self.more)
        time.sleep(0.1)  # what it has left to do is its own
        locked = sum(kind["results"].get("locked", 0) for kind in result["kinds"].values())
        if locked:
            sys.exit("%d answers said that people are locked, which is cheaper than to judge: take more people or fewer rounds" % locked)
        # The warm-up is a part of the processor time, and of what was asked.
        requests = result["rate"] * (self.run.args.seconds + 0.2)
        self.rates.append(result["rate"])
        self.costs.append((processor_us(self.process) - before) / requests)


def start(binary, args):
    run = Run(argparse.Namespace(**{**vars(args), "binary": binary}))
    try:
        run.start_watchword()
        run.be_patient()
        run.load_everybody()
    except BaseException:
        run.stop()
        raise
    return run


def measure(args, runs):
    for binary in (args.before, args.after):
        runs.append(start(binary, args))
    before, after = runs
    wrong = "%06d" % ((int(totp(secret_of(0), int(time.time()) // PERIOD_S)) + 500000) % 1000000)
    before.start_nginx(before.ask("user0@example.org", wrong))
    os.sync()
    asked = [Asked(name, run, run.port, run.children[0], ["--users-file", people(run, "people.csv", 0, args.users)])
             for name, run in (("before", before), ("after", after))]
    nginx = before.children[-1]
    worker = int(open("/proc/%d/task/%d/children" % (nginx.pid, nginx.pid)).read().split()[0])
    asked.append(Asked("nginx", before, before.nginx_port, argparse.Namespace(pid=worker), ["--constant"]))
    for number in range(args.rounds):
        for one in asked if number % 2 == 0 else asked[::-1]:
            one.ask()
        print("  round %d: %s" % (number + 1, "  ".join("%s %.0f/s %.2f us" % (one.name, one.rates[-1], one.costs[-1]) for one in asked)), flush=True)
    return asked


def told(asked):
    figures = {one.name: {"rate": statistics.median(one.rates), "us": statistics.median(one.costs)} for one in asked}
    for name, figure in figures.items():
        print("%-8s %9.0f/s  %6.2f us a request" % (name, figure["rate"], figure["us"]))
    before, after, nginx = asked
    ratios = {}
    for what, one, other in (("after to before", after, before), ("before to nginx", before, nginx), ("after to nginx", after, nginx)):
        rate = statistics.median(a / b for a, b in zip(one.rates, other.rates))
        cost = statistics.median(a / b for a, b in zip(one.costs, other.costs))
        ratios[what] = {"rate": rate, "processor_time": cost}
        print("%-16s rate %.3f, processor time %.3f (medians of %d rounds)" % (what, rate, cost, len(one.rates)))
    return {"servers": figures, "ratios": ratios, "rounds": {one.name: {"rates": one.rates, "us": one.costs} for one in asked}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True)
    parser.add_argument("--after", default="build/watchword")
    parser.add_argument("--load", default="build/watchword-load")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--users", type=int, default=300_000, help="a hundred wrong codes of each may be asked for")
    parser.add_argument("--directory", default=None, help="where the data directories are made")
    parser.add_argument("--json")
    parser.set_defaults(connections=64, seconds=1)
    args = parser.parse_args()
    args.before, args.after, args.load = (os.path.abspath(name) for name in (args.before, args.after, args.load))
    if not shutil.which("nginx"):
        sys.exit("nginx is needed: install nginx-light")
    runs = []
    try:
        figures = told(measure(args, runs))
        if args.json:
            with open(args.json, "w") as out:
                json.dump(figures, out, indent=1)
    finally:
        with contextlib.ExitStack() as stack:  # the second one, too, where the first one does not end
            for run in runs:
                stack.callback(run.stop)


if __name__ == "__main__":
    main()
