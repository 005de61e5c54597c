# SPDX-License-Identifier: Apache-2.0
"""Where the keys for S3 and the bucket's place come from, as firn sees them."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from awsfakes import AwsFakes
from firn_tool import BUILD, Firn, mount_process, wait_for
from s3sim import S3Sim

ROLE = "arn:aws:iam::123456789012:role/backup"
KEYS = "aws_access_key_id = AKIDTEST\naws_secret_access_key = SECRETTEST\n"


class Machine:
    """A machine whose keys come from somewhere: the simulator, the services that
    give keys, and a home directory."""

    def __init__(self, work, sim, aws):
        self.work, self.sim, self.aws = work, sim, aws
        self.home = work / "home"
        (self.home / ".aws").mkdir(parents=True)
        self.firn = Firn(work, "s3://bucket/some/prefix")
        env = self.firn.env
        for name in list(env):
            if name.startswith("AWS_"):
                del env[name]
        env.update(HOME=str(self.home), AWS_REGION="us-east-1",
                   AWS_ENDPOINT_URL_S3=sim.url, AWS_ENDPOINT_URL_STS=aws.url,
                   AWS_EC2_METADATA_SERVICE_ENDPOINT=aws.url)
        self.firn.sim = sim

    def config(self, text):
        (self.home / ".aws/config").write_text(text)

    def credentials(self, text):
        (self.home / ".aws/credentials").write_text(text)

    def env(self, **values):
        self.firn.env.update(values)

    def init(self):
        return self.firn("init", "--kdf-memory", "1M", "--pack-size", "256K")

    def refuses(self, *texts, url=None):
        """No keys: what is said has these texts."""
        if url:
            self.env(FIRN_REPOSITORY=url)
        r = self.firn("generations", status=1)
        for text in texts:
            assert text in r.err, r.err
        errors = [x for x in r.err.splitlines() if x.startswith("firn: error: ")]
        assert len(errors) == 1, r.err
        return r.err

    def process(self, body):
        """A program that prints keys; its name."""
        path = self.work / "keys command"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}")
        path.chmod(0o755)
        return f'"{path}" "an argument"'


@pytest.fixture
def machine(work):
    with S3Sim(["bucket"]) as sim, AwsFakes(sim) as aws:
        yield Machine(work, sim, aws)


# Sources, each with what it takes; what is returned were calls it makes.

def by_environment(m):
    m.env(AWS_ACCESS_KEY_ID="AKIDTEST", AWS_SECRET_ACCESS_KEY="SECRETTEST")
    m.credentials("[default]\naws_access_key_id = other\naws_secret_access_key = other\n")
    return []


def by_session(m):
    keys = m.aws.issue("test")
    m.env(AWS_ACCESS_KEY_ID=keys.access, AWS_SECRET_ACCESS_KEY=keys.secret,
          AWS_SESSION_TOKEN=keys.token)
    return []


def by_credentials(m):
    m.config("[default]\naws_access_key_id = other\naws_secret_access_key = other\n")
    m.credentials("# mine\n[default]\n" + KEYS)
    return []


def by_config(m):
    m.config(f'[profile "the other"]\n{KEYS}region = us-east-1\n')
    m.env(AWS_PROFILE="the other")
    return []


def by_url_profile(m):
    """A profile in the URL goes before keys in the environment."""
    m.env(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x",
          FIRN_REPOSITORY="s3://bucket/some/prefix?profile=mine")
    m.credentials("[mine]\n" + KEYS)
    return []


def by_other_files(m):
    (m.work / "keys").write_text("[default]\n" + KEYS)
    m.env(AWS_SHARED_CREDENTIALS_FILE=str(m.work / "keys"), AWS_CONFIG_FILE="/dev/null")
    return []


def by_process(m):
    keys = m.aws.issue("test")
    command = m.process(f"""
