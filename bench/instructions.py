#!/usr/bin/python3
"""Instructions that a verification takes in the event loop and in the committer, counted by callgrind: the same from run to run, whatever else the
machine does. The kernel's are not in it.

    bench/instructions.py [--binary build/watchword] [--kind wrong|accepted] [--codes 12800] [--top 25] [--keep FOLDER]

One request in flight on each of 64 connections. Valgrind hides the SHA extensions from the process, so HMAC and SHA-256 are those of
processors without them: compare runs, and take them off. Needs valgrind. Loopback only; everything that it starts ends with it.
"""
import argparse
import glob
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from server_comparison import PERIOD_S, Run, secret_of, totp

CONNECTIONS = 64


class Counted(Run):
    """A server under callgrind, which counts nothing before it is told to."""

    def start(self, command, **more):
        if "serve" in command:
            at = command.index(self.args.binary)
            command = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--instr-atstart=no",
                       "--callgrind-out-file=" + os.path.join(self.args.keep, "counts"), *command[at:]]
        return super().start(command, **more)

    def control(self, *arguments):
        subprocess.run(["callgrind_control", *arguments, str(self.children[0].pid)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def ask(run, sockets, first, count):
    """In rounds of one request a connection; answers that are not what they should be end it."""
    step = int(time.time()) // PERIOD_S
    wanted = b'"accepted"' if run.args.kind == "accepted" else b'"rejected"'
    for at in range(first, first + count, CONNECTIONS):
        for i, connection in enumerate(sockets, at):
            code = totp(secret_of(i), step)
            if run.args.kind == "wrong":
                code = "%06d" % ((int(code) + 500000) % 1000000)
            body = '{"user":"user%d@example.org","code":"%s"}' % (i, code)
            connection.sendall(("POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
                                "Content-Length: %d\r\n\r\n%s" % (run.key, len(body), body)).encode())
        for connection in sockets:
            answer = connection.recv(4096)
            if wanted not in answer:
                sys.exit("an answer without %s: %s" % (wanted.decode(), answer.decode(errors="replace")))


def counts_of(file):
    """Instructions in all, and by function, most first."""
    text = subprocess.run(["callgrind_annotate", "--auto=no", file], capture_output=True, text=True, check=True).stdout
    total, functions = 0, {}
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.*)", line)
        if not found:
            continue
        count, what = int(found[1].replace(",", "")), found[2]
        if what == "PROGRAM TOTALS":
            total = count
            continue
        name = re.sub(r" \[[^\]]*\]$", "", what.split(":", 1)[1])
        functions[name] = functions.get(name, 0) + count
    return total, sorted(functions.items(), key=lambda item: -item[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/watchword")
    parser.add_argument("--kind", choices=("wrong", "accepted"), default="wrong")
    parser.add_argument("--codes", type=int, default=12_800)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--keep", help="where callgrind's files stay")
    parser.add_argument("--directory", default=None)
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    warm = 20 * CONNECTIONS
    args.codes = -(-args.codes // CONNECTIONS) * CONNECTIONS
    args.users = warm + args.codes
    with tempfile.TemporaryDirectory() as folder:
        args.keep = os.path.abspath(args.keep or folder)
        os.makedirs(args.keep, exist_ok=True)
        run = Counted(args)
        try:
            run.start_watchword()
            run.be_patient()
            run.load_everybody()
            sockets = [socket.create_connection(("127.0.0.1", run.port)) for _ in range(CONNECTIONS)]
            ask(run, sockets, 0, warm)
            run.control("-i", "on")
            ask(run, sockets, warm, args.codes)
            run.control("-d")
        finally:
            run.stop()
        dumps = [counts_of(file) for file in glob.glob(os.path.join(args.keep, "counts.1-*"))]
    for thread, mark in (("loop", "EventLoop::"), ("committer", "Committer::drain")):
        total, functions = max((dump for dump in dumps if any(mark in name for name, _ in dump[1])), default=(0, []))
        print("%s: %.0f instructions a code" % (thread, total / args.codes))
        for name, count in functions[:args.top]:
            print("  %7.1f  %s" % (count / args.codes, name[:110]))


if __name__ == "__main__":
    main()
