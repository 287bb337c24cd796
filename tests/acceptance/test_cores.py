"""How the server shares the cores that it is given: one loop for each, and what can wait gives way."""
import os
import pathlib

import watchword


def threads(server):
    """(name, niceness) of each thread."""
    told = []
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        _, name, rest = (task / "stat").read_text().replace(")", "(", 1).split("(", 2)
        told.append((name, int(rest.split()[16])))
    return told


def test_one_loop_for_each_core_that_the_process_may_run_on(tmp_path):
    cores = os.sched_getaffinity(0)
    for count in {1, len(cores)}:
        os.sched_setaffinity(0, sorted(cores)[:count])
        try:
            server = watchword.Server(tmp_path / str(count)).start()
        finally:
            os.sched_setaffinity(0, cores)
        try:
            assert [name for name, _ in threads(server)].count("loop") == count
        finally:
            server.end()


def test_what_can_wait_gives_way(tmp_path):
    server = watchword.Server(tmp_path / "server", config=f'[backup]\ndir = "{tmp_path}/backups"\n').start()
    try:
        server.register("ada")
        server.expect(201, "POST", "/v1/backups")  # has something flushed
        usual = os.nice(0)
        nice = dict(threads(server))
        assert nice["loop"] == nice["committer"] == nice["reseal"] == usual, "the last of them holds a lock that a change waits for"
        assert nice["rocksdb:high"] == min(usual + 10, 19)
        assert nice["fold"] == usual  # it holds what a commit waits for, and stands back in between
    finally:
        server.end()
