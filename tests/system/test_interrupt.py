# SPDX-License-Identifier: Apache-2.0
"""Signals end what waits for somebody else: a stream, a command, a dead store."""
import os
import pathlib
import pty
import signal
import socket
import subprocess

import pytest

from conftest import s3_environment
from firn_tool import BUILD, Firn, mounts_below, wait_for

pytestmark = pytest.mark.sanitize
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def is_running(pid):
    """A zombie that nobody waits for has ended as well."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def pid_in(path):
    """The number that a command left in a file, once it is there."""
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"), path)
    return int(path.read_text())


def assert_interrupted(process):
    out, err = process.communicate()
    assert process.returncode == 130, (out, err)


@pytest.mark.parametrize("sig", SIGNALS)
def test_silent_stdin(repo, sig):
    """The other end of --stdin neither writes nor closes."""
    p = repo.start("backup", "--stdin", "dump", stdin=subprocess.PIPE)
    p.stdin.write(os.urandom(4_000_000))    # more than a pipe holds
    p.stdin.flush()
    p.send_signal(sig)
    p.wait()
    assert p.returncode == 130, p.stderr.read()
    p.communicate()
    assert repo.generations() == []


@pytest.mark.parametrize("sig", SIGNALS)
def test_stubborn_command(repo, work, sig):
    """A command that ignores SIGTERM, and what it started, are killed."""
    script = work / "script"
    script.write_text("#!/bin/sh\ntrap '' TERM INT\n"
                      "sh -c 'echo $$ > below; while :; do sleep 1000; done' &\n"
                      "echo some; echo $$ > above\nwhile :; do sleep 1000; done\n")
    script.chmod(0o755)
    p = repo.start("backup", "--stdin", "dump", "--stdin-from-command", "--",
                    str(script), cwd=work)
    pids = [pid_in(work / "above"), pid_in(work / "below")]
    p.send_signal(sig)
    assert_interrupted(p)
    wait_for(lambda: not any(map(is_running, pids)), "the command's end")
    assert repo.generations() == []


def test_command_is_asked_first(repo, work):
    """SIGTERM gives a command the time to tidy up."""
    p = repo.start("backup", "--stdin", "dump", "--stdin-from-command", "--", "sh", "-c",
                    "trap 'sleep 0.2; echo gone > tidy; exit' TERM; echo $$ > pid; "
                    "while :; do sleep 0.01; done", cwd=work)
    pid_in(work / "pid")
    p.send_signal(signal.SIGTERM)
    assert_interrupted(p)
    assert (work / "tidy").read_text() == "gone\n"


def test_command_that_goes_on(repo, work):
    """Its output has ended, it has not."""
    p = repo.start("backup", "--stdin", "dump", "--stdin-from-command", "--", "sh", "-c",
                    "exec >/dev/null; echo $$ > pid; exec sleep 1000", cwd=work)
    pid = pid_in(work / "pid")
    p.send_signal(signal.SIGINT)
    assert_interrupted(p)
    assert not is_running(pid)
    assert repo.generations() == []


@pytest.mark.parametrize("command, says", [
    (["sh", "-c", "echo half; exit 3"], ["'sh'", "status 3", "no generation"]),
    (["sh", "-c", "echo half; kill -9 $$"], ["'sh'", "signal 9", "no generation"]),
    (["/nonexistent/dump"], ["'/nonexistent/dump'", "no such file"])])
def test_command_fails(repo, command, says):
    r = repo("backup", "--stdin", "dump", "--stdin-from-command", "--", *command, status=1)
    assert all(text in r.err for text in says), r.err
    assert repo.generations() == []


def on_terminal(firn, *args, cwd):
    """Start firn on a terminal of its own: pid and the other side."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(BUILD / "firn", ["firn", *args], firn.env)
    return pid, master


def status_of(pid, master):
    """Exit status; what is printed meanwhile is read, or it would wait."""
    text = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:         # the last one has closed it
            piece = b""
        if not piece:
            break
        text += piece
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def test_command_asks(repo, work):
    """A command may ask on the terminal; then ^C there is firn's again."""
    pid, master = on_terminal(repo, "backup", "-q", "--stdin", "dump", "--stdin-from-command",
                              "--", "sh", "-c", "read x </dev/tty; echo \"it was $x\"",
                              cwd=work)
    wait_for(lambda: os.tcgetpgrp(master) not in (0, pid), "the command to ask")
    os.write(master, b"secret\n")
    status, text = status_of(pid, master)
    assert status == 0, text
    assert repo("cat", "latest:dump").out == "it was secret\n"
    pid, master = on_terminal(repo, "backup", "-q", "--stdin", "dump", "--stdin-from-command",
                              "--", "sh", "-c", "read x </dev/tty; echo $x; echo $$ > pid; "
                              "exec sleep 1000", cwd=work)
    wait_for(lambda: os.tcgetpgrp(master) not in (0, pid), "the command to ask")
    os.write(master, b"secret\n")
    command = pid_in(work / "pid")
    wait_for(lambda: os.tcgetpgrp(master) == pid, "the terminal to be firn's")
    os.write(master, b"\x03")
    status, text = status_of(pid, master)
    assert status == 130, text
    assert not is_running(command)
    assert len(repo.generations()) == 1


