#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Ceph RADOS gateway of one's own: an independent S3 server for tests.

    with Rgw(directory) as rgw:
        rgw.url, rgw.access_key, rgw.secret_key, rgw.create_bucket("b")

    rgw.py up DIR [PORT]     start one that outlives the command
    rgw.py down DIR          end it and remove DIR

Runs one monitor, one OSD (objects in memory) and one gateway on loopback, from
the packages ceph-mon, ceph-osd, radosgw and ceph-common.  Invariants: only
processes that were started here are ended; whatever happens, after stop() the
directory and the processes are gone.
"""

import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from base64 import b64encode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from s3sim.client import Client		# noqa: E402

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "radosgw-admin",
            "ceph-authtool", "monmaptool")
DEADLINE = 180		# of each step, where many share a machine
PAUSE = 0.05
ROOM = 0.85		# of the memory; at 0.95 Ceph lets puts wait for ever
LOG_TAIL = 3000

CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}/0]
keyring = {dir}/keyring
run dir = {dir}
crash dir = {dir}
admin socket =
log file = {dir}/$name.ceph.log
mon cluster log file = {dir}/cluster.log
mon data = {dir}/mon
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
paxos propose interval = 0.02
paxos min wait = 0.01
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = {memory}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd heartbeat grace = 3600
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
rgw data = {dir}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw run sync thread = false
"""

