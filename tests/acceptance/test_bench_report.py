"""What ./dev bench makes of its figures: verdicts, the page, the summary in its document. Figures are made up."""
import re
import sys

import pytest

from watchword import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "bench"))
import html_page  # noqa: E402
import load_agreement  # noqa: E402
import rows  # noqa: E402
import summary  # noqa: E402


def made_up():
    micro = {"wrong_code/1000000": 3.2e6, "wrong_code_in_batches/1000000": 5e6, "accepted_code/iterations:900000": 2.6e6, "liboath_wrong_code": 1e6}
    for name in ("different_users", "the_same_user"):
        micro.update({f"{name}/real_time/threads:1": 2e6, f"{name}/real_time/threads:2": 3e6})
    pair = {"watchword": 50_000, "nginx": 40_000, "single": 10_000, "node": 5_000, "ratio": 1.25}
    names = ("wrong codes, 64 connections", "durable acceptances, 256 connections", "durable acceptances, 64 connections",
             "durable, batches of 100, to one by one", "wrong codes, to a Node service with otplib")
    tool = {"rate": 40_000, "own_us": 8, "p50": 1000, "p90": 1500, "p99": 2000}
    times = {"rate": 40_000, "p50_us": 1000, "p99_us": 2000}
    users = [dict(times, users=users, durable_rate=rate, durable_p99_us=3000, ready_s=0.1, import_rows_a_second=1e5, resident_bytes=1e8, bytes_at_start=5e7,
                  bytes_a_user=190, disk_bytes=1e8) for users, rate in ((10_000, None), (10_000_000, 20_000))]
    growth = {"users": [{"users": 10_000, "rate": 4e6}, {"users": 10_000_000, "rate": 2e6}],
              "devices": [{"devices": n, "rate": 4e6 / n} for n in (1, 8)], "window": [{"window_steps": n, "rate": 4e6 / (n + 1)} for n in (0, 10)]}
    report = {"date": "2024-01-01", "processor": "A <processor>", "cores": 2, "kernel": "6.1", "pairs": 5, "quick": False,
              "micro": {"pairs": [micro] * 5, "growth": growth, "parts": {"parse": 1e7}}, "servers": {name: {"pairs": [pair] * 5} for name in names},
              "tools": {"metrics": [{"with": 99, "without": 100, "ratio": 0.99}],
                        "load": [{"target": "watchword", "pairs": [{"wrk": tool, "watchword-load": dict(tool, p99=2300)}]},
                                 {"target": "driven", "pairs": [{"most": 400_000, "own_us": 1}]}]},
              "curves": {"users": users, "connections": [dict(times, connections=n, durable_rate=2e4, durable_p50_us=1, durable_p99_us=9) for n in (1, 4096)],
                         "devices": [dict(times, devices=n) for n in (1, 8)], "window": [dict(times, window_steps=n) for n in (0, 10)],
                         "at_half": [{"rate": 20_000, "p99_ms": 2.0, "p99_9_ms": 3.0, "constant_p99_ms": 1.0, "folds": 2, "fdatasync_p99_ms": 0.5}] * 5}}
    report["rows"] = rows.micro_rows(report["micro"]) + rows.server_rows(report["servers"]) + rows.half_rows(report["curves"])
    report["tool_rows"] = rows.tool_rows(report["tools"])
    return report


def test_every_row_of_the_table_has_a_ratio_a_limit_and_a_verdict():
    report = made_up()
    assert [(row["ratio"], row["limit"], row["verdict"]) for row in report["rows"]] == [
        (3.2, "≥ 3", "reached"), (5, "≥ 6", "short"), (2.6, "≥ 2.5", "reached"), (1.5, "≥ 1.9", "short"),
        (1.5, "≥ 0.5", "reached"), (1.25, "≥ 1", "reached"), (1.25, "≥ 0.8", "reached"), (1.25, "≥ 0.6", "reached"),
        (5, "≥ 5", "reached"), (10, "", ""), (4, "≤ 5", "reached"), (2, "", ""), (6, "", "")]
    assert {row["what"]: row["verdict"] for row in report["tool_rows"]} == {
        "verifications with /metrics": "reached", "watchword-load on one core (by its own time), pipelined": "reached",
        "the same, one request at a time": "", "p50 of Watchword by watchword-load": "reached",
        "p90 of Watchword by watchword-load": "reached", "p99 of Watchword by watchword-load": "short"}


def test_the_median_of_pairs_counts():
    row = rows.row("this", "that", [(1, 1), (9, 1), (2, 1)], 2)
    assert row["ratio"] == 2 and row["verdict"] == "reached" and (row["ratio_least"], row["ratio_most"]) == (1, 9)


def test_the_page_stands_alone():
    text = html_page.page(made_up())
    assert text.count("<svg") == 2 + 9 and "A &lt;processor&gt;" in text and "NaN" not in text
    assert "<script" not in text and not re.search(r"(src|href)=|url\(|@import", text)


@pytest.mark.parametrize("left_out", ["micro", "servers", "tools", "curves"])
def test_a_part_that_was_not_measured_is_left_out(left_out):
    report = made_up()
    report[left_out] = None
    report["rows"] = rows.micro_rows(report["micro"]) + rows.server_rows(report["servers"] or {}) + rows.half_rows(report["curves"])
    report["tool_rows"] = rows.tool_rows(report["tools"])
    assert "</html>" in html_page.page(report) and summary.markdown(report)


def test_the_summary_takes_its_own_place_in_the_document(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n")
    text = summary.markdown(made_up())
    summary.write_into(document, text)
    summary.write_into(document, text)
    written = document.read_text()
    assert written == f"before\n{summary.BEGIN}\n\n{text}\n{summary.END}\nafter\n"
    assert "| the same in batches | 5,000,000/s | oath_totp_validate | 1,000,000/s | 5.00 | 5.00–5.00 (5) | ≥ 6 | **short** |" in written
    document.write_text("no place")
    with pytest.raises(SystemExit):
        summary.write_into(document, text)


def test_samples_that_wrk_added_are_taken_out_again():
    # As wrk adds them: for each at n from 2e on one at n - e, n - 2e, ... above e.
    measured, between = {90: 5, 110: 7, 250: 3, 430: 2}, 100
    told = dict(measured)
    for value, count in sorted(measured.items()):
        if value >= 2 * between:
            for added in range(value - between, between, -between):
                told[added] = told.get(added, 0) + count
    found = load_agreement.measured_values(told, requests=100, duration_us=1000, connections=10)
    assert {value: count for value, count in found.items() if count} == measured
    assert load_agreement.percentile(measured, 0.5) == 110 and load_agreement.percentile(measured, 0.99) == 430
