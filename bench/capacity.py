#!/usr/bin/python3
"""From people to machines: what a Monday morning asks of Watchword, by the figures that ./dev bench measured.

    bench/capacity.py --people 200000 [--share 0.6] [--minutes 45] [--figures build/bench.json]
    bench/capacity.py --check [--figures build/bench.json]

The peak: `--share` of all people sign in within `--minutes`, most of them in the middle (a bell whose width is a quarter of that time).
The server: one core works requests off one after the other; whatever is ready when the disk is free goes out with one sync, and is
answered when that has come back. This is simulated request by request. --check runs the simulation for each number of connections that was
measured and prints both.
"""
import argparse
import collections
import heapq
import json
import math
import random
import sys

HEADROOM = 0.5  # of a core's maximum is planned for: the tail stays short, and one of two machines may be away


class Figures:
    """What one core and one disk did in the last ./dev bench."""

    def __init__(self, name):
        try:
            with open(name) as file:
                curves = json.load(file)["curves"]
        except OSError:
            sys.exit("%s is not there; ./dev bench writes it" % name)
        if not curves:
            sys.exit("%s holds no curves; run ./dev bench without --only" % name)
        self.connections = curves["connections"]
        self.cost_s = 1 / max(point["durable_rate"] for point in self.connections)
        # Alone on the line a request waits for its own work and its own sync; the mean of many, so that a slow moment of the disk counts.
        self.sync_s = max(1 / self.connections[0]["durable_rate"] - self.cost_s, 1e-6)
        self.rejected_s = 1 / max(point["rate"] for point in self.connections)
        small, large = curves["users"][0], curves["users"][-1]
        people = large["users"] - small["users"]
        self.memory_a_person = max((large["resident_bytes"] - small["resident_bytes"]) / people, 1)
        self.memory_base = max(small["resident_bytes"] - self.memory_a_person * small["users"], 0)
        self.disk_a_person = max((large["disk_bytes"] - small["disk_bytes"]) / people, 1)
        self.ready_s = large["ready_s"]


def simulate(arrivals, cost_s, sync_s, count, again):
    """Answers in order as (arrival, answered). `again(t)`: when the client that was answered at t asks next, or None."""
    heapq.heapify(arrivals)
    ready, answers = collections.deque(), []
    core_free = disk_free = 0.0
    while len(answers) < count and (arrivals or ready):
        if not ready:
            begin = heapq.heappop(arrivals)
            core_free = max(begin, core_free) + cost_s
            ready.append((core_free, begin))
        sync_begin = max(disk_free, ready[0][0])
        while arrivals and max(arrivals[0], core_free) + cost_s <= sync_begin:
            begin = heapq.heappop(arrivals)
            core_free = max(begin, core_free) + cost_s
            ready.append((core_free, begin))
        disk_free = sync_begin + sync_s
        while ready and ready[0][0] <= sync_begin:
            begin = ready.popleft()[1]
            answers.append((begin, disk_free))
            following = again(disk_free)
            if following is not None:
                heapq.heappush(arrivals, following)
    return answers


def closed_loop(figures, connections, count=60_000):
    answers = simulate([i * 1e-9 for i in range(connections)], figures.cost_s, figures.sync_s, max(count, 20 * connections), lambda at: at)
    settled = answers[len(answers) // 4:]
    times = sorted(answered - begin for begin, answered in settled)
    return len(settled) / (settled[-1][1] - settled[0][1]), times[len(times) // 2]


def open_loop(figures, rate, count=60_000):
    """Times of durable answers where requests come at random at that rate."""
    source, at, arrivals = random.Random(1), 0.0, []
    for _ in range(count):
        at += source.expovariate(rate)
        arrivals.append(at)
    times = sorted(answered - begin for begin, answered in simulate(arrivals, figures.cost_s, figures.sync_s, count, lambda _: None))
    return times[len(times) // 2], times[len(times) * 99 // 100]


def check(figures):
    print("One acceptance: %.1f us of a core, %.2f ms for a sync. Simulated beside measured, closed loop:\n" % (figures.cost_s * 1e6, figures.sync_s * 1e3))
    print("%12s %14s %14s %7s %14s %14s" % ("connections", "measured/s", "simulated/s", "ratio", "measured p50", "simulated p50"))
    worst = 1.0
    for point in figures.connections:
        rate, median = closed_loop(figures, point["connections"])
        ratio = rate / point["durable_rate"]
        worst = max(worst, ratio, 1 / ratio)
        print("%12d %14.0f %14.0f %7.2f %11.2f ms %11.2f ms" % (point["connections"], point["durable_rate"], rate, ratio,
                                                              point["durable_p50_us"] / 1000, median * 1000))
    print("\nFurthest off: %.2f times." % worst)


def plan(args, figures):
    sign_ins = args.people * args.share
    sigma_s = args.minutes * 60 / 4
    peak = sign_ins / (sigma_s * math.sqrt(2 * math.pi))
    accepted, rejected = peak, peak * args.wrong
    busy = accepted * figures.cost_s + rejected * figures.rejected_s
    cores = max(1, math.ceil(busy / HEADROOM))
    print("People                          %12s   signing in within %g minutes: %s" % (
        "{:,}".format(args.people), args.minutes, "{:,.0f}".format(sign_ins)))
    print("Peak, sign-ins a second         %12.0f   and %.0f wrong codes a second" % (accepted, rejected))
    print("Cores busy at the peak          %12.2f" % busy)
    print("Cores to plan                   %12d   (%.0f %% of each used)" % (cores, busy / cores * 100))
    print("Memory, MiB                     %12.0f   all of them resident; %.0f bytes a person over %.0f MiB" % (
        (figures.memory_base + figures.memory_a_person * args.people) / 2**20, figures.memory_a_person, figures.memory_base / 2**20))
    trail = args.audit_bytes * sign_ins * args.days * (1 + args.wrong)
    disk = figures.disk_a_person * args.people + trail + 2**29
    print("Disk, GiB                       %12.1f   registrations %.2f, trail of %d days %.1f, log and reserve 0.5" % (
        disk / 2**30, figures.disk_a_person * args.people / 2**30, args.days, trail / 2**30))
    # More cores share the disk: one sync carries what all of them have ready.
    if busy / cores < 0.95:
        median, tail = open_loop(figures, accepted / cores)
        print("Time of an answer at the peak   %9.2f ms   p99 %.2f ms; one sync takes %.2f ms" % (median * 1000, tail * 1000, figures.sync_s * 1000))
    else:
        print("Time of an answer at the peak      unbounded: too few cores")
    print("Ready after a restart, s        %12.2f" % figures.ready_s)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--share", type=float, default=0.6, help="of all people sign in on a Monday morning")
    parser.add_argument("--minutes", type=float, default=45, help="in this time, most of them in its middle")
    parser.add_argument("--wrong", type=float, default=0.05, help="wrong codes for each right one")
    parser.add_argument("--audit-bytes", type=float, default=0, help="bytes of the trail for each verification; 0: they are not audited")
    parser.add_argument("--days", type=int, default=400, help="that the trail is kept")
    parser.add_argument("--sync-ms", type=float, help="of your disk (fdatasync of a small append), instead of what was measured")
    parser.add_argument("--figures", default="build/bench.json")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    figures = Figures(args.figures)
    if args.sync_ms:
        figures.sync_s = args.sync_ms / 1000
    if args.check:
        check(figures)
    else:
        plan(args, figures)


if __name__ == "__main__":
    main()
