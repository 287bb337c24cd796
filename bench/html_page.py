"""The report of ./dev bench as one HTML page: no script, no font, no picture from anywhere."""
import html

from plots import bars, plot

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.grid { stroke: currentColor; stroke-opacity: .15; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: .5rem 0 1rem; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid rgb(128 128 128 / 30%); vertical-align: top; }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
td + td { white-space: nowrap; }
.rows th:nth-child(3), .rows td:nth-child(3) { text-align: left; white-space: normal; }
.short { color: #d1495b; font-weight: 700; } .reached { color: #2e8b57; font-weight: 700; }
"""

ROW_HEADS = ["what", "figure", "reference", "its figure", "ratio", "of the pairs", "limit", "verdict"]


def count(value):
    return "{:,.0f}".format(value)


def ms(microseconds):
    return "–" if microseconds is None else "%.2f" % (microseconds / 1000)


def a_second(value):
    return "–" if value is None else count(value)


def row_cells(row):
    return [row["what"], row["figure"], row["reference"], row["reference_figure"], "%.2f" % row["ratio"],
            "%.2f–%.2f (%d)" % (row["ratio_least"], row["ratio_most"], row["pairs"]), row["limit"], row["verdict"]]


def table(heads, cells, kind=""):
    out = ["<table%s><tr>" % (' class="%s"' % kind if kind else "") + "".join("<th>%s</th>" % html.escape(head) for head in heads) + "</tr>"]
    for line in cells:
        out.append("<tr>" + "".join("<td%s>%s</td>" % (' class="%s"' % cell if cell in ("short", "reached") else "", html.escape(str(cell)))
                                    for cell in line) + "</tr>")
    return "\n".join(out + ["</table>"])


def points(found, x, y, scale=1.0):
    return [(point[x], point[y] * scale) for point in found if point[y] is not None]


def engine_curve(growth, name, field, heading, logarithmic=False):
    found = growth[name]
    return ("%s, engine alone" % heading,
            [plot("Rate by %s, engine alone" % heading.lower(), heading.lower(), "a second", {"wrong codes, in memory": points(found, field, "rate")},
                  logarithmic)],
            [([heading.lower(), "wrong codes/s", "ns each"], [[count(p[field]), count(p["rate"]), "%.0f" % (1e9 / p["rate"])] for p in found])])


def curve_parts(report):
    """(heading, plots, tables), a table being heads and cells."""
    growth = report["micro"]["growth"] if report["micro"] else None
    curves = report["curves"]
    mega = 1 / 2**20
    if growth:
        yield engine_curve(growth, "users", "users", "Users", True)
    if curves:
        users, connections = curves["users"], curves["connections"]
        yield ("Users, over HTTP (64 connections; durable: 256)", [
            plot("Rate by users", "users", "a second", {"wrong codes": points(users, "users", "rate"), "durable": points(users, "users", "durable_rate")}, True),
            plot("Memory by users", "users", "MiB", {"all in memory": points(users, "users", "resident_bytes", mega),
                                                     "at start": points(users, "users", "bytes_at_start", mega)}, True, True)],
               [(["users", "wrong codes/s", "p99 ms", "durable/s", "durable p99 ms", "ready s", "imported/s", "resident MiB", "bytes a user", "disk MiB"],
                 [[count(p["users"]), count(p["rate"]), ms(p["p99_us"]), a_second(p["durable_rate"]), ms(p["durable_p99_us"]), "%.2f" % p["ready_s"],
                   count(p["import_rows_a_second"]), count(p["resident_bytes"] * mega), count(p["bytes_a_user"]), count(p["disk_bytes"] * mega)]
                  for p in users])])
        yield ("Connections", [
            plot("Rate by connections", "connections", "a second", {"wrong codes": points(connections, "connections", "rate"),
                                                                    "durable": points(connections, "connections", "durable_rate")}, True),
            plot("p99 by connections", "connections", "p99, ms", {"wrong codes": points(connections, "connections", "p99_us", 1e-3),
                                                                  "durable": points(connections, "connections", "durable_p99_us", 1e-3)}, True, True)],
               [(["connections", "wrong codes/s", "p50 ms", "p99 ms", "durable/s", "durable p50 ms", "durable p99 ms"],
                 [[count(p["connections"]), count(p["rate"]), ms(p["p50_us"]), ms(p["p99_us"]), count(p["durable_rate"]), ms(p["durable_p50_us"]),
                   ms(p["durable_p99_us"])] for p in connections])])
    for name, field, heading in (("devices", "devices", "Devices a user"), ("window", "window_steps", "Window, steps each way")):
        if growth:
            yield engine_curve(growth, name, field, heading)
        if curves:
            yield ("%s, over HTTP" % heading, [plot("Rate by %s" % heading.lower(), heading.lower(), "a second",
                                                    {"wrong codes": points(curves[name], field, "rate")})],
                   [([heading.lower(), "wrong codes/s", "p99 ms"], [[p[field], count(p["rate"]), ms(p["p99_us"])] for p in curves[name]])])


def row_part(heading, rows):
    if not rows:
        return []
    return ["<h2>%s</h2>" % heading, "<p>Each bar is a ratio to the row's reference, the marks what it must keep to: green keeps to it, red does not.</p>",
            bars(heading, [(row["what"], row["ratio"], row["at_least"], row["at_most"]) for row in rows]),
            table(ROW_HEADS, map(row_cells, rows), "rows")]


def page(report):
    out = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8"><title>Watchword benchmarks</title><style>%s</style></head><body>' % STYLE,
           "<h1>Watchword benchmarks</h1>",
           "<p>%s: %s, %d cores, Linux %s.%s Ratios count: each figure stands beside a reference taken in the same run, in pairs that alternate; medians.</p>"
           % (html.escape(report["date"]), html.escape(report["processor"]), report["cores"], html.escape(report["kernel"]),
              " <b>A quick run: no figures to quote.</b>" if report["quick"] else "")]
    out += row_part("What is promised", report["rows"]) + row_part("What measures, measured", report["tool_rows"])
    parts = list(curve_parts(report))
    if parts:
        out.append("<h2>How cost grows</h2>")
    for heading, plots, tables in parts:
        out += ["<h3>%s</h3>" % html.escape(heading), *plots, *(table(heads, cells) for heads, cells in tables)]
    if report["micro"] and report["micro"]["parts"]:
        out += ["<h2>Parts</h2>", table(["micro-benchmark", "a second"], [[name, count(rate)] for name, rate in report["micro"]["parts"].items()])]
    return "\n".join(out + ["</body></html>"]) + "\n"
