#!/usr/bin/python3
"""Overload: twice the maximum rate in an open loop for a minute, then, without a pause, half of it. How much is still answered, how soon the rest
is refused, whether memory stays flat, and whether everything is normal again at once.

    bench/overload.py [--build build] [--users N] [--seconds 60] [--kind wrong|accepted] [--depth 16] [--json FILE]

The maximum is the highest rate of an open loop of which 99 % are answered. With `--depth 16` it is what so many requests in flight on each
connection reach in a closed loop, which is more: the deeper the pipelines, the cheaper each request.

An answer counts when the code was judged: people whose codes are guessed too often are locked, and to tell them so is cheaper. A hundred
guesses a person must do for all of it, the search for the maximum included, or three right codes and one more every 30 s; where they do not, it
ends with a message. So there are a million people for wrong codes, and ten million for right ones.

Server on core 0, load on core 1; loopback only; everything that it starts ends with it.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from server_comparison import Run, be_patient, secret_of

PERIOD_S = 30
CONNECTIONS = 64
PIPELINE = 100_000  # requests without an answer on each of them: no limit


def resident(process):
    for line in open("/proc/%d/status" % process.pid):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


class Overload:
    ENOUGH = 0.99  # of what is offered at the maximum rate
    ANY_RATE = 10_000_000  # the load tester keeps all pipelines full

    def __init__(self, args, run):
        self.args, self.run, self.next = args, run, 0  # of the requests, which go through the people in turn
        self.good = "accepted" if args.kind == "accepted" else "rejected"  # answers that judged a code

    def load(self, rate, seconds, pipeline=PIPELINE):
        return self.load_phases([(rate, seconds)], pipeline)[0]

    def load_phases(self, phases, pipeline=PIPELINE):
        """Pairs of requests a second and seconds, one after the other without a pause."""
        done = subprocess.run(
            ["taskset", "-c", "1", str(self.args.build / "watchword-overload-load"), self.args.kind, str(self.run.port), self.secrets, self.used.name,
             str(PERIOD_S), str(self.next), ",".join("%.0f:%.3f" % phase for phase in phases), str(CONNECTIONS), str(pipeline)],
            capture_output=True, text=True, env=dict(os.environ, WW_KEY=self.run.key))
        if done.returncode != 0:
            sys.exit(done.stderr)
        told = json.loads(done.stdout)
        self.next = told["next"]
        for (rate, seconds), figures in zip(phases, told["phases"]):
            good, answered = figures[self.good], figures["answered"]["count"]
            if good < self.ENOUGH * answered:
                sys.exit("of %d answers only %d judged a code that was not asked about before: take more people" % (answered, good))
            figures["good_per_s"] = figures["judged_within"] / seconds  # a backlog that is worked off later is no part of the rate
            print("offered %.0f a second for %.0f s: %.0f judged, %.0f refused" %
                  (rate, seconds, figures["good_per_s"], figures["refused"]["count"] / seconds), file=sys.stderr)
        return told["phases"]

    def copes(self, rate, seconds):
        """Whether most is answered, and soon: what is answered after the end was no part of the rate."""
        figures = self.load(rate, seconds)
        return figures[self.good] >= self.ENOUGH * rate * seconds and figures["answered"]["p99_ms"] < 1000 * seconds / 100

    def find_maximum(self):
        """Requests a second."""
        if self.args.depth:
            # For long enough that what is done later (folding, compaction) is under way.
            self.load(self.ANY_RATE, self.args.seconds / 6, pipeline=self.args.depth)
            return self.load(self.ANY_RATE, self.args.seconds / 3, pipeline=self.args.depth)["good_per_s"]
        brief_s, long_s, finest = 3, self.args.seconds / 6, 1.05
        low, factor = self.load(self.ANY_RATE, brief_s, pipeline=1)["good_per_s"] / 2, 1.25
        if low == 0:
            sys.exit("no code was judged: the server refuses all of them")
        while factor > finest:
            while self.copes(low * factor, brief_s):
                low *= factor
            factor **= 0.5
        least = low / 10
        while not self.copes(low, long_s):
            low /= finest
            if low < least:
                sys.exit("not even %.0f requests a second are answered for long" % low)
        return low

    def write_secrets(self):
        self.secrets = self.run.path("secrets")
        with open(self.secrets, "wb") as out:
            for i in range(self.args.users):
                out.write(secret_of(i))
        # Not on the disk that is measured: it changes with each request.
        self.used = tempfile.NamedTemporaryFile(dir="/dev/shm")
        self.used.truncate(4 * self.args.users)
        os.sync()  # or the kernel writes it later, while commits wait for the disk

    def measure(self):
        args, run = self.args, self.run
        run.start_watchword()
        policy = be_patient(run.call)
        # Codes of the step before and the next one come in turn: not because clocks are off.
        run.call("PUT", "/v1/policy", dict(policy, max_drift_steps=0))
        self.write_secrets()
        run.load_everybody()
        most = self.find_maximum()
        calm = self.load(most / 2, 4)
        server = run.children[0]
        memory, done = [], threading.Event()  # MiB, from the load program's start to the end of the calm: a minute, and some seconds

        def watch():
            while not done.wait(0.5):
                memory.append(resident(server))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            over, at_once, after = self.load_phases([(2 * most, args.seconds), (most / 2, 1), (most / 2, 3)])
        finally:
            done.set()
            watcher.join()
        third = max(1, len(memory) // 3)  # some of it comes and goes: memory that is filled and flushed
        return {"kind": args.kind, "maximum_per_s": most, "offered_per_s": over["offered"] / over["seconds"],
                "sent_per_s": over["sent"] / over["seconds"], "goodput": over["good_per_s"] / most,
                "held_back_per_s": (over["offered"] - over["sent"]) / over["seconds"], "refused_per_s": over["refused"]["count"] / over["seconds"],
                "refused_ms": over["refused"], "answered_ms": over["answered"], "without_retry_after": over["without_retry_after"],
                "not_judged": over["answered"]["count"] - over["accepted"] - over["rejected"],
                "unanswered": over["unanswered"], "other": over["other"], "load_cycle_ms": over["own_cycle"],
                "memory_growth_mib": max(memory[-third:]) - max(memory[:third]), "memory_mib": max(memory),
                "calm_before": calm, "calm_at_once": at_once, "calm_after": after}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--users", type=int)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--kind", choices=("wrong", "accepted"), default="wrong")
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    args.binary = os.path.abspath(args.build / "watchword")
    args.users = args.users or {"wrong": 1_000_000, "accepted": 10_000_000}[args.kind]
    run = Run(args, period_s=PERIOD_S)
    try:
        figures = Overload(args, run).measure()
        print(json.dumps(figures, indent=1))
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
    finally:
        run.stop()


if __name__ == "__main__":
    main()
