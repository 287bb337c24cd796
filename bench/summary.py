"""The report of ./dev bench as Markdown, and its place in docs/benchmarks.md."""
import sys

import html_page

BEGIN, END = "<!-- written by ./dev bench --write: begin -->", "<!-- written by ./dev bench --write: end -->"


def table(heads, cells):
    out = ["| %s |" % " | ".join(heads), "| --- |" + " ---: |" * (len(heads) - 1)]
    return out + ["| %s |" % " | ".join(str(cell) for cell in line) for line in cells]


def row_table(rows):
    return table(html_page.ROW_HEADS, [[*cells[:-1], "**short**" if cells[-1] == "short" else cells[-1]] for cells in map(html_page.row_cells, rows)])


def markdown(report):
    out = ["On %s: %s, %d cores, Linux %s.%s Medians of pairs that alternate; server or micro-benchmark on core 0 (two threads: on 0 and 1), load on core 1."
           % (report["date"], report["processor"], report["cores"], report["kernel"], " A quick run: no figures to quote." if report["quick"] else "")]
    if report["rows"]:
        out += ["", *row_table(report["rows"])]
    if report["tool_rows"]:
        out += ["", "What measures, measured:", "", *row_table(report["tool_rows"])]
    for heading, _, tables in html_page.curve_parts(report):
        for heads, cells in tables:
            out += ["", heading + ":", "", *table(heads, cells)]
    if report["micro"] and report["micro"]["parts"]:
        out += ["", "Parts:", "", *table(["micro-benchmark", "a second"], [["`%s`" % name, html_page.count(rate)]
                                                                         for name, rate in report["micro"]["parts"].items()])]
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
