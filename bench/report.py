#!/usr/bin/python3
"""./dev bench: the table of what the hot path promises, and how cost grows. Each figure stands beside its reference, taken in one run.

    bench/report.py [--quick] [--large] [--write] [--pairs N] [--seconds S] [--only micro,servers,curves]
                    [--json build/bench.json] [--html build/bench.html]

Micro-benchmarks run on core 0, repeated; of each the median counts. Rows that compare servers come from server_comparison.py, curves from
curves.py. A timed comparison never fails the run: a row that falls short says so. --write puts the summary into docs/benchmarks.md.
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

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END = "<!-- written by ./dev bench --write: begin -->", "<!-- written by ./dev bench --write: end -->"


def tell(text):
    print(text, file=sys.stderr, flush=True)


def microbench(args, pattern, cores):
    """Items a second, by benchmark; the median of the repetitions."""
    done = subprocess.run(
        ["taskset", "-c", cores, args.microbench, "--benchmark_filter=" + pattern, "--benchmark_repetitions=%d" % args.pairs,
         "--benchmark_min_time=%g" % (0.05 if args.quick else 0.2), "--benchmark_format=json"], capture_output=True, text=True, check=True)
    rates = {}
    for row in json.loads(done.stdout)["benchmarks"]:
        if row["run_type"] == "iteration" and "items_per_second" in row:
            rates.setdefault(row["run_name"], []).append(row["items_per_second"])
    return {name: statistics.median(all_of_it) for name, all_of_it in rates.items()}


def server_rows(args):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        more = (["--node", args.node] if args.node else []) + (["--directory", args.directory] if args.directory else [])
        subprocess.run([sys.executable, os.path.join(HERE, "server_comparison.py"), "--binary", args.binary, "--pairs", str(args.pairs),
                        "--seconds", str(args.seconds), "--users", str(args.users), "--json", file.name, *more], check=True, stdout=sys.stderr)
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


def row(what, rate, reference, reference_rate, least, ratio=None):
    ratio = rate / reference_rate if ratio is None else ratio
    return {"what": what, "figure": "{:,.0f}/s".format(rate), "reference": reference, "reference_figure": "{:,.0f}/s".format(reference_rate),
            "ratio": ratio, "at_least": least, "bound": "" if least is None else "at least %g" % least,
            "verdict": "" if least is None else "reached" if ratio >= least else "short"}


def micro_rows(micro):
    oath = named(micro, "liboath_wrong_code")
    return [
        row("verify, wrong code, one at a time, 1 M users", named(micro, "wrong_code/1000000"), "oath_totp_validate", oath, 3),
        row("the same in batches", named(micro, "wrong_code_in_batches/1000000"), "oath_totp_validate", oath, 6),
        row("accepted codes, in memory", named(micro, "accepted_code"), "oath_totp_validate", oath, 2.5),
        row("two threads, different users", named(micro, "different_users/real_time/threads:2"), "one thread",
            named(micro, "different_users/real_time/threads:1"), 1.9),
        row("two threads, the same user", named(micro, "the_same_user/real_time/threads:2"), "one thread",
            named(micro, "the_same_user/real_time/threads:1"), 0.5),
    ]


def http_rows(servers):
    rows = []
    for name, least in (("wrong codes, 64 connections", 1.0), ("durable acceptances, 256 connections", 0.8),
                        ("durable acceptances, 64 connections", 0.6)):
        if name in servers:
            found = servers[name]
            reference = statistics.median(pair["nginx"] for pair in found["pairs"])
            rows.append(row("HTTP, " + name, found["rate_median"], "nginx", reference, least, found["ratio_median"]))
    batches = servers.get("durable, batches of 100, to one by one")
    if batches:
        reference = statistics.median(pair["single"] for pair in batches["pairs"])
        rows.append(row("HTTP, durable, batches of 100", batches["rate_median"], "one by one, 64 connections", reference, 5,
                        batches["ratio_median"]))
    node = servers.get("wrong codes, to a Node service with otplib")
    if node:
        reference = statistics.median(pair["node"] for pair in node["pairs"])
        rows.append(row("HTTP, wrong codes, 64 connections", node["rate_median"], "Node and otplib, nothing on disk", reference, None,
                        node["ratio_median"]))
    return rows


def half_rows(found):
    if not found:
        return []
    ratio = statistics.median(pair["ratio"] for pair in found["at_half"])
    median = {name: statistics.median(pair[name] for pair in found["at_half"]) for name in ("rate", "p99_ms", "fdatasync_p99_ms")}
    return [{"what": "p99 of durable acceptances, open loop at half the maximum (%s/s)" % "{:,.0f}".format(median["rate"]),
             "figure": "%.2f ms" % median["p99_ms"], "reference": "fdatasync p99 on that disk", "reference_figure": "%.2f ms" % median["fdatasync_p99_ms"],
             "ratio": ratio, "at_least": None, "bound": "at most 5", "verdict": "reached" if ratio <= 5 else "short"}]


def markdown_table(heads, rows):
    out = ["| %s |" % " | ".join(heads), "| --- |" + " ---: |" * (len(heads) - 1)]
    return out + ["| %s |" % " | ".join(str(cell) for cell in cells) for cells in rows]


def markdown(report):
    out = ["On %s: %s, %d cores, Linux %s. Medians of %d %s; server or micro-benchmark on core 0 (two threads: on 0 and 1), load on core 1."
           % (report["date"], report["processor"], report["cores"], report["kernel"], report["pairs"], "pairs" if report["pairs"] > 1 else "pair"), ""]
    out += markdown_table(["what", "figure", "reference", "its figure", "ratio", "bound", ""],
                          [[r["what"], r["figure"], r["reference"], r["reference_figure"], "%.2f" % r["ratio"], r["bound"],
                            "**short**" if r["verdict"] == "short" else r["verdict"]] for r in report["rows"]])
    count, ms = html_page.count, html_page.ms
    found = report["curves"]
    if found:
        out += ["", "By users (64 connections; durable: 256):", ""]
        out += markdown_table(["users", "wrong codes/s", "durable/s", "durable p99 ms", "ready s", "resident MiB"],
                              [[count(p["users"]), count(p["rate"]), count(p["durable_rate"]), ms(p["durable_p99_us"]), "%.2f" % p["ready_s"],
                                count(p["resident_bytes"] / 2**20)] for p in found["users"]])
        out += ["", "By connections:", ""]
        out += markdown_table(["connections", "wrong codes/s", "p50 ms", "p99 ms", "durable/s", "durable p50 ms", "durable p99 ms"],
                              [[p["connections"], count(p["rate"]), ms(p["p50_us"]), ms(p["p99_us"]), count(p["durable_rate"]), ms(p["durable_p50_us"]),
                                ms(p["durable_p99_us"])] for p in found["connections"]])
        for name, field, what in (("devices", "devices", "devices a user"), ("window", "window_steps", "window, steps each way")):
            out += ["", "By %s:" % what, ""]
            out += markdown_table([what, "wrong codes/s", "p99 ms"], [[p[field], count(p["rate"]), ms(p["p99_us"])] for p in found[name]])
    if report["micro"]:
        out += ["", "Parts:", ""] + markdown_table(["micro-benchmark", "items a second"],
                                                   [["`%s`" % name, count(rate)] for name, rate in report["micro"].items()])
    return "\n".join(out) + "\n"


def write_into(name, text):
    """Between the two marks; what people wrote around them stays."""
    with open(name) as file:
        whole = file.read()
    before, mark, rest = whole.partition(BEGIN)
    _, end_mark, after = rest.partition(END)
    if not mark or not end_mark:
        sys.exit("%s has no place for the summary: the lines\n%s\n%s" % (name, BEGIN, END))
    with open(name, "w") as file:
        file.write(before + BEGIN + "\n\n" + text + "\n" + END + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--load", default="build/watchword-load")
    parser.add_argument("--microbench", default="build/watchword-microbench")
    parser.add_argument("--node", default="", help="folder of bench/node with its packages installed; none: that row is left out")
    parser.add_argument("--quick", action="store_true", help="two minutes: one pair, few points; no figures to quote")
    parser.add_argument("--large", action="store_true", help="ten million users too")
    parser.add_argument("--only", default="micro,servers,curves")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--directory", help="where data directories are made (their disk is measured too)")
    parser.add_argument("--json", default="build/bench.json")
    parser.add_argument("--html", default="build/bench.html")
    parser.add_argument("--write", action="store_true", help="the summary goes into docs/benchmarks.md too")
    args = parser.parse_args()
    args.pairs = args.pairs or (1 if args.quick else 5)
    args.seconds = args.seconds or (1 if args.quick else 4)
    args.users = 150_000 if args.quick else 1_000_000
    args.binary, args.load = os.path.abspath(args.binary), os.path.abspath(args.load)
    begin, parts = time.monotonic(), args.only.split(",")
    rows, micro, servers, found = [], {}, {}, None
    if "micro" in parts:
        tell("Micro-benchmarks")
        # Quick: only what the table needs.
        micro = microbench(args, "wrong_code/1000000|wrong_code_in_batches/1000000|accepted_code|liboath_wrong_code" if args.quick
                           else "wrong_code|accepted|replayed|sha_extensions|openssl", "0")
        micro.update(microbench(args, "different_users|the_same_user", "0,1"))
        rows += micro_rows(micro)
    if "servers" in parts:
        tell("Servers")
        servers = server_rows(args)
        rows += http_rows(servers)
    if "curves" in parts:
        tell("Curves")
        found = curves.measure(argparse.Namespace(**{**vars(args), "seconds": 1 if args.quick else 2}))
        rows += half_rows(found)
    report = {"date": datetime.date.today().isoformat(), "processor": processor(), "cores": os.cpu_count(), "kernel": platform.release(),
              "pairs": args.pairs, "quick": args.quick, "rows": rows, "micro": micro, "servers": servers, "curves": found}
    text = markdown(report)
    print(text)
    with open(args.json, "w") as out:
        json.dump(report, out, indent=1)
    with open(args.html, "w") as out:
        out.write(html_page.page(report))
    tell("%s and %s, after %d s" % (args.json, args.html, time.monotonic() - begin))
    if args.write:
        write_into("docs/benchmarks.md", text)


if __name__ == "__main__":
    main()
