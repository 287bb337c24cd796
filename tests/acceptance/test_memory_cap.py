"""Memory for people is bounded: a scan of the whole estate crowds people out, and forgets nothing about them."""
import os

from watchword import Clock, Phone

MANY = 400_000 if os.environ.get("WATCHWORD_FULL") == "1" else 90_000
CONFIG = """
[data]
memtable_bytes_max = 16777216
block_cache_bytes = 8388608
unfolded_cells_max = 5000
[engine]
resident_bytes_max = 16777216
[policy]
audit_verifications = "none"
[policy.lockout]
failures = 3
delay_s_min = 1800
"""
MIB = 1 << 20


def scan(server, names):
    """One wrong code for everybody, in batches over one connection. Whoever is crowded out between load and look is asked again."""
    with server.connect(timeout_s=60) as connection:
        for _ in range(20):
            again = []
            for one in connection.batch([{"user": name, "code": "1234567"} for name in names]):
                assert one["result"] in ("rejected", "locked", "unavailable"), one
                if one["result"] == "unavailable":
                    again.append(one["user"])
            if not again:
                return
            names = again
        raise AssertionError(f"{len(names)} people stay out of reach")


def test_a_scan_of_all_people_keeps_memory_flat_and_forgets_nothing(make_server, tmp_path):
    clock = Clock(tmp_path, at=1_800_000_015)
    clock.freeze(1_800_000_015)
    server = make_server(config=CONFIG, clock=clock)
    # Long names, seven digits and SHA-512 make a person some 500 bytes: no cap would mean 45 MiB.
    crowd = [Phone.made(f"{i:06}." + "x" * 200, digits=7, algorithm="SHA512") for i in range(MANY)]
    few = [Phone.made(f"few{i}", digits=7) for i in range(30)]
    server.import_phones(crowd + few)
    server.start()
    names = [phone.user for phone in crowd]

    accepted, locked, charged = few[:10], few[10:20], few[20:]
    for phone in accepted:
        assert server.result(phone.user, phone.code(clock.now())) == "accepted"
    for phone in locked:
        for salt in range(3):
            assert server.result(phone.user, phone.wrong_code(clock.now(), salt)) == "rejected"
    for phone in charged:
        assert server.result(phone.user, phone.wrong_code(clock.now()), request_id="asked once") == "rejected"

    scan(server, names)
    before = server.resident_bytes()
    scan(server, names)
    grown = server.resident_bytes() - before  # of the store's own caches a little, of people nothing
    assert grown < 16 * MIB, f"memory grew by {grown / MIB:.1f} MiB"

    for phone in accepted:
        assert server.result(phone.user, phone.code(clock.now())) == "replayed"
    for phone in locked:
        assert server.result(phone.user, phone.code(clock.now())) == "locked"
    for phone in charged:
        answer = server.verify(phone.user, phone.wrong_code(clock.now()), request_id="asked once")
        assert answer["result"] == "rejected" and answer["repeated"] is True
        assert server.user(phone.user)["failures"] == 1
    # And across a crash, with most of them out of memory.
    server.restart(hard=True)
    for phone in accepted:
        assert server.result(phone.user, phone.code(clock.now())) == "replayed"
    for phone in locked:
        assert server.result(phone.user, phone.code(clock.now())) == "locked"
