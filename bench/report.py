#!/usr/bin/python3
"""./dev bench: the table of what the hot path promises, what the measuring itself costs, and how cost grows. Each figure stands beside its
reference, taken in one run, in pairs that alternate; the median counts.

    bench/report.py [--quick] [--keep] [--write] [--pairs N] [--seconds S] [--only micro,servers,tools,curves]
                    [--json build/bench.json] [--html build/bench.html]

Micro-benchmarks run on core 0, the committer with them (two threads: on 0 and 1; one thread beside which they stand: on one of them). Rows that compare servers come from server_comparison.py, those about metrics and the load
tester from metrics_cost.py and load_agreement.py, curves from curves.py. A timed comparison never fails the run: a row that falls
short says so. --keep takes the parts that are not measured from the JSON of the last run, so that parts can be measured one by one.
--write puts the summary into docs/benchmarks.md.
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
import time

import curves
import html_page
import rows
import summary

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ("micro", "servers", "tools", "curves")
# Minutes, for whoever waits: quick, whole.
EXPECTED_MIN = {"micro": (1, 6), "servers": (1, 7), "tools": (1, 5), "curves": (2, 14)}

TABLE = "^(wrong_code|wrong_code_in_batches)/1000000$|^accepted_code|^liboath_wrong_code$"
THREADS = "^(different_users|the_same_user)/"
OTHERS = "^wrong_code|^replayed|^sha_extensions|^openssl|^one_verification|^queue|^parse|^route"


def tell(text):
    print(text, file=sys.stderr, flush=True)


def microbench(args, pattern, cores, repetitions=1):
    """Items a second, by benchmark; the median of the repetitions."""
    done = subprocess.run(
        ["taskset", "-c", cores, args.microbench, "--benchmark_filter=" + pattern, "--benchmark_repetitions=%d" % repetitions,
         "--benchmark_min_time=%g" % (0.05 if args.quick else 0.3), "--benchmark_format=json"], capture_output=True, text=True, check=True)
    rates = {}
    for run in json.loads(done.stdout)["benchmarks"]:
        if run["run_type"] == "iteration" and "items_per_second" in run:
            rates.setdefault(run["run_name"], []).append(run["items_per_second"])
    return {name: statistics.median(all_of_it) for name, all_of_it in rates.items()}


def micro_part(args):
    """Pairs for the table; growth and parts are told as they are."""
    pairs = []
    for number in range(args.pairs):
        pairs.append({**microbench(args, TABLE, "0"), **microbench(args, THREADS, "0,1")})
        tell("  pair %d of %d: %s" % (number + 1, args.pairs, "  ".join("%s %.3gM/s" % (name.split("/")[0], rate / 1e6)
                                                                      for name, rate in pairs[-1].items())))
    growth = {}
    for name, field, pattern in (("users", "users", "^growth_users/10000$|^growth_users/100000$" if args.quick else "^growth_users/"),
                                 ("devices", "devices", "^growth_devices/"), ("window", "window_steps", "^growth_window/")):
        rates = microbench(args, pattern, "0", 1 if args.quick else 3)
        growth[name] = [{field: int(run.split("/")[1]), "rate": rate} for run, rate in rates.items()]
        tell("  by %-8s %s" % (name, "  ".join("%d: %.3gM/s" % (point[field], point["rate"] / 1e6) for point in growth[name])))
    return {"pairs": pairs, "growth": growth, "parts": {} if args.quick else microbench(args, OTHERS, "0", 3)}


def script(args, name, *more):
    """Runs one of the scripts beside this one; what it writes as JSON."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        place = ["--directory", args.directory] if args.directory else []
        subprocess.run([sys.executable, os.path.join(HERE, name), "--binary", args.binary, "--json", file.name, *place, *map(str, more)], check=True,
                       stdout=sys.stderr)
        return json.load(open(file.name))


def servers_part(args):
    node = ["--node", args.node] if args.node else []
    found = script(args, "server_comparison.py", "--load", args.load, "--pairs", args.pairs, "--seconds", args.seconds, "--users", 150_000 if args.quick else 1_200_000, *node)
    return {one["name"]: one for one in found}


def tools_part(args):
    node = ["--node", args.node] if args.node else []
    return {"metrics": script(args, "metrics_cost.py", "--pairs", 2 if args.quick else 24),
            "load": script(args, "load_agreement.py", "--load", args.load, "--pairs", 1 if args.quick else 9, "--seconds", 1 if args.quick else 2, *node)}


def curves_part(args):
    return curves.measure(argparse.Namespace(**{**vars(args), "seconds": 1 if args.quick else 2}))


def processor():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def add_rows(report):
    report["rows"] = rows.micro_rows(report["micro"]) + rows.server_rows(report["servers"] or {}) + rows.half_rows(report["curves"])
    report["tool_rows"] = rows.tool_rows(report["tools"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--load", default="build/watchword-load")
    parser.add_argument("--microbench", default="build/watchword-microbench")
    parser.add_argument("--node", default="", help="folder of bench/node with its packages installed; none: those rows are left out")
    parser.add_argument("--quick", action="store_true", help="some five minutes: one pair, few points; to see that it runs")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, of " + ", ".join(PARTS) + "; none: with --keep, only the reports")
    parser.add_argument("--keep", action="store_true", help="take the other parts from the JSON of the last run")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--directory", help="where data directories are made (their disk is measured too)")
    parser.add_argument("--json", default="build/bench.json")
    parser.add_argument("--html", default="build/bench.html")
    parser.add_argument("--write", action="store_true", help="the summary goes into docs/benchmarks.md too")
    args = parser.parse_args()
    args.pairs = args.pairs or (1 if args.quick else 5)
    args.seconds = args.seconds or (1 if args.quick else 4)
    args.binary, args.load, args.microbench = (os.path.abspath(name) for name in (args.binary, args.load, args.microbench))
    parts = [part for part in PARTS if part in args.only.split(",")]
    report = dict.fromkeys(PARTS)
    if args.keep and os.path.exists(args.json):
        with open(args.json) as file:
            last = json.load(file)
        report.update({part: last.get(part) for part in PARTS})
    report.update(date=datetime.date.today().isoformat(), processor=processor(), cores=os.cpu_count(), kernel=platform.release(), pairs=args.pairs,
                  quick=args.quick)
    add_rows(report)
    begin = time.monotonic()
    measure = {"micro": micro_part, "servers": servers_part, "tools": tools_part, "curves": curves_part}
    for at, part in enumerate(parts):
        left_min = sum(EXPECTED_MIN[later][0 if args.quick else 1] for later in parts[at:])
        tell("[%d of %d, after %d s] %s; some %d minutes are left" % (at + 1, len(parts), time.monotonic() - begin, part, left_min))
        report[part] = measure[part](args)
        add_rows(report)
        # What took minutes is not lost with what comes after it.
        with open(args.json, "w") as out:
            json.dump(report, out, indent=1)
    text = summary.markdown(report)
    print(text)
    with open(args.html, "w") as out:
        out.write(html_page.page(report))
    tell("%s and %s, after %d s" % (args.json, args.html, time.monotonic() - begin))
    if args.write:
        summary.write_into("docs/benchmarks.md", text)


if __name__ == "__main__":
    main()