assert sys.argv[1:] == ["an argument"]
assert sys.stdin.read() == ""
print(json.dumps({{"Version": 1, "AccessKeyId": {keys.access!r},
    "SecretAccessKey": {keys.secret!r}, "SessionToken": {keys.token!r},
    "Expiration": "2999-01-01T00:00:00+00:00"}}))""")
    m.config(f"[default]\ncredential_process = {command}\nsso_session = left over\n")
    return []


def by_role(m):
    m.aws.external_id = "a b/c&d"
    m.config(f"[profile top]\nrole_arn = {ROLE}\nsource_profile = base\n"
             "external_id = a b/c&d\nrole_session_name = web1\nduration_seconds = 900\n")
    m.credentials("[base]\n" + KEYS)
    m.env(AWS_PROFILE="top")
    return ["AssumeRole"]


def by_own_role(m):
    m.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = default\n")
    m.credentials("[default]\n" + KEYS)
    return ["AssumeRole"]


def by_chain(m):
    m.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = middle\n"
             f"[profile middle]\nrole_arn = {ROLE}2\nsource_profile = base\n"
             f"[profile base]\n{KEYS}")
    return ["AssumeRole", "AssumeRole"]


def by_role_of_environment(m):
    m.config(f"[profile top]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
    m.env(AWS_ACCESS_KEY_ID="AKIDTEST", AWS_SECRET_ACCESS_KEY="SECRETTEST",
          FIRN_REPOSITORY="s3://bucket/some/prefix?profile=top")
    return ["AssumeRole"]


def by_role_of_instance(m):
    m.config(f"[default]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n")
    return ["imds-token", "imds-role", "imds-keys", "AssumeRole"]


def by_role_of_container(m):
    m.config(f"[default]\nrole_arn = {ROLE}\ncredential_source = EcsContainer\n")
    m.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=m.aws.url + "/container?id=1")
    return ["container", "AssumeRole"]


def by_web_identity(m):
    (m.work / "token").write_text("web-token\n")
    m.env(AWS_WEB_IDENTITY_TOKEN_FILE=str(m.work / "token"), AWS_ROLE_ARN=ROLE)
    return ["AssumeRoleWithWebIdentity"]


def by_web_profile(m):
    (m.work / "token").write_text("web-token")
    m.config(f"[default]\nrole_arn = {ROLE}\n"
             f"web_identity_token_file = {m.work / 'token'}\n")
    return ["AssumeRoleWithWebIdentity"]


def by_container(m):
    m.aws.container_token = "Basic abc"
    (m.work / "token").write_text("Basic abc\n")
    m.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=m.aws.url + "/container?id=1",
          AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong",
          AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(m.work / "token"))
    return ["container"]


def by_instance(m):
    m.config("[default]\nregion = us-east-1\n")
    return ["imds-token", "imds-role", "imds-keys"]


def by_instance_v1(m):
    m.aws.imds = "v1"
    m.env(AWS_EC2_METADATA_V1_DISABLED="false")
    return ["imds-token", "imds-role", "imds-keys"]


SOURCES = [f for name, f in list(globals().items()) if name.startswith("by_")]


@pytest.mark.parametrize("source", SOURCES, ids=lambda f: f.__name__)
def test_source(machine, source):
    calls = source(machine)
    r = machine.init()
    r2 = machine.firn("generations", "-v", "--json")
    assert machine.aws.calls == calls * 2
    said = r.out + r.err + r2.out + r2.err
    for keys in machine.aws.issued:
        assert not any(secret in said for secret in keys.secrets)
    assert "SECRETTEST" not in said


def test_what_a_role_is_asked_with(machine):
    by_role(machine)
    machine.init()
    form = machine.aws.issued[0].form
    assert form["RoleArn"] == ROLE and form["RoleSessionName"] == "web1"
    assert form["DurationSeconds"] == "900"


def test_services_are_asked_by_no_proxy(work):
    """The bucket may be behind one; who gives keys to this machine never is."""
    with S3Sim(["bucket"]) as sim, AwsFakes(sim, host="127.0.0.2") as aws:
        m = Machine(work, sim, aws)
        m.env(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
        m.init()
        m.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/container?id=1")
        m.firn("generations")
        assert aws.calls == by_instance(m) + ["container"]


# Keys that expire.

def feed(process, n=64 << 10):
    process.stdin.write(os.urandom(n))
    process.stdin.flush()


def by_process_again(m):
    """Each run asks the container's service, so that it is counted."""
    command = m.process(f"""
import urllib.request
d = json.load(urllib.request.urlopen("{m.aws.url}/container?id=1"))
print(json.dumps({{"Version": 1, "AccessKeyId": d["AccessKeyId"],
    "SecretAccessKey": d["SecretAccessKey"], "SessionToken": d["Token"],
    "Expiration": d["Expiration"]}}))""")
    m.config(f"[default]\ncredential_process = {command}\n")
    return ["container"]


