#!/usr/bin/python3
"""`watchword import` beside RocksDB alone taking rows of that size; then how long the server takes to be ready with them, and how much
memory a registration takes once it is resident.

    bench/import_comparison.py [--build build] [--rows 1000000] [--pairs 3] [--json FILE]
"""
import argparse
import http.client
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from server_comparison import base32, free_port, secret_of, totp

ROW_BYTES = 145  # one device with a 20-byte secret, as the store keeps it


def import_once(args, directory, file):
    data = directory / "data"
    shutil.rmtree(data, ignore_errors=True)
    key = subprocess.run([args.watchword, "init", "--data-dir", data], capture_output=True, text=True, check=True).stdout.strip()
    begin = time.monotonic()
    subprocess.run([args.watchword, "import", file, "--format", "csv", "--data-dir", data], check=True, capture_output=True)
    return key, args.rows / (time.monotonic() - begin)


def rocksdb_once(args, directory):
    data = directory / "rocksdb"
    shutil.rmtree(data, ignore_errors=True)
    done = subprocess.run([args.rows_alone, data, str(args.rows), str(ROW_BYTES)], capture_output=True, text=True, check=True)
    shutil.rmtree(data)
    return float(done.stdout)


def resident_bytes(process):
    for line in open(f"/proc/{process.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def serve(args, directory, key):
    """Seconds to readiness, and resident bytes a registration when all have signed in once."""
    port = free_port()
    begin = time.monotonic()
    config = directory / "small_caches.toml"  # what is counted is Watchword's own memory
    config.write_text("[data]\nblock_cache_bytes = 8388608\nmemtable_bytes_max = 16777216\n")
    server = subprocess.Popen([args.watchword, "serve", "--config", config, "--data-dir", directory / "data", "--listen", f"127.0.0.1:{port}"],
                              stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", "/readyz")
                ready = connection.getresponse()
                ready.read()
                if ready.status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.002)
        ready_s = time.monotonic() - begin
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

        def load(first, last):
            for at in range(first, last, 1000):
                # Of a length that none of these devices has: looked up and refused, nothing is charged or written.
                items = [{"user": f"user-{i:07}", "code": "00000000"} for i in range(at, min(at + 1000, last))]
                connection.request("POST", "/v1/verify/batch", json.dumps({"items": items}), headers)
                connection.getresponse().read()

        load(0, args.rows // 10)  # caches and pools are warm after these
        warm = resident_bytes(server)
        load(args.rows // 10, args.rows)
        each = (resident_bytes(server) - warm) / (args.rows - args.rows // 10)
        return ready_s, each
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--rows", default=1_000_000, type=int)
    parser.add_argument("--pairs", default=3, type=int)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    args.watchword = args.build / "watchword"
    args.rows_alone = args.build / "watchword-rocksdb-rows"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="watchword-bench-"))
    try:
        file = directory / "estate.csv"
        with open(file, "w") as out:
            out.write("user,name,secret,algorithm,digits,period\n")
            for i in range(args.rows):
                out.write(f"user-{i:07},phone,{base32(secret_of(i))},,,\n")
        pairs = []
        for _ in range(args.pairs):
            alone = rocksdb_once(args, directory)
            key, imported = import_once(args, directory, file)
            pairs.append((imported, alone))
            print(f"import {imported:9.0f} rows/s   RocksDB alone {alone:9.0f} rows/s   ratio {imported / alone:.2f}", flush=True)
        ready_s, each = serve(args, directory, key)
        result = {"rows": args.rows, "import_ratio_median": statistics.median(a / b for a, b in pairs), "ready_s": ready_s,
                  "resident_bytes_per_registration": each}
        print(f"median ratio {result['import_ratio_median']:.2f}; ready after {ready_s:.3f} s with {args.rows} registrations; "
              f"{each:.0f} bytes resident a registration")
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
