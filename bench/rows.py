"""What ./dev bench measured, as rows: a figure, its reference, their ratio, the limit, and whether it is kept."""
import statistics


def verdict(ratio, least, most):
    if least is None and most is None:
        return ""
    return "reached" if (least is None or ratio >= least) and (most is None or ratio <= most) else "short"


def limit_text(least, most):
    if least is not None and most is not None:
        return "%g to %g" % (least, most)
    return "≥ %g" % least if least is not None else "≤ %g" % most if most is not None else ""


def row(what, reference, pairs, least=None, most=None, form=lambda value: "{:,.0f}/s".format(value), ratio=None):
    """`pairs`: (figure, reference) of each pair. The medians are told, the ratio is that of the pairs unless it is given."""
    ratios = [a / b for a, b in pairs]
    ratio = statistics.median(ratios) if ratio is None else ratio
    return {"what": what, "figure": form(statistics.median(a for a, _ in pairs)), "reference": reference,
            "reference_figure": form(statistics.median(b for _, b in pairs)), "ratio": ratio, "ratio_least": min(ratios), "ratio_most": max(ratios),
            "pairs": len(pairs), "at_least": least, "at_most": most, "limit": limit_text(least, most), "verdict": verdict(ratio, least, most)}


def named(rates, start):
    for name, rate in rates.items():
        if name.startswith(start):
            return rate
    raise KeyError(start)


def micro_rows(micro):
    if not micro:
        return []
    each = [lambda start, rates=rates: named(rates, start) for rates in micro["pairs"]]

    def against_oath(what, name, least):
        return row(what, "oath_totp_validate", [(rate(name), rate("liboath_wrong_code")) for rate in each], least)

    def two_threads(what, name, least):
        return row(what, "one thread", [(rate(name + "/real_time/threads:2"), rate(name + "/real_time/threads:1")) for rate in each], least)

    return [
        against_oath("verify, wrong code, one at a time, 1 M users", "wrong_code/1000000", 3),
        against_oath("the same in batches", "wrong_code_in_batches/1000000", 6),
        against_oath("accepted codes, in memory", "accepted_code", 2.5),
        two_threads("two threads, different users", "different_users", 1.9),
        two_threads("two threads, one and the same user", "the_same_user", 0.5),
    ]


def server_rows(servers):
    rows = []
    for name, what, beside, told, least in (
            ("wrong codes, 64 connections", "HTTP, wrong codes, 64 connections", "nginx", "nginx, constant answer", 1.0),
            ("wrong codes, 64 connections, from wrk", "the same from wrk, whose own core is the full one", "nginx", "nginx, constant answer", None),
            ("durable acceptances, 256 connections", "HTTP, durable acceptances, 256 connections", "nginx", "nginx, constant answer", 0.8),
            ("durable acceptances, 64 connections", "HTTP, durable acceptances, 64 connections", "nginx", "nginx, constant answer", 0.6),
            ("durable, batches of 100, to one by one", "HTTP, durable, batches of 100", "single", "one by one, 64 connections", 5),
            ("wrong codes, to a Node service with otplib", "HTTP, wrong codes, beside a Node service", "node", "Node and otplib, nothing on disk", None)):
        if name in servers:
            rows.append(row(what, told, [(pair["watchword"], pair[beside]) for pair in servers[name]["pairs"]], least))
    return rows


def half_rows(curves):
    if not curves:
        return []
    rate = statistics.median(pair["rate"] for pair in curves["at_half"])
    folds = statistics.median(pair["folds"] for pair in curves["at_half"])

    def beside_disk(what, share, most=None):
        return row(what, "fdatasync p99 on that disk", [(pair[share], pair["fdatasync_p99_ms"]) for pair in curves["at_half"]], most=most,
                   form=lambda value: "%.2f ms" % value)

    found = [beside_disk("p99 of durable acceptances, open loop at half the maximum (%s/s)" % "{:,.0f}".format(rate), "p99_ms", 5)]
    if all("constant_p99_ms" in pair for pair in curves["at_half"]):  # not in what was kept of an earlier run
        found.append(beside_disk("p99 of nginx, a constant answer and no disk, at the same rate", "constant_p99_ms"))
    return found + [beside_disk("p99.9 of durable acceptances then, folded %d times meanwhile" % folds, "p99_9_ms")]


def tool_rows(tools):
    """What measures, measured."""
    if not tools:
        return []
    rows = [row("verifications with /metrics", "without", [(pair["with"], pair["without"]) for pair in tools["metrics"]], 0.98)]
    for target in tools["load"]:
        if target["target"] == "driven":
            rows.append(row("watchword-load on one core (by its own time), pipelined", "the most that the server answers",
                            [(1e6 / pair["own_us"], pair["most"]) for pair in target["pairs"]], 2))
            continue
        name = {"nginx": "nginx", "watchword": "Watchword", "delays": "a service with random delays"}[target["target"]]
        if target["target"] == "watchword":
            rows.append(row("the same, one request at a time", "the server's maximum then",
                            [(1e6 / pair["watchword-load"]["own_us"], max(tool["rate"] for tool in pair.values())) for pair in target["pairs"]]))
        for share in ("p50", "p90", "p99"):
            rows.append(row("%s of %s by watchword-load" % (share, name), "by wrk",
                            [(pair["watchword-load"][share] / 1000, pair["wrk"][share] / 1000) for pair in target["pairs"]], 0.9, 1.1,
                            lambda value: "%.3f ms" % value))
    return rows