RENEWED = [by_role, by_chain, by_web_identity, by_container, by_instance, by_process_again]


@pytest.mark.parametrize("source", RENEWED, ids=lambda f: f.__name__)
def test_backup_outlives_its_keys(machine, source):
    """Data goes on coming until the first keys are dead, and the third are used."""
    m = machine
    source(m)
    m.init()
    m.aws.issued.clear()
    m.aws.life = 10 if source is by_process_again else 5	# a program takes its time
    p = m.firn.start("backup", "--stdin", "data", "--series", "s", "--uploads", "4",
                     stdin=subprocess.PIPE)
    first = wait_for(lambda: m.aws.issued, "the first keys")[0]

    def later():
        feed(p)
        return p.poll() is not None or (
            time.time() > first.expires + 1 and len(m.aws.issued) > 2)
    wait_for(later, "the third keys")
    p.stdin.close()
    assert p.wait() == 0, p.stderr.read().decode()
    assert m.firn.check()[0] == []
    refused = [r for r in m.sim.requests if r.code == "ExpiredToken"]
    assert refused == []	# renewed in time, not by being refused
    assert m.aws.most_at_once == 1


def test_expired_before_its_time(machine, work):
    """The server says so: one thread asks for others, all use them."""
    m = machine
    by_container(m)
    m.init()
    tree = work / "tree"
    tree.mkdir()
    for i in range(16):
        (tree / str(i)).write_bytes(os.urandom(1 << 20))
    m.aws.calls.clear()
    m.aws.issued.clear()
    m.sim.stats.reset()
    m.sim.pace.latency = 0.05
    p = m.firn.start("backup", str(tree), "--series", "s", "--uploads", "16")
    wait_for(lambda: p.poll() is not None or [r for r in m.sim.requests
                                              if r.operation == "PutObject"], "an upload")
    m.aws.revoke()
    assert p.wait() == 0, p.stderr.read().decode()
    assert m.aws.calls == ["container"] * 2
    m.sim.pace.latency = 0
    assert m.firn.check()[0] == []


def test_one_asks_all_wait(machine, work):
    """Many threads meet the end of the keys at once; the source is asked once, and
    a failure of it is not everybody's own."""
    m = machine
    by_process_again(m)		# it waits at the gate for as long as that is shut
    m.init()
    tree = work / "tree"
    tree.mkdir()
    for i in range(9):
        (tree / str(i)).write_bytes(os.urandom(1 << 20))
    m.firn.backup(str(tree), "--series", "s")
    m.aws.calls.clear()
    with m.firn.mount(options="no-cache,timeout=60") as mnt, contextlib.ExitStack() as stack:
        # Nobody has to look for what is latest then, nor for where blocks are.
        copies = [stack.enter_context(open(mnt / f"latest{tree}/{i}", "rb"))
                  for i in range(8)]
        assert (mnt / f"latest{tree}/8").read_bytes() == (tree / "8").read_bytes()
        m.sim.stats.reset()
        m.aws.revoke()
        m.aws.gate.clear()
        readers = [subprocess.Popen(["cmp", tree / str(i), "-"], stdin=copy)
                   for i, copy in enumerate(copies)]
        # Whoever is refused while one asks waits for what that one gets.
        wait_for(lambda: sum(r.code == "ExpiredToken" for r in m.sim.requests) >= 8,
                 "all to be refused")
        m.aws.gate.set()
        assert [r.wait() for r in readers] == [0] * 8
    assert m.aws.calls == ["container"] * 2
    assert m.aws.most_at_once == 1


