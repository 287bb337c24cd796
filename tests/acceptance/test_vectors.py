"""Published and independent vectors through the real binary, each at its own moment of the server's clock."""
import csv
import hashlib
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from watchword import VECTORS, Clock, Phone, have, hotp

SECRET_BYTES_MIN = 10  # shorter ones are not registered, whatever the import says


class Row:
    def __init__(self, number, row):
        self.algorithm = row["algorithm"]
        self.secret = bytes.fromhex(row["secret_hex"])
        self.digits = int(row["digits"])
        self.period = int(row["period_s"])
        self.at = int(row["unix_time_s"])
        self.code = row["code"]
        self.user = f"row-{number}"

    def registrable(self):
        return 6 <= self.digits <= 8 and 15 <= self.period <= 300 and SECRET_BYTES_MIN <= len(self.secret) <= 256

    def phone(self):
        return Phone(self.secret, self.digits, self.period, self.algorithm, self.user)


def rows(name):
    with open(VECTORS / name, newline="") as file:
        return [Row(f"{name}-{i}", row) for i, row in enumerate(csv.DictReader(file), 1)]


def verify_each_at_its_time(make_server, tmp_path, wanted):
    """With a window of nothing but the very step, every code must be right at its time."""
    clock = Clock(tmp_path, at=1_800_000_000)
    server = make_server(clock=clock)
    server.import_phones([row.phone() for row in wanted], "--allow-short-secrets")
    server.start()
    server.set_policy(window_steps=0)
    results = {}
    with server.connect(timeout_s=60) as connection:
        for at in sorted({row.at for row in wanted}):
            clock.freeze(at)
            now = [row for row in wanted if row.at == at]
            answers = connection.batch([{"user": row.user, "code": row.code} for row in now])
            results.update({row.user: answer["result"] for row, answer in zip(now, answers)})
    wrong = [(row.user, row.algorithm, row.digits, row.period, row.at, results[row.user])
             for row in wanted if results[row.user] != "accepted"]
    assert not wrong, f"{len(wrong)} of {len(wanted)}, first {wrong[:5]}"
    return server


@pytest.mark.parametrize("name", ["rfc6238.csv", "oathtool.csv"])
def test_every_row_of_the_vectors_is_accepted_at_its_time(make_server, tmp_path, name):
    everything = rows(name)
    wanted = [row for row in everything if row.registrable()]
    assert len(wanted) == len(everything)
    verify_each_at_its_time(make_server, tmp_path, wanted)


def test_codes_of_the_twenty_byte_seed_are_wrong_for_the_longer_ones(make_server, tmp_path):
    """Erratum 2866 of RFC 6238: SHA-256 and SHA-512 have seeds of their own."""
    clock = Clock(tmp_path, at=1_111_111_109)
    server = make_server(clock=clock)
    digits = b"1234567890" * 7
    phones = [Phone(digits[:32], 8, 30, "SHA256", "sha256"), Phone(digits[:64], 8, 30, "SHA512", "sha512")]
    server.import_phones(phones)
    server.start()
    for at, sha256, sha512 in ((59, "32247374", "69342147"), (1111111109, "34756375", "63049338"),
                               (20000000000, "24142410", "69481994")):
        clock.freeze(at)
        for phone, code in zip(phones, (sha256, sha512)):
            assert hotp(digits[:20], at // 30, 8, phone.algorithm) == code
            assert server.result(phone.user, code) == "rejected"


@pytest.mark.skipif(not have("oathtool"), reason="needs oathtool")
def test_two_thousand_random_keys_agree_with_oathtool(make_server, tmp_path):
    chance = random.Random(6238)
    at = 1_800_000_000
    phones = []
    for i in range(2000):
        algorithm = ("SHA1", "SHA256", "SHA512")[i % 3]
        secret = hashlib.shake_256(b"%d" % i).digest(chance.choice([16, 20, 32, 64, 65, 100, 128, 129, 200, 256]))
        phones.append(Phone(secret, chance.choice([6, 7, 8]), chance.choice([15, 30, 45, 60, 299, 300]), algorithm, f"random-{i}"))

    def shown(phone):
        done = subprocess.run(["oathtool", f"--totp={phone.algorithm}", "-d", str(phone.digits), "-s", f"{phone.period}s",
                               "--now", f"@{at}", "-"], input=phone.secret.hex(), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(shown, phones))
    clock = Clock(tmp_path, at=at)
    clock.freeze(at)
    server = make_server(clock=clock)
    server.import_phones(phones)
    server.start()
    server.set_policy(window_steps=0)
    answers = server.batch([{"user": phone.user, "code": code} for phone, code in zip(phones, codes)])
    wrong = [(phone.user, phone.algorithm, len(phone.secret), phone.digits, phone.period, answer)
             for phone, answer in zip(phones, answers) if answer["result"] != "accepted"]
    assert not wrong, f"{len(wrong)}, first {wrong[:5]}"
    again = server.batch([{"user": phone.user, "code": code} for phone, code in zip(phones, codes)])
    assert {one["result"] for one in again} == {"replayed"}


def test_a_leading_zero_belongs_to_the_code(make_server, tmp_path):
    """RFC 6238 appendix B at 1111111109: 07081804."""
    clock = Clock(tmp_path, at=1_111_111_109)
    clock.freeze(1_111_111_109)
    server = make_server(clock=clock)
    server.import_phones([Phone(b"12345678901234567890", 8, 30, "SHA1", "zero")])
    server.start()
    assert server.call("POST", "/v1/verify", {"user": "zero", "code": "7081804"}).status == 422
    assert server.result("zero", "07081804") == "accepted"


def test_codes_agree_when_openssl_is_forced(make_server):
    server = make_server(config='[engine]\nhmac = "openssl"\n').start()
    assert '"hmac":"openssl"' in server.log().replace(" ", "")
    for algorithm in ("SHA1", "SHA256", "SHA512"):
        phone = server.register(f"forced-{algorithm}", step_back=1, algorithm=algorithm)
        assert server.result(phone.user, phone.code(server.now())) == "accepted", algorithm
        assert server.result(phone.user, phone.wrong_code(server.now())) == "rejected", algorithm
