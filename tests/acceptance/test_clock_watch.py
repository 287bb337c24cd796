"""The server's own clock jumps: readiness and the log say so, and nothing is accepted twice."""
import os
import re
import time

import pytest

from watchword import assert_problem, eventually


def readiness(server):
    with server.connect() as connection:
        return connection.request("GET", "/readyz")


def metric(server, series):
    scraped = server.call("GET", "/metrics").body.decode()
    return float(re.search(rf"^{re.escape(series)} (\S+)$", scraped, re.M)[1])


def until(server, condition, what):
    return eventually(lambda: (answer := readiness(server)) and condition(answer) and answer, 10, what, 0.05)


def is_behind(answer):
    return answer.status == 503 and "behind" in answer.json()["detail"]


def test_a_clock_that_goes_as_it_should_is_no_news(timed):
    time.sleep(1.5)
    assert readiness(timed).json() == {"status": "ready"}
    assert "jumped" not in timed.log()


def test_a_jump_forward_is_told_and_leaves_the_server_ready(timed):
    phone = timed.register("ada")
    timed.clock.forward(3600)
    answer = until(timed, lambda answer: "clock_jumped_s" in answer.json(), "the jump")
    assert answer.status == 200 and abs(answer.json()["clock_jumped_s"] - 3600) <= 1
    assert re.search(r'"clock jumped","by_s":3(600|599)', timed.log())
    assert metric(timed, 'watchword_clock_jumps_total{direction="forward"}') == 1
    assert metric(timed, "watchword_ready") == 1 and metric(timed, "watchword_clock_behind_seconds") == 0
    assert timed.result("ada", phone.code(timed.now())) == "accepted"


def test_a_jump_back_makes_the_server_unfit_until_the_clock_has_caught_up(timed):
    phone = timed.register("ada")
    timed.clock.forward(120)
    assert timed.result("ada", phone.code(timed.now())) == "accepted"
    last = timed.now()
    timed.clock.forward(-600)
    answer = until(timed, is_behind, "not ready")
    assert_problem(answer, 503)
    assert "CLOCK" in answer.json()["detail"]
    assert metric(timed, 'watchword_clock_jumps_total{direction="back"}') == 1
    assert metric(timed, "watchword_ready") == 0 and metric(timed, "watchword_clock_behind_seconds") > 400
    # Alive, and safe: what was accepted is not accepted again, by whichever clock.
    with timed.connect() as connection:
        assert connection.request("GET", "/healthz").status == 200
    for at in (timed.now(), timed.now() + 30, last, last - 30):
        assert timed.result("ada", phone.code(at)) in ("replayed", "rejected")
    timed.clock.set(last + 60)
    until(timed, lambda answer: answer.status == 200, "ready again")
    assert timed.result("ada", phone.code(timed.now())) == "accepted"
    assert "no longer behind" in timed.log()


def test_a_step_back_of_some_seconds_is_what_time_services_do(timed):
    timed.clock.forward(-20)
    eventually(lambda: '"clock jumped"' in timed.log(), 10, "the log")
    assert readiness(timed).status == 200


@pytest.mark.parametrize("hard", [False, True], ids=["stopped", "killed"])
def test_a_start_with_an_earlier_clock_is_noticed(timed, hard):
    phone = timed.register("ada")
    timed.clock.forward(7200)
    until(timed, lambda answer: "clock_jumped_s" in answer.json(), "the jump")
    assert timed.result("ada", phone.code(timed.now())) == "accepted"
    code = phone.code(timed.now())
    (timed.kill9 if hard else timed.stop)()
    timed.clock.forward(-3600)
    timed.start(ready=False)
    until(timed, is_behind, "not ready")
    assert timed.result("ada", code) != "accepted"
    assert "behind what it has been" in timed.log()
    # The clock was wrong then and is right now: whoever knows says so, and no restart is needed.
    os.remove(timed.data_dir / "CLOCK")
    until(timed, lambda answer: answer.status == 200, "ready again")
    assert "taken for right" in timed.log()
    timed.restart()
    assert readiness(timed).status == 200


def test_a_file_that_says_nothing_useful_stops_nobody(timed):
    timed.stop()
    (timed.data_dir / "CLOCK").write_text("rubbish\n")
    timed.start()
    assert readiness(timed).json() == {"status": "ready"}