def test_files_are_read_again(machine):
    """What another program writes into the file while a backup runs is used."""
    m = machine

    def write():
        keys = m.aws.issue("test")
        new = m.home / ".aws/credentials.new"
        new.write_text(f"[default]\naws_access_key_id = {keys.access}\n"
                       f"aws_secret_access_key = {keys.secret}\n"
                       f"aws_session_token = {keys.token}\n")
        new.rename(m.home / ".aws/credentials")
    write()
    m.init()
    p = m.firn.start("backup", "--stdin", "data", "--series", "s", stdin=subprocess.PIPE)
    before = len(m.sim.requests)
    feed(p, 1 << 20)
    wait_for(lambda: len(m.sim.requests) > before, "the backup to begin")
    write()
    for keys in m.aws.issued[:-1]:
        m.sim.identity.temporary[keys.access].expires = 0
    feed(p, 1 << 20)
    p.stdin.close()
    assert p.wait() == 0, p.stderr.read().decode()


def test_no_others(machine):
    """Keys that nobody renews: said once, with what to do."""
    m = machine
    by_session(m)
    m.aws.revoke()
    r = m.firn("generations", status=1)
    assert "the session token has expired" in r.err


def test_source_fails_for_a_while(machine):
    """A failure is asked again; a service that is down for good is an error."""
    m = machine
    by_container(m)
    m.aws.fail["container"] = [500, 503]
    m.init()
    assert m.aws.count("container") == 3
    m.aws.fail["container"] = [500] * 3
    m.refuses("cannot get the container's keys", "status 500", "tried 3 times")
    by_role(m)
    m.aws.fail["AssumeRole"] = [500]
    m.firn("generations")


def test_source_fails_while_in_use(machine, work):
    """A source that gave keys before is waited for, within the time of a call."""
    m = machine
    by_container(m)
    m.init()
    (work / "file").write_bytes(os.urandom(1 << 20))
    m.firn.backup(str(work / "file"), "--series", "s")
    with m.firn.mount(options="no-cache,timeout=60") as mnt:
        path = mnt / f"latest{work}/file"
        with open(path, "rb") as f:
            m.aws.calls.clear()
            m.aws.fail["container"] = [500] * 3
            m.aws.revoke()
            assert f.read() == (work / "file").read_bytes()
    assert m.aws.count("container") == 4


# What is wrong is said, with the next step.

