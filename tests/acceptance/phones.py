"""A phone with an authenticator app, and the time that it and a server go by."""
import base64
import hashlib
import hmac
import os
import pathlib
import struct
import subprocess
import time

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def hotp(secret, counter, digits=6, algorithm="SHA1"):
    digest = hmac.digest(secret, struct.pack(">Q", counter), algorithm.lower())
    offset = digest[-1] & 15
    value = struct.unpack_from(">I", digest, offset)[0] & 0x7FFFFFFF
    return str(value % 10**digits).zfill(digits)


def base32(secret):
    return base64.b32encode(secret).decode().rstrip("=")


def unbase32(text):
    return base64.b32decode(text + "=" * (-len(text) % 8))


def oathtool(secret_base32, at=None, digits=6, period=30, algorithm="SHA1"):
    """The code that a real authenticator shows at `at`; the secret goes by stdin."""
    command = ["oathtool", f"--totp={algorithm}", "-b", "-d", str(digits), "-s", f"{period}s"]
    if at is not None:
        command += ["--now", f"@{int(at)}"]
    done = subprocess.run([*command, "-"], input=secret_base32, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Phone:
    """An authenticator app holding one secret."""

    def __init__(self, secret, digits=6, period=30, algorithm="SHA1", user=None, device=None):
        self.secret = secret
        self.digits = digits
        self.period = period
        self.algorithm = algorithm
        self.user = user
        self.device = device  # id, once registered

    def step(self, at):
        return int(at // self.period)

    def code_of(self, step):
        return hotp(self.secret, step, self.digits, self.algorithm)

    def code(self, at):
        return self.code_of(self.step(at))

    def wrong_code(self, at, salt=0):
        """A code that no step within an hour has."""
        taken = {self.code_of(self.step(at) + k) for k in range(-130, 131)}
        value = salt
        while str(value).zfill(self.digits) in taken:
            value += 7919
        return str(value).zfill(self.digits)

    @staticmethod
    def made(user, seed=None, **parameters):
        """A phone whose secret is known beforehand, for import."""
        return Phone(hashlib.sha1(f"{seed or ''}/{user}".encode()).digest(), user=user, **parameters)


class Clock:
    """The server's wall clock, moved by libfaketime; it goes on at its usual pace. The monotonic clock is left alone."""

    def __init__(self, directory, at=None):
        self.file = pathlib.Path(directory) / "clock"
        self.offset = 0.0
        self.frozen = None
        self.set(at if at is not None else time.time())

    def _write(self, text):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text + "\n")
        os.replace(fresh, self.file)

    def set(self, at):
        self.frozen = None
        self.offset = at - time.time()
        self._write(f"{self.offset:+.6f}")

    def freeze(self, at):
        """Stands still at a whole second."""
        self.frozen = int(at)
        self._write(str(self.frozen))

    def now(self):
        return self.frozen if self.frozen is not None else time.time() + self.offset

    def forward(self, seconds):
        if self.frozen is not None:
            self.freeze(self.frozen + seconds)
        else:
            self.set(self.now() + seconds)

    def mid_step(self, period=30):
        """To the middle of a step, so that nothing happens at its edge."""
        self.set(self.now() // period * period + period / 2)

    def environment(self):
        return {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_FMT": "%s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
            "TZ": "UTC",
        }


def eventually(condition, deadline_s=20, what="the condition", every_s=0.02):
    """Polls until the condition gives something true, and returns that."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come within {deadline_s} s"
        time.sleep(every_s)


def steady(period=30, room_s=6):
    """Waits, if need be, until the real clock is at least `room_s` from the end of a step; returns the step."""
    eventually(lambda: period - time.time() % period > room_s, deadline_s=room_s + 5, what="a new step")
    return int(time.time() // period)
