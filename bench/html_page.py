"""The report of ./dev bench as one HTML page: no script, no font, no picture from anywhere."""
import html

from plots import bars, plot

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.grid { stroke: currentColor; stroke-opacity: .15; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid rgb(128 128 128 / 30%); }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.short { color: #d1495b; font-weight: 700; }
"""


def table(heads, rows):
    out = ["<table><tr>" + "".join("<th>%s</th>" % html.escape(head) for head in heads) + "</tr>"]
    out += ["<tr>" + "".join("<td>%s</td>" % html.escape(str(cell)) for cell in row) + "</tr>" for row in rows]
    return "\n".join(out + ["</table>"])


def count(value):
    return "{:,.0f}".format(value)


def ms(microseconds):
    return "%.2f" % (microseconds / 1000)


def pairs(points, x, y, scale=1.0):
    return [(point[x], point[y] * scale) for point in points]


def curve_parts(curves):
    users, connections = curves["users"], curves["connections"]
    mega = 1 / 2**20
    yield "Users", [
        plot("Rate by users", "users", "a second", {"wrong codes": pairs(users, "users", "rate"), "durable": pairs(users, "users", "durable_rate")}, True),
        plot("Memory by users", "users", "MiB", {"after the runs": pairs(users, "users", "resident_bytes", mega),
                                                 "at start": pairs(users, "users", "bytes_at_start", mega)}, True),
        table(["users", "wrong codes/s", "durable/s", "durable p99 ms", "ready s", "imported rows/s", "resident MiB"],
              [[count(p["users"]), count(p["rate"]), count(p["durable_rate"]), ms(p["durable_p99_us"]), "%.2f" % p["ready_s"],
                count(p["import_rows_a_second"]), count(p["resident_bytes"] * mega)] for p in users])]
    yield "Connections", [
        plot("Rate by connections", "connections", "a second", {"wrong codes": pairs(connections, "connections", "rate"),
                                                                "durable": pairs(connections, "connections", "durable_rate")}, True),
        plot("p99 by connections", "connections", "p99, ms", {"wrong codes": pairs(connections, "connections", "p99_us", 1e-3),
                                                              "durable": pairs(connections, "connections", "durable_p99_us", 1e-3)}, True, True),
        table(["connections", "wrong codes/s", "p50 ms", "p99 ms", "durable/s", "durable p50 ms", "durable p99 ms"],
              [[p["connections"], count(p["rate"]), ms(p["p50_us"]), ms(p["p99_us"]), count(p["durable_rate"]), ms(p["durable_p50_us"]),
                ms(p["durable_p99_us"])] for p in connections])]
    yield "Devices a user", [plot("Rate by devices", "devices a user", "wrong codes a second", {"wrong codes": pairs(curves["devices"], "devices", "rate")}),
                             table(["devices", "wrong codes/s", "p99 ms"], [[p["devices"], count(p["rate"]), ms(p["p99_us"])] for p in curves["devices"]])]
    yield "Window", [plot("Rate by window", "steps each way", "wrong codes a second", {"wrong codes": pairs(curves["window"], "window_steps", "rate")}),
                     table(["steps each way", "wrong codes/s", "p99 ms"],
                           [[p["window_steps"], count(p["rate"]), ms(p["p99_us"])] for p in curves["window"]])]


def page(report):
    rows = report["rows"]
    out = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8"><title>Watchword benchmarks</title><style>%s</style></head><body>' % STYLE,
           "<h1>Watchword benchmarks</h1>",
           "<p>%s: %s, %d cores, Linux %s. Ratios count: each figure stands beside a reference taken in the same run.</p>"
           % tuple(html.escape(str(report[name])) if name != "cores" else report[name] for name in ("date", "processor", "cores", "kernel")),
           "<h2>What is promised</h2>", "<p>Each bar is a ratio to the row's reference, the mark what it should reach.</p>"]
    if any(row["at_least"] is not None for row in rows):
        out.append(bars("Ratios", [(row["what"], row["ratio"], row["at_least"]) for row in rows if row["at_least"] is not None]))
    cells = []
    for row in rows:
        cells.append([row["what"], row["figure"], row["reference"], row["reference_figure"], "%.2f" % row["ratio"], row["bound"], row["verdict"]])
    out.append(table(["what", "figure", "reference", "its figure", "ratio", "bound", ""], cells))
    for heading, parts in curve_parts(report["curves"]) if report["curves"] else ():
        out += ["<h2>%s</h2>" % heading, *parts]
    out += ["<h2>Micro-benchmarks</h2>", table(["benchmark", "items a second"], [[name, count(rate)] for name, rate in report["micro"].items()]),
            "</body></html>"]
    return "\n".join(out) + "\n"
