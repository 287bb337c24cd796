"""The audit trail on its way to a SIEM: a file and syslog servers, over rotation, restarts, kill -9 and receivers that come and go."""
import json
import signal
import socket
import threading

from watchword import eventually, path_of


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def sequences(path):
    return [line["sequence"] for line in lines_of(path)]


def trail(server):
    return [entry["sequence"] for entry in reversed(server.expect(200, "GET", "/v1/audit?limit=1000")["entries"])]


def test_a_file_holds_the_trail_over_rotation_restart_and_kill_9(make_server, tmp_path):
    file, old = tmp_path / "trail.jsonl", tmp_path / "trail.1"
    server = make_server(config=f'[audit.stream]\nfile = "{file}"\n').start()
    server.register("ada")
    eventually(lambda: [line["action"] for line in lines_of(file)] == ["device.begin", "device.confirm"], what="two lines")
    assert lines_of(file)[0] == server.expect(200, "GET", "/v1/audit?action=device.begin")["entries"][0]
    file.rename(old)
    server.process.send_signal(signal.SIGHUP)
    server.register("bob")
    eventually(lambda: len(lines_of(file)) == 2, what="the new file")
    server.restart()
    server.register("eve")
    server.kill9()
    server.start()
    server.register("joe")
    eventually(lambda: sequences(file)[-1:] == trail(server)[-1:], what="the rest")
    held = sequences(old) + sequences(file)
    assert sorted(set(held)) == trail(server)[1:], "all but what was there before the stream, at least once"
    assert file.stat().st_mode & 0o007 == 0


def test_a_file_that_cannot_be_written_slows_nothing_and_misses_nothing(make_server, tmp_path):
    directory = tmp_path / "later"
    server = make_server(config=f'[audit.stream]\nfile = "{directory}/trail.jsonl"\n').start()
    for i in range(5):
        server.register(f"user-{i}")
    eventually(lambda: "the audit stream stands still" in server.log(), what="the reason in the log")
    directory.mkdir()
    eventually(lambda: sequences(directory / "trail.jsonl") == trail(server)[1:], what="all lines")


class SyslogServer:
    """Takes octet-counted messages over TCP, from one connection after another."""

    def __init__(self, port=0):
        self.messages = []
        self.listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        self.port = self.listener.getsockname()[1]
        self.connection = None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                self.connection, _ = self.listener.accept()
                stream = self.connection.makefile("rb")
                while True:
                    length = b""
                    while not length.endswith(b" "):
                        byte = stream.read(1)
                        if not byte:
                            raise EOFError
                        length += byte
                    self.messages.append(stream.read(int(length)).decode())
            except (EOFError, ConnectionError):
                continue
            except OSError:
                return

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.connection:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()


def parsed(message):
    head, _, text = message.partition(" - ")
    priority, time, _, app, _, action = head.split(" ")
    assert priority in ("<108>1", "<109>1") and app == "watchword" and time.endswith("Z"), head
    entry = json.loads(text)
    assert entry["action"] == action and entry["at"] == time
    return entry["sequence"]


def test_a_syslog_server_over_tcp_that_comes_and_goes_misses_nothing(make_server):
    first = SyslogServer()
    server = make_server(config=f'[audit.stream]\nsyslog = "tcp://127.0.0.1:{first.port}"\n').start()
    server.register("ada")
    eventually(lambda: len(first.messages) == 2, what="two messages")
    first.end()
    server.register("bob")
    assert server.call("DELETE", path_of("ada")).status == 204
    server.kill9()
    server.start()
    second = SyslogServer(first.port)
    server.register("eve")
    everything = lambda: sorted({parsed(one) for one in first.messages + second.messages})  # noqa: E731
    eventually(lambda: everything() == trail(server)[1:], 30, "all messages")
    second.end()


def test_datagrams_over_udp_and_a_socket(make_server, tmp_path):
    for kind, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(tmp_path / "log"))):
        with socket.socket(kind, socket.SOCK_DGRAM) as receiver:
            receiver.bind(address)
            receiver.settimeout(20)
            name = receiver.getsockname()
            target = f"unix:{name}" if kind == socket.AF_UNIX else f"udp://127.0.0.1:{name[1]}"
            server = make_server(f"server-{kind}", config=f'[audit.stream]\nsyslog = "{target}"\n').start()
            server.register("ada")
            told = [parsed(receiver.recv(65536).decode()) for _ in range(2)]
            assert told == trail(server)[1:]
            server.stop()
