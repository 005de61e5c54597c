# SPDX-License-Identifier: Apache-2.0
"""What gives out temporary keys at AWS, small: STS, and the metadata services of
instances (versions 1 and 2) and of containers.  Standard library only.

    with AwsFakes(sim, life=3600) as aws:
        ... aws.url, aws.calls, aws.issued, aws.most_at_once

Keys that are given out are known to the simulator `sim`, and expire there.
Invariants: a request that is not as AWS wants it gets the error that AWS would
give; `calls` has every request, in order.
"""

import itertools
import json
import socketserver
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from s3sim import sigv4

ROLE = "backup@role"
ROLES = "/latest/meta-data/iam/security-credentials/"
IMDS_TOKEN = "imds-session-token"
ISO = "%Y-%m-%dT%H:%M:%SZ"
numbers = itertools.count(1)


@dataclass
class Issued:
    access: str
    secret: str
    token: str
    expires: float
    by: str
    form: dict = field(default_factory=dict)

    @property
    def secrets(self):
        return [self.secret, self.token]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)	# asks no resolver for a name


class AwsFakes:
    def __init__(self, sim, life=3600, host="127.0.0.1"):
        self.sim = sim
        self.life = life		# seconds, of the next keys
        self.said_life = None		# what is said of it, where that is a lie
        self.lock = threading.Lock()	# guards the lists and counts
        self.calls = []
        self.issued = []
        self.at_once = self.most_at_once = 0
        self.container_token = None	# wanted as Authorization
        self.web_token = "web-token"
        self.external_id = None		# wanted of AssumeRole
        self.imds = "v2"		# or "v1", which knows no tokens
        self.fail = {}			# by call: [status, ...] of the next ones
        self.gate = threading.Event()	# not set: answers wait for it
        self.gate.set()
        self.server = Server((host, 0), Handler)
        self.server.aws = self

    @property
    def url(self):
        host, port = self.server.server_address[:2]
        return f"http://{host}:{port}"

    def count(self, name):
        with self.lock:
            return self.calls.count(name)

    def issue(self, by, form=None):
        n = next(numbers)
        expires = time.time() + self.life
        keys = Issued(f"ASIAFAKE{n:08d}", f"Fake/Secret+{n:08d}", f"Fake/Token+{n:08d}==",
                      expires, by, form or {})
        self.sim.identity.temporary[keys.access] = sigv4.Keys(
            keys.secret, keys.token, expires)
        with self.lock:
            self.issued.append(keys)
        return keys

    def said(self, keys):
        life = self.life if self.said_life is None else self.said_life
        return time.strftime(ISO, time.gmtime(keys.expires - self.life + life))

    def revoke(self):
        """What was given out so far has expired."""
        for keys in self.issued:
            self.sim.identity.temporary[keys.access].expires = 0

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.aws = self.server.aws

    def do_any(self):
        length = int(self.headers.get("Content-Length", "0"))
        self.body = self.rfile.read(length)
        name, answer = self.find()
        aws = self.aws
        with aws.lock:
            aws.calls.append(name)
            aws.at_once += 1
            aws.most_at_once = max(aws.most_at_once, aws.at_once)
            failing = aws.fail.get(name)
            status = failing.pop(0) if failing else None
        try:
            aws.gate.wait()
            if status:
                self.reply(status, b"it fails")
            else:
                answer()
        finally:
            with aws.lock:
                aws.at_once -= 1

    do_GET = do_PUT = do_POST = do_any

    def find(self):
        """(name of the call, what answers it)"""
        if self.command == "POST" and self.path == "/":
            self.form = dict(parse_qsl(self.body.decode(), strict_parsing=True))
            return self.form.get("Action", "?"), self.sts
        if (self.command, self.path) == ("PUT", "/latest/api/token"):
            return "imds-token", self.imds_token
        if self.command == "GET" and self.path.startswith(ROLES):
            return "imds-keys" if self.path != ROLES else "imds-role", self.imds_get
        if self.command == "GET" and self.path == "/container?id=1":
            return "container", self.container
        return f"{self.command} {self.path}", lambda: self.reply(404, b"no such thing")

    def reply(self, status, text, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    # STS.

    def refuse(self, status, code, message):
        self.reply(status, f"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
  <RequestId>1</RequestId></ErrorResponse>""".encode(), "text/xml")

    def signed_well(self):
        """Whether somebody whom we know signed this, for STS."""
        headers = [(n.lower(), v.strip()) for n, v in self.headers.items()]
        match = sigv4.AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        if not match:
            return False
        access, date, region, service, _ = match[1].rsplit("/", 4)
        keys = self.aws.sim.identity.keys(access)
        signed = match[2].split(";")
        if (keys is None or service != "sts" or not {"host", "x-amz-date"} <= set(signed)
                or self.headers.get("x-amz-security-token") != keys.token
                or (keys.token and "x-amz-security-token" not in signed)):
            return False
        canonical = sigv4.canonical_request(
            "POST", "/", "", headers, signed, sigv4.hashlib.sha256(self.body).hexdigest())
        text = sigv4.string_to_sign(self.headers["x-amz-date"],
                                    f"{date}/{region}/sts/aws4_request", canonical)
        key = sigv4.signing_key(keys.secret, date, region, "sts")
        return sigv4.signature(key, text) == match[3]

    def sts(self):
        aws, form = self.aws, self.form
        action = form.get("Action")
        if form.get("Version") != "2011-06-15" or not form.get("RoleSessionName"):
            self.refuse(400, "ValidationError", "not a good request")
        elif action == "AssumeRole" and not self.signed_well():
            self.refuse(403, "SignatureDoesNotMatch", "not signed well")
        elif action == "AssumeRole" and form.get("ExternalId") != aws.external_id:
            self.refuse(403, "AccessDenied", "is not authorized to perform: sts:AssumeRole")
        elif action != "AssumeRole" and form.get("WebIdentityToken") != aws.web_token:
            self.refuse(400, "InvalidIdentityToken", "the token is not ours")
        else:
            keys = aws.issue(action, form)
            self.reply(200, f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <{action}Result>
    <AssumedRoleUser><Arn>{form["RoleArn"]}</Arn></AssumedRoleUser>
    <Credentials><AccessKeyId>{keys.access}</AccessKeyId>
      <SecretAccessKey>{keys.secret}</SecretAccessKey>
      <SessionToken>{keys.token}</SessionToken>
      <Expiration>{aws.said(keys)}</Expiration></Credentials>
  </{action}Result></{action}Response>""".encode(), "text/xml")

    # Metadata services.

    def keys(self, by):
        keys = self.aws.issue(by)
        self.reply(200, json.dumps({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": keys.access,
            "SecretAccessKey": keys.secret, "Token": keys.token,
            "Expiration": self.aws.said(keys)}).encode(), "application/json")

    def imds_token(self):
        if self.aws.imds == "v1":
            self.reply(404, b"")
        elif not self.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdecimal():
            self.reply(400, b"")
        else:
            self.reply(200, IMDS_TOKEN.encode())

    def imds_get(self):
        token = self.headers.get("x-aws-ec2-metadata-token")
        if token != (None if self.aws.imds == "v1" else IMDS_TOKEN):
            self.reply(401, b"")
        elif self.path == ROLES:
            self.reply(200, ROLE.encode() + b"\n")
        elif self.path == ROLES + "backup%40role":
            self.keys("imds")
        else:
            self.reply(404, b"")

    def container(self):
        if self.headers.get("Authorization") != self.aws.container_token:
            self.reply(401, b'{"code": "Unauthorized"}')
        else:
            self.keys("container")
