"""Registration, end to end: a QR code that a scanner reads, a secret that an authenticator takes, devices to manage."""
import base64
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree

import pytest

from watchword import (
    Phone,
    assert_problem,
    base32,
    eventually,
    have,
    hotp,
    oathtool,
    path_of,
    steady,
    unbase32,
)


def scan(png, directory):
    """What a phone's camera makes of the picture."""
    file = directory / "qr.png"
    file.write_bytes(png)
    done = subprocess.run(["zbarimg", "--raw", "-q", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def parameters(uri):
    parts = urllib.parse.urlsplit(uri)
    return dict(pair.split("=", 1) for pair in parts.query.split("&"))


@pytest.mark.skipif(not have("zbarimg", "oathtool"), reason="needs zbarimg and oathtool")
def test_a_phone_that_scans_the_qr_code_registers_and_signs_in(shared, tmp_path):
    user = "ada@example.org"
    begun = shared.begin(user, "My iPhone X")
    assert begun["name"] == "My iPhone X" and begun["status"] == "pending"
    assert set(begun) >= {"id", "name", "status", "secret", "otpauth_uri", "qr", "expires_at"}
    assert begun["expires_at"].endswith("Z")

    uri = scan(base64.b64decode(begun["qr"]["png"]), tmp_path)
    assert uri == begun["otpauth_uri"]
    secret = parameters(uri)["secret"]
    assert secret == begun["secret"]

    steady()
    now = time.time()
    confirmed = shared.confirm(user, begun["id"], oathtool(secret, now))
    assert confirmed["status"] == "active" and confirmed["id"] == begun["id"]
    assert shared.result(user, oathtool(secret, now)) == "replayed", "the code that confirmed is used up"
    signed_in = shared.verify(user, oathtool(secret, now + 30))
    assert signed_in["result"] == "accepted" and signed_in["user"] == user
    assert signed_in["device"] == {"id": begun["id"], "name": "My iPhone X"}
    assert shared.result(user, oathtool(secret, now + 30)) == "replayed"


@pytest.mark.skipif(not have("zbarimg"), reason="needs zbarimg")
def test_the_picture_is_there_while_pending_and_says_the_same(shared, tmp_path):
    begun = shared.begin("bob", "Pixel")
    picture = shared.call("GET", path_of("bob", "devices", begun["id"], "qr.png"))
    assert picture.status == 200 and picture.headers["content-type"] == "image/png"
    assert "no-store" in picture.headers["cache-control"]
    assert scan(picture.body, tmp_path) == begun["otpauth_uri"]

    steady()
    phone = Phone(unbase32(begun["secret"]))
    shared.confirm("bob", begun["id"], phone.code(time.time()))
    for name in ("qr.png", "qr.svg"):
        gone = shared.call("GET", path_of("bob", "devices", begun["id"], name))
        assert_problem(gone, (404, 409, 410))


def test_the_svg_is_well_formed_and_carries_no_style_and_no_script(shared):
    begun = shared.begin("svg")
    served = shared.call("GET", path_of("svg", "devices", begun["id"], "qr.svg"))
    assert served.status == 200 and served.headers["content-type"].startswith("image/svg+xml")
    assert "no-store" in served.headers["cache-control"]
    for svg in (begun["qr"]["svg"], served.body.decode()):
        root = xml.etree.ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        for element in root.iter():
            local = element.tag.rpartition("}")[2]
            assert local not in ("script", "style", "foreignObject", "image", "a", "use")
            for attribute in element.attrib:
                local = attribute.rpartition("}")[2].lower()
                assert local not in ("style", "href", "class") and not local.startswith("on"), attribute


def test_the_secret_is_in_the_creating_answer_and_in_no_other(shared):
    begun = shared.begin("carol")
    secret = begun["secret"]
    steady()
    phone = Phone(unbase32(secret))
    later = [
        shared.call("GET", path_of("carol", "devices")),
        shared.call("GET", path_of("carol", "devices", begun["id"])),
        shared.call("POST", path_of("carol", "devices", begun["id"], "confirm"), {"code": phone.code(time.time())}),
        shared.call("GET", path_of("carol")),
        shared.call("GET", path_of("carol", "devices", begun["id"])),
        shared.call("PATCH", path_of("carol", "devices", begun["id"]), {"name": "other"}),
        shared.call("GET", "/v1/users"),
        shared.call("POST", "/v1/verify", {"user": "carol", "code": phone.code(time.time() + 30)}),
    ]
    for answer in later:
        assert answer.status == 200, answer
        assert secret.encode() not in answer.body and b"otpauth" not in answer.body and b'"secret"' not in answer.body


@pytest.mark.parametrize("algorithm,size,text", [("SHA1", 20, 32), ("SHA256", 32, 52), ("SHA512", 64, 103)])
@pytest.mark.parametrize("digits,period", [(6, 30), (7, 15), (8, 300)])
def test_a_made_secret_has_the_length_of_its_algorithm_and_its_codes_work(shared, algorithm, size, text, digits, period):
    user = f"{algorithm}-{digits}"
    if period == 15:
        steady(15, 4)
    else:
        steady(period)
    begun = shared.begin(user, algorithm=algorithm, digits=digits, period=period)
    assert len(begun["secret"]) == text and "=" not in begun["secret"]
    assert len(unbase32(begun["secret"])) == size
    asked = parameters(begun["otpauth_uri"])
    assert asked.get("algorithm", "SHA1") == algorithm
    assert asked.get("digits", "6") == str(digits) and asked.get("period", "30") == str(period)
    code = oathtool(begun["secret"], time.time(), digits, period, algorithm)
    assert shared.confirm(user, begun["id"], code)["status"] == "active"
    following = oathtool(begun["secret"], time.time() + period, digits, period, algorithm)
    assert shared.result(user, following) == "accepted"


def test_made_secrets_are_all_different(shared):
    secrets = [shared.begin(f"unique-{i}")["secret"] for i in range(200)]
    assert len(set(secrets)) == len(secrets)


@pytest.mark.parametrize("body,field", [
    ({"name": "x", "digits": 5}, "digits"),
    ({"name": "x", "digits": 9}, "digits"),
    ({"name": "x", "digits": 10}, "digits"),
    ({"name": "x", "digits": "6"}, "digits"),
    ({"name": "x", "digits": 6.5}, "digits"),
    ({"name": "x", "period": 14}, "period"),
    ({"name": "x", "period": 301}, "period"),
    ({"name": "x", "period": -30}, "period"),
    ({"name": "x", "algorithm": "MD5"}, "algorithm"),
    ({"name": "x", "algorithm": "sha1"}, "algorithm"),
    ({"name": "x", "algorithm": ""}, "algorithm"),
    ({"name": "x", "secret": base32(b"x" * 15)}, "secret"),
    ({"name": "x", "secret": base32(b"x" * 257)}, "secret"),
    ({"name": "x", "secret": "ABCDEFGHIJKLMNOP01890189AB"}, "secret"),
    ({"name": "x", "secret": ""}, "secret"),
    ({"name": "x", "secret": 5}, "secret"),
    ({"name": ""}, "name"),
    ({"name": "x" * 65}, "name"),
    ({"name": "tab\there"}, "name"),
    ({"name": None}, "name"),
    ({}, "name"),
    ({"name": "x", "colour": "red"}, "colour"),
])
def test_a_wrong_registration_is_refused_and_says_where(shared, body, field):
    assert_problem(shared.call("POST", path_of("nobody", "devices"), body), range(400, 500), field)
    assert shared.call("GET", path_of("nobody")).status == 404


@pytest.mark.parametrize("size", [16, 20, 64, 65, 128, 129, 256])
def test_a_given_secret_of_any_allowed_length_works(shared, size):
    secret = bytes((7 * i + size) % 256 for i in range(size))
    user = f"given-{size}"
    steady()
    phone = shared.register(user, secret=base32(secret), algorithm="SHA256")
    assert phone.secret == secret
    following = oathtool(base32(secret), time.time() + 30, algorithm="SHA256")
    assert following == hotp(secret, int(time.time() // 30) + 1, algorithm="SHA256")
    assert shared.result(user, following) == "accepted"


@pytest.mark.parametrize("spell", [str.lower, lambda s: " ".join(s[i : i + 4] for i in range(0, len(s), 4)),
                                   lambda s: "-".join(s[i : i + 4] for i in range(0, len(s), 4)),
                                   lambda s: s + "=" * (-len(s) % 8)])
def test_a_given_secret_may_be_spelled_as_people_spell_it(shared, spell):
    secret = bytes(range(17))
    begun = shared.begin(f"spelled-{spell(base32(secret))}", secret=spell(base32(secret)))
    assert unbase32(begun["secret"]) == secret


@pytest.mark.parametrize("user", [
    "ada", "Zoë Müller", "名前", "emoji 🔑 user", "a+b&c#d%e", 'quo"te', "slash/inside", "a?b=c&d", "x" * 256, "..", ".",
    "%2F", "domain\\user", " leading and trailing ", "comma,semi;colon:",
])
def test_any_name_of_a_user_goes_through_uri_path_and_picture(shared, tmp_path, user):
    begun = shared.begin(user, "Phone of " + user[:20])
    uri = begun["otpauth_uri"]
    assert uri.startswith("otpauth://totp/") and uri.isascii() and "+" not in uri and " " not in uri
    label, _, query = uri[len("otpauth://totp/") :].partition("?")
    issuer = urllib.parse.unquote(parameters(uri)["issuer"])
    assert issuer == "Watchword" and len(parameters(uri)) == query.count("&") + 1
    prefix, _, account = urllib.parse.unquote(label).partition(":")
    assert prefix == issuer, "issuer in label and in parameter, equal"
    assert ":" not in account, "neither issuer nor account may contain a colon"
    if ":" not in user:
        assert account.lstrip(" ") == user.lstrip(" ")
    if have("zbarimg"):
        picture = shared.call("GET", path_of(user, "devices", begun["id"], "qr.png"))
        assert scan(picture.body, tmp_path) == uri
    assert [one["id"] for one in shared.expect(200, "GET", path_of(user, "devices"))["devices"]] == [begun["id"]]


def test_the_issuer_is_the_policys_and_may_be_anything_without_a_colon(server):
    for issuer in ("ACME Co", "Köln & Söhne #1", 'Q"uote', "100%", "🔑 Keys"):
        server.set_policy(issuer=issuer)
        uri = server.begin("ada", f"for {issuer}")["otpauth_uri"]
        assert "+" not in uri and " " not in uri and uri.isascii()
        assert urllib.parse.unquote(parameters(uri)["issuer"]) == issuer
        assert urllib.parse.unquote(urllib.parse.urlsplit(uri).path[1:]).split(":")[0] == issuer
    policy = server.expect(200, "GET", "/v1/policy")
    assert_problem(server.call("PUT", "/v1/policy", {**policy, "issuer": "Big: Corp"}), range(400, 500), "issuer")


def test_names_of_a_users_devices_are_unique(shared):
    first = shared.begin("dora", "Phone")
    assert_problem(shared.call("POST", path_of("dora", "devices"), {"name": "Phone"}), 409, "name")
    second = shared.begin("dora", "phone")
    taken = shared.call("PATCH", path_of("dora", "devices", second["id"]), {"name": "Phone"})
    assert_problem(taken, 409, "name")
    assert shared.call("DELETE", path_of("dora", "devices", first["id"])).status == 204
    shared.expect(200, "PATCH", path_of("dora", "devices", second["id"]), {"name": "Phone"})
    shared.begin("erik", "Phone")  # another user's names are their own


def test_a_user_has_at_most_eight_devices(shared):
    steady()
    phones = [shared.register("eight", f"phone {i}") for i in range(8)]
    assert_problem(shared.call("POST", path_of("eight", "devices"), {"name": "ninth"}), 409)
    assert len(shared.expect(200, "GET", path_of("eight", "devices"))["devices"]) == 8
    codes = [phone.code(time.time() + 30) for phone in phones]
    assert [shared.result("eight", code) for code in codes] == ["accepted"] * 8
    assert shared.call("DELETE", path_of("eight", "devices", phones[0].device)).status == 204
    steady()
    shared.register("eight", "ninth")


def test_nine_registrations_at_once_leave_eight_devices(shared):
    begun = [shared.begin("race", f"phone {i}") for i in range(8)]
    more = shared.begin("race", "one more")  # a further pending one replaces the oldest
    listed = {one["id"] for one in shared.expect(200, "GET", path_of("race", "devices"))["devices"]}
    assert len(listed) <= 8 and more["id"] in listed
    assert begun[0]["id"] not in listed


def test_a_pending_registration_expires_and_its_name_is_free_again(timed):
    begun = timed.begin("late")
    phone = Phone(unbase32(begun["secret"]))
    timed.clock.forward(640)
    timed.clock.mid_step()
    answer = timed.call("POST", path_of("late", "devices", begun["id"], "confirm"), {"code": phone.code(timed.now())})
    assert_problem(answer, (404, 410))
    assert_problem(timed.call("GET", path_of("late", "devices", begun["id"], "qr.png")), (404, 410))
    assert timed.expect(200, "GET", path_of("late", "devices"))["devices"] == []
    again = timed.begin("late")
    assert again["secret"] != begun["secret"]


def test_an_abandoned_registration_harms_nothing_that_was_there(timed):
    phone = timed.register("frank", step_back=1)
    for i in range(20):
        timed.begin("frank", f"abandoned {i}")
    assert timed.result("frank", phone.code(timed.now())) == "accepted"
    timed.clock.forward(3600)
    timed.clock.mid_step()
    assert timed.result("frank", phone.code(timed.now())) == "accepted"
    listed = timed.expect(200, "GET", path_of("frank", "devices"))["devices"]
    assert [one["name"] for one in listed] == ["phone"]


def test_wrong_codes_at_confirmation_end_that_registration_and_nothing_else(timed):
    phone = timed.register("gina", step_back=1)
    begun = timed.begin("gina", "second")
    second = Phone(unbase32(begun["secret"]))
    for i in range(10):
        answer = timed.confirm("gina", begun["id"], second.wrong_code(timed.now(), i))
        assert answer["result"] == "rejected" and "clock_offset_s" not in answer
    right = timed.call("POST", path_of("gina", "devices", begun["id"], "confirm"), {"code": second.code(timed.now())})
    assert_problem(right, (404, 410))
    assert timed.result("gina", phone.code(timed.now())) == "accepted", "the device that was there is not locked"


@pytest.mark.parametrize("offset", [-120, -3000, 120, 1800])
def test_a_code_from_a_clock_that_is_off_is_refused_with_words_that_help(timed, offset):
    begun = timed.begin("heidi")
    phone = Phone(unbase32(begun["secret"]))
    answer = timed.confirm("heidi", begun["id"], phone.code(timed.now() + offset))
    assert answer == {"result": "rejected", "clock_offset_s": offset}
    assert timed.confirm("heidi", begun["id"], phone.code(timed.now()))["status"] == "active"


def test_a_device_is_renamed_disabled_enabled_and_deleted(timed):
    phone = timed.register("ivan", "old name", step_back=1)
    here = path_of("ivan", "devices", phone.device)
    assert timed.expect(200, "PATCH", here, {"name": "new name"})["name"] == "new name"
    assert timed.expect(200, "GET", here)["name"] == "new name"

    assert timed.expect(200, "PATCH", here, {"enabled": False})["enabled"] is False
    assert timed.result("ivan", phone.code(timed.now())) == "no_device"
    assert timed.expect(200, "PATCH", here, {"enabled": True})["enabled"] is True
    signed_in = timed.verify("ivan", phone.code(timed.now()))
    assert signed_in["result"] == "accepted" and signed_in["device"]["name"] == "new name"

    assert timed.call("DELETE", here).status == 204
    assert_problem(timed.call("GET", here), 404)
    assert_problem(timed.call("DELETE", here), 404)
    assert timed.result("ivan", phone.code(timed.now() + 30)) == "no_device"


def test_disabling_and_enabling_brings_no_used_code_back(timed):
    phone = timed.register("judy", step_back=1)
    here = path_of("judy", "devices", phone.device)
    code = phone.code(timed.now())
    assert timed.result("judy", code) == "accepted"
    for change in ({"enabled": False}, {"enabled": True}, {"name": "renamed"}):
        timed.expect(200, "PATCH", here, change)
    assert timed.result("judy", code) == "replayed"


def test_deleting_and_registering_the_same_secret_brings_no_used_code_back(timed):
    secret = base32(b"the same secret twice")
    phone = timed.register("kim", secret=secret, step_back=1)
    code = phone.code(timed.now())
    assert timed.result("kim", code) == "accepted"
    assert timed.call("DELETE", path_of("kim", "devices", phone.device)).status == 204
    begun = timed.begin("kim", secret=secret)
    assert timed.confirm("kim", begun["id"], code)["result"] == "rejected"
    assert timed.confirm("kim", begun["id"], phone.code(timed.now() + 30))["status"] == "active"
    assert timed.result("kim", code) == "replayed"


def test_deleting_a_user_deletes_the_devices(timed):
    phone = timed.register("leo", step_back=1)
    assert timed.call("DELETE", path_of("leo")).status == 204
    assert_problem(timed.call("GET", path_of("leo")), 404)
    assert timed.result("leo", phone.code(timed.now())) == "no_device"


def test_changing_the_defaults_changes_no_device_that_is_there(timed):
    phone = timed.register("mia", step_back=1)
    timed.set_policy(period=60, digits=8, algorithm="SHA256")
    assert timed.device(phone)["period"] == 30
    assert timed.result("mia", phone.code(timed.now())) == "accepted"
    begun = timed.begin("mia", "new")
    assert parameters(begun["otpauth_uri"])["period"] == "60"


def test_several_devices_of_a_user_all_work_and_one_can_be_asked_for(timed):
    first = timed.register("nora", "first", step_back=1)
    second = timed.register("nora", "second", step_back=1)
    assert timed.result("nora", first.code(timed.now()), device=second.device) == "rejected"
    assert timed.verify("nora", first.code(timed.now()))["device"]["name"] == "first"
    assert timed.verify("nora", second.code(timed.now()), device=second.device)["device"]["name"] == "second"


def test_users_are_listed_by_prefix_a_page_at_a_time(shared):
    names = sorted(f"list/{i:03}-é" for i in range(25))
    for name in names:
        shared.begin(name)
    shared.begin("lisu")
    seen, cursor = [], None
    for _ in range(30):
        query = {"prefix": "list/", "limit": "7", **({"cursor": cursor} if cursor else {})}
        page = shared.expect(200, "GET", "/v1/users?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote))
        assert len(page["users"]) <= 7
        seen += [one["user"] for one in page["users"]]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    assert seen == sorted(seen, key=str.encode) and sorted(seen) == names
    for query in ("limit=0", "limit=x", "limit=100000", "cursor=!!!", "colour=red", "limit=1&limit=2"):
        assert_problem(shared.call("GET", "/v1/users?" + query), range(400, 500))


def test_what_was_registered_is_there_after_a_restart(server):
    step = steady(room_s=12)
    phone = server.register("oscar", "kept")
    pending = server.begin("oscar", "pending")
    server.restart()
    listed = {one["name"]: one for one in server.expect(200, "GET", path_of("oscar", "devices"))["devices"]}
    assert listed["kept"]["status"] == "active" and listed["pending"]["id"] == pending["id"]
    second = Phone(unbase32(pending["secret"]))
    assert server.confirm("oscar", pending["id"], second.code_of(step))["status"] == "active"
    assert server.result("oscar", phone.code_of(step)) == "replayed"
    assert server.result("oscar", phone.code_of(step + 1)) == "accepted"


def test_a_user_without_a_device_is_told_so_and_the_requirement_follows_policy(timed):
    assert timed.result("nobody at all", "123456") == "no_device"
    assert timed.expect(200, "GET", path_of("nobody at all", "requirement")) == {"requirement": "register"}
    timed.begin("pat")
    assert timed.result("pat", "123456") == "no_device"
    timed.register("quinn")
    assert timed.expect(200, "GET", path_of("quinn", "requirement")) == {"requirement": "verify"}
    timed.set_policy(no_device_action="deny")
    eventually(lambda: timed.expect(200, "GET", path_of("pat", "requirement")) == {"requirement": "deny"})
