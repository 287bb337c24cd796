#!/usr/bin/python3
"""The table of what the hot path promises: each figure beside its reference, taken in one run.

    bench/report.py [--binary build/watchword] [--microbench build/watchword-microbench] [--pairs 5] [--seconds 4]
                    [--json build/bench.json] [--write docs/benchmarks.md]

Micro-benchmarks run on core 0, repeated and interleaved; of each the median counts. Rows that compare servers come from
server_comparison.py. A timed comparison never fails the run: a row that falls short says so.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def microbench(args, pattern, cores):
    """Items a second, by benchmark; the median of the repetitions."""
    done = subprocess.run(
        ["taskset", "-c", cores, args.microbench, "--benchmark_filter=" + pattern, "--benchmark_repetitions=%d" % args.pairs,
         "--benchmark_min_time=0.3", "--benchmark_format=json"], capture_output=True, text=True, check=True)
    rates = {}
    for row in json.loads(done.stdout)["benchmarks"]:
        if row["run_type"] == "iteration" and "items_per_second" in row:
            rates.setdefault(row["run_name"], []).append(row["items_per_second"])
    return {name: statistics.median(all_of_it) for name, all_of_it in rates.items()}


def server_rows(args):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([sys.executable, os.path.join(HERE, "server_comparison.py"), "--binary", args.binary, "--pairs",
                        str(args.pairs), "--seconds", str(args.seconds), "--json", file.name], check=True, stdout=sys.stderr)
        return {row["name"]: row for row in json.load(open(file.name))}


def processor():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def named(rates, start):
    for name, rate in rates.items():
        if name.startswith(start):
            return rate
    raise KeyError(start)


def table(micro, servers):
    oath = named(micro, "liboath_wrong_code")

    def row(what, rate, reference, reference_rate, least):
        return {"what": what, "rate": rate, "reference": reference, "reference_rate": reference_rate,
                "ratio": rate / reference_rate, "at_least": least}

    rows = [
        row("verify, wrong code, one at a time, 1 M users", named(micro, "wrong_code/1000000"), "oath_totp_validate", oath, 3),
        row("the same in batches", named(micro, "wrong_code_in_batches/1000000"), "oath_totp_validate", oath, 6),
        row("accepted codes, in memory", named(micro, "accepted_code"), "oath_totp_validate", oath, 2.5),
        row("two threads, different users", named(micro, "different_users/real_time/threads:2"), "one thread",
            named(micro, "different_users/real_time/threads:1"), 1.9),
        row("two threads, the same user", named(micro, "the_same_user/real_time/threads:2"), "one thread",
            named(micro, "the_same_user/real_time/threads:1"), 0.5),
    ]
    for name, least in (("wrong codes, 64 connections", 1.0), ("durable acceptances, 256 connections", 0.8),
                        ("durable acceptances, 64 connections", 0.6)):
        if name in servers:
            found = servers[name]
            reference = statistics.median(pair["nginx"] for pair in found["pairs"])
            rows.append(dict(row("HTTP, " + name, found["rate_median"], "nginx", reference, least), ratio=found["ratio_median"]))
    batches = servers.get("durable, batches of 100, to one by one")
    if batches:
        reference = statistics.median(pair["single"] for pair in batches["pairs"])
        rows.append(dict(row("HTTP, durable, batches of 100", batches["rate_median"], "one by one, 64 connections", reference, 5),
                         ratio=batches["ratio_median"]))
    return rows


def markdown(report):
    out = ["# Benchmarks", "",
           "Written by `./dev bench --write` on %s: %s, %d cores, Linux %s. Each figure is the median of %d runs beside its reference in the"
           % (report["date"], report["processor"], report["cores"], report["kernel"], report["pairs"]),
           "same run; server or micro-benchmark on core 0 (two threads: on 0 and 1), load on core 1. What the figures are made of, and what",
           "was tried: [performance.md](performance.md).", "",
           "| what | a second | reference | a second | ratio | at least | |", "| --- | ---: | --- | ---: | ---: | ---: | --- |"]
    for row in report["rows"]:
        out.append("| %s | %s | %s | %s | %.2f | %g | %s |" % (
            row["what"], "{:,.0f}".format(row["rate"]), row["reference"], "{:,.0f}".format(row["reference_rate"]), row["ratio"],
            row["at_least"], "reached" if row["ratio"] >= row["at_least"] else "**short**"))
    out += ["", "## Parts", "", "| micro-benchmark | items a second |", "| --- | ---: |"]
    out += ["| `%s` | %s |" % (name, "{:,.0f}".format(rate)) for name, rate in report["micro"].items()]
    if "fdatasync" in report["servers"]:
        out += ["", "One `fdatasync` of a small append on this disk: p99 %.2f ms." % report["servers"]["fdatasync"]["p99_ms"]]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--microbench", default="build/watchword-microbench")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", default="build/bench.json")
    parser.add_argument("--write", nargs="?", const="docs/benchmarks.md", help="Markdown goes here too")
    parser.add_argument("--servers", help="rows of an earlier server_comparison.py --json instead of a run; none: leave them out")
    args = parser.parse_args()
    micro = microbench(args, "wrong_code|accepted|replayed|sha_extensions|openssl", "0")
    micro.update(microbench(args, "different_users|the_same_user", "0,1"))
    if args.servers is None:
        servers = server_rows(args)
    else:
        servers = {} if args.servers == "none" else {row["name"]: row for row in json.load(open(args.servers))}
    report = {"date": datetime.date.today().isoformat(), "processor": processor(), "cores": os.cpu_count(),
              "kernel": platform.release(), "pairs": args.pairs, "rows": table(micro, servers), "micro": micro, "servers": servers}
    text = markdown(report)
    print(text)
    with open(args.json, "w") as out:
        json.dump(report, out, indent=1)
    if args.write:
        with open(args.write, "w") as out:
            out.write(text)


if __name__ == "__main__":
    main()