@pytest.mark.parametrize("args", [
    ["backup", "-q", "--stdin", "dump", "--stdin-from-command", "--", "sh", "-c",
     "read x </dev/tty"],
    ["--password-command", "read x </dev/tty", "generations"]])
def test_command_is_interrupted_at_its_prompt(repo, work, args):
    """^C goes to whoever has the terminal, and ends firn as if it were its own."""
    repo.env.pop("FIRN_PASSWORD_FILE") if "--password-command" in args else None
    for _ in range(5):          # its end and the end of its output race
        pid, master = on_terminal(repo, *args, cwd=work)
        wait_for(lambda: os.tcgetpgrp(master) not in (0, pid), "the command to ask")
        os.write(master, b"\x03")
        status, text = status_of(pid, master)
        assert status == 130, text


def test_command_is_stopped_at_its_prompt(repo, work):
    """^Z there stops firn too; when that goes on, so does the command."""
    pid, master = on_terminal(repo, "backup", "-q", "--stdin", "dump", "--stdin-from-command",
                              "--", "sh", "-c", "read x </dev/tty; echo \"it was $x\"",
                              cwd=work)
    wait_for(lambda: os.tcgetpgrp(master) not in (0, pid), "the command to ask")
    # No shell is here that could be told of it: a session's leader is not
    # stopped, and so goes on at once.
    os.write(master, b"\x1a")
    os.write(master, b"secret\n")
    status, text = status_of(pid, master)
    assert status == 0, text
    assert repo("cat", "latest:dump").out == "it was secret\n"


def test_nohup(repo, work):
    """SIGHUP that was ignored before us stays so, for commands as well."""
    os.mkfifo(work / "go")
    p = repo.start("backup", "--stdin", "dump", "--stdin-from-command", "--", "sh", "-c",
                    "kill -HUP $$ $PPID; echo $$ > pid; read x < go; echo lives",
                    cwd=work, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    pid_in(work / "pid")
    (work / "go").write_text("go\n")
    out, err = p.communicate()
    assert p.returncode == 0, (out, err)
    assert repo("cat", "latest:dump").out == "lives\n"


@pytest.mark.parametrize("sig", SIGNALS)
def test_password_command(repo, work, sig):
    """One that never says a password."""
    repo.env.pop("FIRN_PASSWORD_FILE")
    p = repo.start("--password-command", f"echo $$ > {work}/pid; exec sleep 1000",
                    "generations")
    pid = pid_in(work / "pid")
    p.send_signal(sig)
    assert_interrupted(p)
    assert not is_running(pid)


def test_password_prompt(repo, work):
    repo.env.pop("FIRN_PASSWORD_FILE")
    pid, master = on_terminal(repo, "generations", cwd=work)
    text = b""
    while b"password: " not in text:
        text += os.read(master, 100)
    os.kill(pid, signal.SIGTERM)
    status, text = status_of(pid, master)
    assert status == 130, text


@pytest.fixture
def dead(work):
    """A repository in a store that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        firn = Firn(work, "s3://bucket", s3_environment(url))
        firn.server = server
        yield firn


@pytest.mark.parametrize("args", [["init"], ["generations"], ["check"],
                                  ["backup", "/etc"], ["restore", "latest", "out"]],
                         ids=lambda args: args[0])
@pytest.mark.parametrize("sig", SIGNALS)
def test_dead_store(dead, args, sig):
    p = dead.start(*args)
    connection, _ = dead.server.accept()
    with connection:
        p.send_signal(sig)
        assert_interrupted(p)


@pytest.mark.usefixtures("fuse")
@pytest.mark.parametrize("flags", [[], ["-f"]], ids=["daemon", "foreground"])
@pytest.mark.parametrize("sig", SIGNALS)
def test_mount_of_dead_store(dead, work, flags, sig):
    """The daemon goes with the program that waits for it."""
    mnt = work / "mnt"
    mnt.mkdir()
    p = subprocess.Popen([BUILD / "firnfs", dead.url, mnt, *flags], env=dead.env,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    connection, _ = dead.server.accept()
    with connection:
        p.send_signal(sig)
        assert_interrupted(p)      # and nobody has the pipes any more
    assert mounts_below(mnt) == []
