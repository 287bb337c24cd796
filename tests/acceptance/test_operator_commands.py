"""The commands of operators under bad conditions: wrong usage ends with 2, a failure with 1, both say on stderr what to do next, and nothing
is left half made."""
import dataclasses
import os
import pathlib
import shutil
import subprocess

import pytest

from watchword import BINARY, run

COMMANDS = {
    "doctor": ["doctor"],
    "audit verify": ["audit", "verify"],
    "audit head": ["audit", "head"],
    "audit export": ["audit", "export"],
    "keys rotate": ["keys", "rotate"],
    "keys show": ["keys", "show"],
    "backup": ["backup", "BACKUPS"],
    "restore": ["restore", "BACKUPS"],
}
OPENING = [name for name in COMMANDS if name not in ("doctor", "restore")]


@dataclasses.dataclass
class Estate:
    """A stopped store and one backup of it."""
    data_dir: pathlib.Path
    backups: pathlib.Path


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    assert run("init", "--data-dir", folder / "data").returncode == 0
    assert run("backup", folder / "backups", "--data-dir", folder / "data").returncode == 0
    return folder


@pytest.fixture
def estate(made_once, tmp_path):
    shutil.copytree(made_once, tmp_path / "estate")
    return Estate(tmp_path / "estate" / "data", tmp_path / "estate" / "backups")


def ask(name, estate, data_dir, *more, as_user=None):
    arguments = [str(estate.backups) if word == "BACKUPS" else word for word in COMMANDS[name]]
    return subprocess.run([BINARY, *arguments, *map(str, more), "--data-dir", str(data_dir)], capture_output=True, text=True,
                          timeout=60, user=as_user, cwd="/")


def assert_failed(done, *words):
    assert done.returncode == 1, done
    told = done.stderr + (done.stdout if "check" in done.stderr else "")  # doctor's findings are its answer
    assert told.strip() and all(word in told for word in words), done
    assert "filesystem error" not in told and "terminate" not in told, done


def everything_in(directory):
    return {path.relative_to(directory): path.is_file() and path.read_bytes() for path in directory.rglob("*")}


@pytest.mark.parametrize("arguments, said", [
    (["doctor", "--nonsense"], "nonsense"),
    (["doctor", "somewhere"], "somewhere"),
    (["audit"], "subcommand"),
    (["audit", "mend"], "subcommand"),
    (["audit", "verify", "--head"], "--head"),
    (["audit", "verify", "--url", "http://127.0.0.1:1"], "--url"),
    (["keys"], "subcommand"),
    (["keys", "rotate", "--new-master-key"], "--new-master-key"),
    (["keys", "rotate", "--url", "nonsense"], "http://HOST:PORT"),
    (["keys", "rotate", "--ca-file", "x"], "--url"),
    (["keys", "rotate", "--url", "http://127.0.0.1:1", "--data-dir", "x"], "--url"),
    (["backup"], "name the directory"),
    (["backup", "somewhere", "--url", "http://127.0.0.1:1"], "--url"),
    (["backup", "--url", "ftp://127.0.0.1"], "http://HOST:PORT"),
    (["restore"], "DIR"),
    (["restore", "somewhere", "--backup", "0"], "4294967295"),
    (["restore", "somewhere", "--backup", "newest"], "newest"),
])
def test_wrong_usage_exits_2_and_touches_nothing(tmp_path, arguments, said):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and said in done.stderr, done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("what", ["missing", "a file"])
def test_a_data_directory_that_is_none(estate, tmp_path, name, what):
    target = tmp_path / "target"
    if what == "a file":
        target.write_text("")
    if name == "restore" and what == "missing":
        assert_failed(ask(name, estate, target), "master key", "run this again")
    else:
        assert_failed(ask(name, estate, target), str(target))
    assert target.exists() == (what == "a file")