# The keyring of all the parties: name, then capabilities.
PARTIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "client.rgw.a": {"mon": "allow *", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"}}


class RgwError(RuntimeError):
    pass


@dataclasses.dataclass
class Credentials:
    access_key: str
    secret_key: str


def missing_programs():
    """Those that the packages would bring, for a test's skip message."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def free_port():
    """Below the range of outgoing connections, which could take it first."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def own_process(pid, conf):
    """Whether `pid` is a daemon started with this configuration file."""
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return os.fsencode(conf) in words
    except OSError:
        return False


def wait_gone(pid, conf):
    end = time.monotonic() + DEADLINE
    while own_process(pid, conf) and time.monotonic() < end:
        time.sleep(PAUSE)


def tail(path):
    data = path.read_bytes()[-LOG_TAIL:]
    return f"--- {path.name}\n{data.decode(errors='replace')}\n"


class Rgw:
    """`directory` must not exist; it is removed with all that is in it.  Unless
    detached, the daemons end with the thread that called start()."""

    def __init__(self, directory, port=None, *, memory=8 << 30, detached=False,
                 storage_classes=("GLACIER", "DEEP_ARCHIVE")):
        self.dir = pathlib.Path(directory).resolve()
        self.conf = self.dir / "ceph.conf"
        self.port = port or free_port()
        self.storage_classes = storage_classes
        self.memory = memory
        self.detached = detached	# the daemons outlive this process
        self.daemons = {}		# name: Popen
        self.access_key, self.secret_key = "AKIDTEST", "SECRETTEST"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    # Life and death.

    def start(self):
        missing = missing_programs()
        if missing:
            raise RgwError(f"not installed: {', '.join(missing)}")
        self.dir.mkdir(parents=True)	# must be new: stop() removes it
        try:
            self.write_configuration()
            self.start_monitor()
            self.start_osd()
            self.set_up_zone()
            self.daemon("radosgw", "-n", "client.rgw.a")
            self.wait_answer()
        except BaseException:
            self.print_logs()
            self.stop()
            raise
        return self

    def stop(self):
        """Nothing in a memstore is worth a slow farewell: SIGKILL."""
        for process in self.daemons.values():
            process.kill()
        for process in self.daemons.values():
            process.wait()
        self.daemons.clear()
        shutil.rmtree(self.dir, ignore_errors=True)

    def print_logs(self):
        for path in sorted(self.dir.glob("*.log")):
            print(tail(path), file=sys.stderr)

    # Steps of the start.

    def write_configuration(self):
        for name in "mon", "osd", "rgw":
            (self.dir / name).mkdir()
        self.fsid, self.mon_port = uuid.uuid4(), free_port()
        self.conf.write_text(CONF.format(
            fsid=self.fsid, mon_port=self.mon_port, dir=self.dir, port=self.port,
            memory=self.memory))
        keyring = self.dir / "keyring"
        keyring.touch(0o600)
        for name, caps in PARTIES.items():
            words = [word for cap in caps.items() for word in ("--cap", *cap)]
            self.run("ceph-authtool", keyring, "--gen-key", "-n", name, *words)

    def start_monitor(self):
        monmap = self.dir / "monmap"
        self.run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a",
                 f"[v2:127.0.0.1:{self.mon_port}]", monmap)
        self.ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap,
                  "--keyring", self.dir / "keyring")
        self.daemon("ceph-mon", "-i", "a")

    def start_osd(self):
        osd = uuid.uuid4()
        self.ceph("ceph", "--connect-timeout", "30", "osd", "new", osd)
        self.ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.daemon("ceph-osd", "-i", "0")

    def set_up_zone(self):
        """The first use of radosgw-admin creates the zone."""
        self.user("test", Credentials(self.access_key, self.secret_key))
        for name in self.storage_classes:
            common = ("placement", "add", "--placement-id=default-placement",
                      f"--storage-class={name}")
            self.admin("zonegroup", *common, "--rgw-zonegroup=default")
            self.admin("zone", *common, "--rgw-zone=default",
                       "--data-pool=default.rgw.buckets.data")

    def wait_answer(self):
        end = time.monotonic() + DEADLINE
        while not self.answers():
            if time.monotonic() > end:
                raise RgwError("the gateway does not answer")
            self.check_daemons()
            time.sleep(PAUSE)
        self.check_daemons()

    def answers(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=0.5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    # Running programs.

    def run(self, *words):
        """Run to the end, and give up when a daemon has died meanwhile."""
        words = [str(word) for word in words]
        end = time.monotonic() + DEADLINE
        with open(self.dir / "setup.log", "a+b") as log:
            start = log.seek(0, os.SEEK_END)
            with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log,
                                  stdout=subprocess.PIPE) as process:
                output = self.await_output(process, end)
            if process.returncode:
                log.seek(start)
                raise RgwError(f"{' '.join(words)}: {log.read().decode()}")
        return output.decode()

    def await_output(self, process, end):
        while True:
            try:
                return process.communicate(timeout=1)[0]
            except subprocess.TimeoutExpired:
                try:
                    self.check_daemons()
                    if time.monotonic() > end:
                        raise RgwError(f"{process.args[0]} does not end") from None
                except RgwError:
                    process.kill()
                    raise

    def ceph(self, program, *words):
        return self.run(program, "-c", self.conf, *words)

    def admin(self, *words):
        return self.ceph("radosgw-admin", "-n", "client.rgw.a", *words)

    def daemon(self, program, *words):
        words = [program, "-f", "-c", str(self.conf), *words]
        if not self.detached:	# even when this process is killed
            words = ["setpriv", "--pdeathsig", "KILL", *words]
        with open(self.dir / f"{program}.log", "wb") as log:
            self.daemons[program] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        pids = {name: process.pid for name, process in self.daemons.items()}
        (self.dir / "pids").write_text(json.dumps(pids))

    def check_daemons(self):
        for name, process in self.daemons.items():
            if process.poll() is not None:
                raise RgwError(f"{name} ended with status {process.returncode}")

    # What tests need of a running one.

    @property
    def capacity(self):
        """Bytes of objects that it takes in."""
        return int(self.memory * ROOM)

    def reclaim(self):
        """The room of what was deleted, which Ceph would keep for two hours."""
        self.admin("gc", "process", "--include-all")

    def client(self, credentials=None):
        who = credentials or self
        return Client(self.url, who.access_key, who.secret_key)

    def ask(self, method, bucket, query=None, body=b""):
        md5 = b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        with self.client() as client:
            answer = client.request(method, bucket, query=query, body=body,
                                    headers={"Content-MD5": md5})
        if answer.status >= 300:
            raise RgwError(f"{method} {bucket} {query}: {answer}")
        return answer

    def create_bucket(self, name, versioned=False):
        self.ask("PUT", name)
        if versioned:
            body = (b"<VersioningConfiguration><Status>Enabled</Status>"
                    b"</VersioningConfiguration>")
            self.ask("PUT", name, {"versioning": ""}, body)

    def user(self, uid, credentials=None, op_mask="read, write, delete"):
        """A user of its own; without "delete" in op_mask it removes nothing."""
        credentials = credentials or Credentials(f"AK{uid.upper()}", f"SK{uid.upper()}")
        self.admin("user", "create", f"--uid={uid}", f"--display-name={uid}",
                   f"--access-key={credentials.access_key}",
                   f"--secret-key={credentials.secret_key}", f"--op-mask={op_mask}")
        return credentials

    def allow(self, bucket, uid, actions):
        """Replace the bucket's policy: `uid` may do `actions` ("s3:GetObject")."""
        statement = {"Effect": "Allow", "Action": list(actions),
                     "Principal": {"AWS": [f"arn:aws:iam:::user/{uid}"]},
                     "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
        self.set_policy(bucket, {"Version": "2012-10-17", "Statement": [statement]})

    def set_policy(self, bucket, document):
        self.ask("PUT", bucket, {"policy": ""}, json.dumps(document).encode())


def down(directory):
    """End what `up` left in this directory, and remove it."""
    directory = pathlib.Path(directory).resolve()
    conf = directory / "ceph.conf"
    pids = json.loads((directory / "pids").read_text())
    for pid in pids.values():
        if own_process(pid, conf):
            os.kill(pid, signal.SIGKILL)
    for pid in pids.values():
        wait_gone(pid, conf)
    shutil.rmtree(directory)


def main(arguments):
    if arguments[:1] == ["up"] and len(arguments) in (2, 3):
        port = int(arguments[2]) if len(arguments) == 3 else None
        rgw = Rgw(arguments[1], port, detached=True).start()
        print(rgw.url)
    elif arguments[:1] == ["down"] and len(arguments) == 2:
        down(arguments[1])
    else:
        sys.exit("usage: rgw.py up DIR [PORT] | down DIR")


if __name__ == "__main__":
    main(sys.argv[1:])
