"""Where the master key comes from: a file, a systemd credential, a command."""
import os
import pathlib
import secrets
import subprocess
import tempfile

import pytest

import watchword


def key_file(path):
    path.write_text(secrets.token_hex(32) + "\n")
    os.chmod(path, 0o600)
    return path


def init(tmp_path, command=None, environment=None):
    flags = []
    if command is not None:
        config = tmp_path / "w.toml"
        config.write_text(f"[data]\nmaster_key_command = {command}\n")
        flags = ["--config", config]
    return watchword.run("init", "--data-dir", tmp_path / "data", *flags, environment=environment)


def test_a_command_says_the_key_and_no_file_holds_it(tmp_path):
    key = key_file(tmp_path / "kept")
    done = init(tmp_path, f'["cat", "{key}"]')
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "data" / "master.key").exists()
    text = key.read_text().strip()
    assert not watchword.contains(tmp_path / "data", [text.encode(), bytes.fromhex(text)])
    shown = watchword.run("keys", "show", "--data-dir", tmp_path / "data", "--config", tmp_path / "w.toml")
    assert shown.returncode == 0, shown.stderr
    key_file(key)
    shown = watchword.run("keys", "show", "--data-dir", tmp_path / "data", "--config", tmp_path / "w.toml")
    assert shown.returncode == 1 and "does not open the data" in shown.stderr


@pytest.mark.parametrize("command,said", [
    ('["false"]', "exit code 1"),
    ('["cat", "/nowhere"]', "exit code 1"),
    ('["/nowhere/at/all"]', "cannot be started"),
    ('["true"]', "64 hexadecimal digits"),
    ('["echo", "not a key"]', "64 hexadecimal digits"),
    ('["echo", "$(cat /etc/hostname)"]', "64 hexadecimal digits"),
    ('["yes", "0123456789abcdef0123456789abcdef"]', "more than a key"),
    ('["sh", "-c", "kill -9 $$"]', "signal 9"),
])
def test_a_command_that_says_no_key_is_told_by_name(tmp_path, command, said):
    done = init(tmp_path, command)
    assert done.returncode == 1 and said in done.stderr and "command for the master key" in done.stderr, done.stderr


@pytest.mark.parametrize("setting", [
    'master_key_command = "cat key"', 'master_key_command = [""]', 'master_key_command = [1]',
    'master_key_file = "a"\nmaster_key_command = ["b"]', "reseal_rows_per_s_max = -1",
])
def test_wrong_settings_are_refused_with_their_line(tmp_path, setting):
    config = tmp_path / "w.toml"
    config.write_text(f"[data]\n{setting}\n")
    done = watchword.run("init", "--data-dir", tmp_path / "data", "--config", config)
    assert done.returncode == 1 and "w.toml:" in done.stderr, done.stderr


def test_the_credential_that_systemd_lays_out_is_taken(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key = key_file(credentials / "master.key")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert init(tmp_path, environment=environment).returncode == 0
    assert not (tmp_path / "data" / "master.key").exists()
    show = lambda **more: watchword.run("keys", "show", "--data-dir", tmp_path / "data", **more)
    assert show(environment=environment).returncode == 0
    # Without it: the file in the data directory, which is not there.
    assert show().returncode == 1
    os.chmod(key, 0o400)
    assert show(environment=environment).returncode == 0
    os.chmod(key, 0o444)
    done = show(environment=environment)
    assert done.returncode == 1 and "can be read by others" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_credentials_that_cannot_be_looked_at_are_not_replaced_by_another_key(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    key_file(credentials / "master.key")
    with tempfile.TemporaryDirectory() as place:  # where somebody else may go
        os.chmod(place, 0o777)
        command = [watchword.BINARY, "init", "--data-dir", f"{place}/data"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, user=65534, cwd="/", env={"CREDENTIALS_DIRECTORY": str(credentials)})
        except PermissionError:
            pytest.skip("nobody may not run the binary where it is")
        assert done.returncode == 1 and "the credential" in done.stderr and "Permission denied" in done.stderr, done
        assert not (pathlib.Path(place) / "data" / "master.key").exists()


def test_a_command_of_the_server_is_not_left_running(tmp_path):
    key = key_file(tmp_path / "kept")
    config = f'[data]\nmaster_key_command = ["sh", "-c", "cat {key}; exec sleep 0"]\n'
    server = watchword.Server(tmp_path / "server", config=config).start()
    try:
        children = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        assert not children
        server.assert_healthy()
    finally:
        server.end()