def test_a_data_directory_in_use(estate, server):
    for name in COMMANDS:
        done = ask(name, estate, server.data_dir)
        if name == "doctor":
            assert str(server.process.pid) in done.stdout, done
        else:
            assert_failed(done, "not empty" if name == "restore" else f"in use by process {server.process.pid}")
    server.assert_healthy()


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_data_directory_of_somebody_else(estate, name):
    try:
        subprocess.run([BINARY, "--version"], capture_output=True, user=65534, cwd="/", check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("nobody may not run the binary where it is")
    before = everything_in(estate.data_dir)
    done = ask(name, estate, estate.data_dir, as_user=65534)
    assert_failed(done, *([] if name in ("doctor", "restore") else ["may not look into", "run this as the one it belongs to"]))
    assert everything_in(estate.data_dir) == before


@pytest.mark.parametrize("name", OPENING + ["doctor"])
@pytest.mark.parametrize("files, said", [
    ("FORMAT", "format"), ("master.key", "64 hexadecimal digits"), ("db/*.sst", "does not open"), ("db/MANIFEST-*", "does not open"),
    ("db/CURRENT", "does not open"),
])
def test_a_data_directory_with_a_truncated_file(estate, name, files, said):
    for file in estate.data_dir.glob(files):
        os.truncate(file, 100 if file.suffix == ".sst" else 0)
    assert_failed(ask(name, estate, estate.data_dir), said)


def test_a_damaged_store_says_how_to_restore(estate):
    for file in estate.data_dir.glob("db/*.sst"):
        os.truncate(file, 100)
    assert_failed(ask("audit verify", estate, estate.data_dir), "Corruption", "watchword restore")


def test_a_backup_goes_into_a_directory_of_its_own_alone(estate, tmp_path):
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    (other / "letters").write_text("dear")
    done = run("backup", other, "--data-dir", estate.data_dir)
    assert done.returncode == 1 and "letters" in done.stderr and "backups alone" in done.stderr, done
    assert other.stat().st_mode & 0o777 == 0o755 and [file.name for file in other.iterdir()] == ["letters"]
    done = run("backup", other / "letters", "--data-dir", estate.data_dir)
    assert done.returncode == 1 and "cannot use the backup directory" in done.stderr, done
    (other / "lost+found").mkdir()
    (other / "letters").unlink()
    assert run("backup", other, "--data-dir", estate.data_dir).returncode == 0, "a disk of its own has that"
    assert other.stat().st_mode & 0o777 == 0o700


def test_a_truncated_backup_is_not_restored(estate, tmp_path):
    target = tmp_path / "again"
    target.mkdir(mode=0o700)
    shutil.copy2(estate.data_dir / "master.key", target)
    for files, size in (("meta/*", 10), ("shared_checksum/*.sst", 50)):
        damaged = tmp_path / "damaged"
        shutil.copytree(estate.backups, damaged)
        for file in damaged.glob(files):
            os.truncate(file, size)
        done = run("restore", damaged, "--data-dir", target)
        assert done.returncode == 1 and ("holds no backup" in done.stderr or "damaged" in done.stderr), done
        assert sorted(file.name for file in target.iterdir()) == ["master.key"]
        shutil.rmtree(damaged)
    assert run("restore", estate.backups, "--data-dir", target).returncode == 0
    assert run("audit", "verify", "--data-dir", target).returncode == 0


@pytest.mark.parametrize("text", ["", "nonsense\n", "cut"])
def test_a_head_that_is_none(estate, tmp_path, text):
    head = tmp_path / "head"
    head.write_text(text if text != "cut" else run("audit", "head", "--data-dir", estate.data_dir).stdout[:20])
    assert_failed(ask("audit verify", estate, estate.data_dir, "--head", head), "head")
    assert_failed(ask("audit verify", estate, estate.data_dir, "--head", tmp_path / "missing"), "missing")
    assert_failed(ask("audit verify", estate, estate.data_dir, "--head", tmp_path), "directory")


def test_a_new_master_key_that_is_none(estate, tmp_path):
    short = tmp_path / "short"
    short.write_text("00\n")
    for mode, words in ((0o644, "chmod 600"), (0o600, "64 hexadecimal digits")):
        short.chmod(mode)
        assert_failed(ask("keys rotate", estate, estate.data_dir, "--new-master-key", short), words)
    assert_failed(ask("keys rotate", estate, estate.data_dir, "--new-master-key", tmp_path / "missing"), "openssl rand")
    assert_failed(ask("keys rotate", estate, estate.data_dir, "--new-master-key", tmp_path), "no regular file")
    assert run("keys", "show", "--data-dir", estate.data_dir).returncode == 0


def test_a_server_that_is_not_there(tmp_path):
    key = {"WATCHWORD_API_KEY": "ww_x"}
    for command in (["backup"], ["keys", "rotate"], ["keys", "show"]):
        done = run(*command, "--url", "http://127.0.0.1:1", environment=key)
        assert done.returncode == 1 and "Connection refused" in done.stderr and "see whether the server runs" in done.stderr, done
    done = run("backup", "--url", "https://127.0.0.1:1", "--ca-file", tmp_path / "ca.pem", environment=key)
    assert done.returncode == 1 and "ca.pem: No such file" in done.stderr, done


@pytest.fixture
def full_disk(tmp_path):
    """A small file system of the test's own."""
    where = tmp_path / "disk"
    where.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=0700", "tmpfs", str(where)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {made.stderr.strip()}")
    yield where
    subprocess.run(["umount", str(where)], check=True)


def fill(file):
    """Takes all the room that is left."""
    with open(file, "wb", buffering=0) as out:
        try:
            while out.write(bytes(1 << 20)):
                pass
        except OSError:
            pass


def test_a_full_disk_is_told_and_harms_nothing(full_disk, made_once):
    shutil.copytree(made_once / "data", full_disk / "data")
    full = Estate(full_disk / "data", full_disk / "backups")
    head = ask("audit head", full, full.data_dir).stdout
    filler = full_disk / "filler"
    fill(filler)
    for name in ("keys rotate", "backup"):
        done = ask(name, full, full.data_dir)
        assert done.returncode == 1 and ("No space left on device" in done.stderr or "takes no writes" in done.stderr), done
    assert_failed(ask("doctor", full, full.data_dir), "check")
    filler.unlink()
    assert ask("audit head", full, full.data_dir).stdout == head
    for name in ("audit verify", "keys rotate", "backup"):
        done = ask(name, full, full.data_dir)
        assert done.returncode == 0, done
    # There is room for the backup, but not for what comes of it.
    target = full_disk / "again"
    target.mkdir(mode=0o700)
    shutil.copy2(full.data_dir / "master.key", target)
    fill(filler)
    assert_failed(ask("restore", full, target), "No space left on device")
    assert not (target / "FORMAT").exists(), "no store that somebody could serve"
    filler.unlink()
    assert ask("restore", full, target).returncode == 0