def test_none(machine):
    m = machine
    m.env(AWS_EC2_METADATA_DISABLED="true")
    text = m.refuses("there are no keys for S3", "AWS_ACCESS_KEY_ID", "'default'",
                     "/.aws/credentials", "AWS_WEB_IDENTITY_TOKEN_FILE", "firn(1)")
    assert m.aws.calls == [] and m.sim.requests == []
    del m.firn.env["AWS_EC2_METADATA_DISABLED"]
    m.env(AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:1")
    text = m.refuses("there are no keys for S3", "AWS_ACCESS_KEY_ID", "http://127.0.0.1:1")
    assert m.sim.requests == [] and text


def test_instance(machine):
    m = machine
    m.aws.imds = "v1"
    m.refuses("gives no token", "status 404", "AWS_EC2_METADATA_V1_DISABLED")
    assert m.aws.calls == ["imds-token"]
    m.aws.imds = "v2"
    m.aws.fail["imds-role"] = [404]
    m.refuses("this instance has no role")
    m.aws.fail["imds-keys"] = [403]
    m.refuses("refuses the keys of this instance's role")


@pytest.mark.parametrize("config,texts", [
    (f"role_arn = {ROLE}\n", ["neither source_profile nor credential_source"]),
    (f"role_arn = {ROLE}\nsource_profile = a\ncredential_source = Environment\n", ["both"]),
    (f"role_arn = {ROLE}\nsource_profile = a\n", ["'a'", "is not in"]),
    (f"role_arn = {ROLE}\ncredential_source = Sky\n", ["Sky", "EcsContainer"]),
    (f"role_arn = {ROLE}\nsource_profile = default\n", ["circle"]),
    (f"role_arn = {ROLE}\nsource_profile = b\n[profile b]\nrole_arn = x\n"
     "source_profile = c\n[profile c]\nrole_arn = y\nsource_profile = b\n",
     ["circle", "'b' from 'c'"]),
    (f"role_arn = {ROLE}\nsource_profile = b\nmfa_serial = x\n[profile b]\n{KEYS}",
     ["mfa_serial", "export-credentials --profile default --format process"]),
    (f"role_arn = {ROLE}\nsource_profile = b\nduration_seconds = 1\n[profile b]\n{KEYS}",
     ["duration_seconds", "900 to 43200"]),
    (f"role_arn = {ROLE}\nsource_profile = b\n[profile b]\nregion = x\n",
     ["'b'", "has no keys"]),
    ("sso_session = x\nsso_account_id = 1\n",
     ["sso_session", "aws configure export-credentials --profile default --format process"]),
    ("login_session = x\n", ["login_session", "export-credentials"]),
    ("aws_access_key_id = x\n", ["no aws_secret_access_key"]),
    ("aws_access_key_id = x\naws_secret_access_key = a b\n", ["has a blank"]),
    ("credential_process = /nonexistent/program\n", ["/nonexistent/program"]),
    ("credential_process = 'open\n", ["open quote"]),
    ("credential_process = false\n", ["ended with status 1", "run it by hand"]),
    ("credential_process = echo hello\n", ["it is not JSON"]),
    ("credential_process = echo '{\"Version\": 2}'\n", ["Version is not 1"]),
    (f"role_arn = {ROLE}\nweb_identity_token_file = /nonexistent\n", ["/nonexistent"]),
])
def test_bad_profile(machine, config, texts):
    machine.config("[default]\n" + config)
    machine.refuses(*texts)
    assert machine.aws.calls == []


def test_no_such_profile(machine):
    machine.config("[profile a]\n" + KEYS)
    machine.env(AWS_PROFILE="b")
    machine.refuses("there is no profile 'b'", "AWS_PROFILE")


def test_sts_refuses(machine):
    m = machine
    by_role(m)
    m.aws.external_id = "another"
    m.refuses("cannot take up the role", ROLE, "'top'", "AccessDenied", "trust policy")
    m.env(AWS_ENDPOINT_URL_STS="http://127.0.0.1:1")
    m.aws.calls.clear()
    m.refuses("cannot take up the role", "no answer", "AWS_ENDPOINT_URL_STS")


@pytest.mark.parametrize("url", ["http://example.com/x", "http://169.254.170.2@evil/x",
                                 "ftp://localhost/x", "http://localhost.evil/"])
def test_container_host(machine, url):
    """The authorization is sent to nobody else."""
    by_container(machine)
    machine.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=url)
    machine.refuses("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)


def test_container_token(machine):
    by_container(machine)
    (machine.work / "token").write_text("Basic abc\r\nX-Other: header")
    machine.refuses("authorization token has a line break")
    (machine.work / "token").unlink()
    machine.refuses("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    (machine.work / "token").write_text("Basic wrong")
    machine.refuses("status 401", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


# Nothing hangs.

@pytest.fixture
def dead():
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as s:
        yield f"http://127.0.0.1:{s.getsockname()[1]}"


def test_dead_instance_service(machine, dead):
    machine.env(AWS_EC2_METADATA_SERVICE_ENDPOINT=dead)
    machine.refuses("there are no keys for S3", "timed out")


def interrupt(m, wait):
    p = m.firn.start("generations")
    wait_for(wait, "it to ask")
    p.send_signal(signal.SIGINT)
    wait_for(lambda: p.poll() is not None, "it to end", 30)
    assert p.returncode == 130, p.stderr.read().decode()


def test_interrupted_while_the_service_is_silent(machine):
    m = machine
    by_container(m)
    m.aws.gate.clear()
    m.env(AWS_METADATA_SERVICE_TIMEOUT="60")
    interrupt(m, lambda: m.aws.count("container") == 1)
    by_role(m)
    interrupt(m, lambda: m.aws.count("AssumeRole") == 1)


def test_interrupted_while_a_command_runs(machine, work):
    m = machine
    command = m.process(f"""
open({str(work / "pid")!r}, "w").write(str(os.getpid()) + "\\n")
time.sleep(1000)""")
    m.config(f"[default]\ncredential_process = {command}\n")

    def pid():
        path = work / "pid"
        return path.exists() and path.read_text().endswith("\n")
    interrupt(m, pid)
    assert not pathlib.Path(f"/proc/{(work / 'pid').read_text().strip()}").exists()


def test_command_leaves_something_running(machine, work):
    """An agent that has the pipe open is not waited for, nor ended."""
    m = machine
    keys = m.aws.issue("test")
    command = m.process(f"""
import subprocess
agent = subprocess.Popen(["sleep", "1000"], stderr=subprocess.DEVNULL)
open({str(work / "agent")!r}, "w").write(str(agent.pid))
print(json.dumps({{"Version": 1, "AccessKeyId": {keys.access!r},
    "SecretAccessKey": {keys.secret!r}, "SessionToken": {keys.token!r}}}))""")
    m.config(f"[default]\ncredential_process = {command}\n")
    m.init()
    agent = int((work / "agent").read_text())
    os.kill(agent, signal.SIGTERM)	# it is there


def test_interrupted_while_keys_are_renewed(machine):
    """The end of the command, and no word of a token that has expired."""
    m = machine
    by_process_again(m)
    m.init()
    m.aws.calls.clear()
    p = m.firn.start("backup", "--stdin", "data", "--series", "s", stdin=subprocess.PIPE)
    before = len(m.sim.requests)
    wait_for(lambda: len(m.sim.requests) > before, "the first keys in use")
    m.aws.gate.clear()
    m.aws.revoke()
    p.stdin.close()		# so there is something to put
    wait_for(lambda: m.aws.count("container") == 2, "others to be asked for")
    p.send_signal(signal.SIGINT)
    wait_for(lambda: p.poll() is not None, "it to end", 30)
    err = p.stderr.read().decode()
    assert p.returncode == 130, err
    assert "expired" not in err and "error:" not in err


# Secrets.

def test_no_core_dumps(machine, work, fuse):
    """Not into a file, and with no memory in what is piped to a program."""
    m = machine
    by_environment(m)
    m.init()

    def guarded(pid):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        return core.split()[4:6] == ["0", "0"] and int(
            pathlib.Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
    p = m.firn.start("backup", "--stdin", "x", "--series", "s", stdin=subprocess.PIPE)
    wait_for(lambda: guarded(p.pid), "the guard")
    p.communicate(b"data")
    assert p.returncode == 0
    with m.firn.mount() as mnt:
        assert guarded(mount_process(mnt))


def test_secrets_stay_inside(machine, work):
    """Neither in arguments nor environments, ours or of what we run."""
    m = machine
    keys = m.aws.issue("test")
    command = m.process(f"""
with open({str(work / "seen")!r}, "ab") as f:
    for name in "cmdline", "environ":
        for pid in str(os.getpid()), str(os.getppid()):
            f.write(open(f"/proc/{{pid}}/{{name}}", "rb").read())
print(json.dumps({{"Version": 1, "AccessKeyId": {keys.access!r},
    "SecretAccessKey": {keys.secret!r}, "SessionToken": {keys.token!r}}}))""")
    m.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n"
             f"[profile base]\ncredential_process = {command}\n")
    m.init()
    p = m.firn.start("backup", "--stdin", "x", "-v", "--series", "s", "--stdin-from-command",
                     "--", "sh", "-c", f"cat /proc/$PPID/cmdline /proc/$PPID/environ "
                     f"/proc/$$/environ >>{work}/seen; echo data")
    out, err = p.communicate()
    assert p.returncode == 0, err
    seen = (work / "seen").read_bytes() + out + err
    assert str(work).encode() in seen
    for issued in m.aws.issued:
        assert not any(secret.encode() in seen for secret in issued.secrets)
    words = [word for i in m.aws.issued for s in i.secrets for word in ("-e", s)]
    found = subprocess.run(["grep", "-rlF", *words, work], capture_output=True, check=False)
    assert found.stdout.decode().splitlines() == [str(work / "keys command")]


# Where the bucket is.

@pytest.fixture
def elsewhere(work):
    """A bucket in another region than is taken for granted, keys in a profile."""
    with S3Sim(["bucket"], region="eu-central-1") as sim, AwsFakes(sim) as aws:
        m = Machine(work, sim, aws)
        del m.firn.env["AWS_REGION"]
        m.credentials("[default]\n" + KEYS)
        yield m


def codes(sim):
    return {r.code for r in sim.requests if r.code and r.status == 400}


def test_region_is_learnt(elsewhere):
    elsewhere.init()
    assert codes(elsewhere.sim) == {"AuthorizationHeaderMalformed"}


@pytest.mark.parametrize("way", ["option", "url", "AWS_REGION", "AWS_DEFAULT_REGION",
                                 "profile"])
def test_region(elsewhere, way):
    """Each way is right where all later ones are wrong."""
    m, wrong = elsewhere, "ap-south-1"
    ways = ["option", "url", "AWS_REGION", "AWS_DEFAULT_REGION", "profile"]
    option = []
    for w in ways[ways.index(way):]:
        region = "eu-central-1" if w == way else wrong
        if w == "option":
            option = ["--region", region]
        elif w == "url":
            m.env(FIRN_REPOSITORY=f"s3://bucket/some/prefix?region={region}")
        elif w == "profile":
            m.config(f"[default]\nregion = {region}\n")
        else:
            m.env(**{w: region})
    m.firn("init", "--kdf-memory", "1M", *option)
    assert codes(m.sim) == set()


@pytest.mark.parametrize("way", ["option", "url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",
                                 "services", "profile"])
def test_endpoint(elsewhere, way):
    m = elsewhere
    ways = ["option", "url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "services", "profile"]
    m.env(AWS_REGION="eu-central-1")
    del m.firn.env["AWS_ENDPOINT_URL_S3"]
    option, config, services = [], "[default]\n", ""
    for w in ways[ways.index(way):]:
        url = m.sim.url if w == way else "http://127.0.0.1:1"
        if w == "option":
            option = ["--endpoint", url]
        elif w == "url":
            m.env(FIRN_REPOSITORY=f"s3://bucket/some/prefix?endpoint={url}")
        elif w == "profile":
            config += f"endpoint_url = {url}\n"
        elif w == "services":
            config += "services = mine\n"
            services = f"[services mine]\ns3 =\n  endpoint_url = {url}\n"
        else:
            m.env(**{w: url})
    m.config(config + services)
    m.firn("init", "--kdf-memory", "1M", *option)
    assert m.sim.requests


def test_endpoints_ignored(elsewhere):
    """Only what was said here and now counts then."""
    m = elsewhere
    m.env(AWS_REGION="eu-central-1", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true",
          AWS_ENDPOINT_URL_S3="http://127.0.0.1:1",
          FIRN_REPOSITORY=f"s3://bucket/some/prefix?endpoint={m.sim.url}")
    m.init()


def test_addressing(elsewhere):
    """By path, by rule, in spite of the profile; by host as the URL says."""
    m = elsewhere
    m.env(AWS_REGION="eu-central-1")
    m.config("[default]\ns3 =\n    addressing_style = virtual\n")
    r = m.firn("generations", "--timeout", "1", status=1)
    assert "bucket.127.0.0.1" in r.err or "generations" not in r.out
    m.env(FIRN_REPOSITORY="s3://bucket/some/prefix?addressing_style=path")
    m.init()


def test_bad_query(elsewhere):
    r = elsewhere.firn("generations", env={"FIRN_REPOSITORY": "s3://bucket/x?what=1"},
                       status=2)
    assert "region=, endpoint=" in r.err


def test_mount_by_url_alone(elsewhere, work, fuse):
    """As from fstab at boot: next to no environment."""
    m = elsewhere
    url = f"s3://bucket/some/prefix?region=eu-central-1&endpoint={m.sim.url}&profile=mine"
    m.credentials("[mine]\n" + KEYS)
    m.env(FIRN_REPOSITORY=url)
    m.init()
    (work / "file").write_text("text")
    m.firn.backup(str(work / "file"), "--series", "s")
    mnt = work / "mnt"
    mnt.mkdir()
    subprocess.run([BUILD / "firnfs", url, mnt, "-o",
                    f"password-file={work}/password,cache-dir={work}/cache3"], check=True,
                   env={"HOME": str(m.home), "PATH": os.environ["PATH"]})
    assert (mnt / f"latest{work}/file").read_text() == "text"


def test_json_is_not_confused(machine):
    """The services' JSON with what need not be there."""
    m = machine
    m.config("[default]\ncredential_process = echo "
             + json.dumps(json.dumps({"Version": 1, "AccessKeyId": "AKIDTEST",
                                      "SecretAccessKey": "SECRETTEST",
                                      "SessionToken": None, "More": [1, {}]})) + "\n")
    m.init()
