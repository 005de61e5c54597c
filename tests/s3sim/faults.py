# SPDX-License-Identifier: Apache-2.0
"""Fault injection: rules that say which requests go wrong, and how.

A request meets the rules in the order they were added; the first that fires
is its fault.  Invariant: with one seed and one order of requests the same
requests fail; a fault marked as before the commit changes no state.

| kind           | committed | the client sees                               |
| 500, 503-slowdown, 403, expired-token, 409-conflict, no-expedited (503),    |
| throttling (400 ThrottlingException), archived (403 InvalidObjectState)     |
|                | no        | that error                                    |
| 500-after-commit | yes     | 500 InternalError                             |
| skew           | no        | 403 RequestTimeTooSkewed, of a server whose   |
|                |           | clock is `seconds` ahead                      |
| redirect       | no        | 301 PermanentRedirect, x-amz-bucket-region    |
| quota          | no        | 403 QuotaExceeded                             |
| login          | no        | 302 to a page that is not S3's                |
| 200-error      | no        | 200 with an <Error> document                  |
| html           | no        | 200 with an HTML page                         |
| reset-before   | no        | connection reset                              |
| reset-mid-body | no        | reset within the request's or answer's body   |
| lost-reply     | yes       | connection closed without an answer           |
| stall          | yes       | nothing for `seconds`, then the answer; with  |
|                |           | `after_bytes`, silence within the body        |
| trickle        | yes       | the body byte by byte, one in `seconds`       |
| truncate       | yes       | the body ends early, then a close             |
| corrupt        | yes       | one flipped bit in the body                   |
| garble         | yes       | other bytes, as many                          |
| shorten, lengthen | yes    | fewer or more bytes, with a length that fits  |
| endless        | yes       | a body without length that never ends         |
| headers        | yes       | a megabyte of header fields                   |
| corrupt-upload | no        | what such a body's digest gives: 400          |
| elsewhere      | no        | 302 to `location`                             |
| portal         | no        | 511 with an HTML page                         |
| empty-pages    | no        | an empty page of a listing, and there is more |
"""

import dataclasses
import itertools
import random
import secrets
import threading
from dataclasses import dataclass, field

from .clock import iso_date
from .errors import S3Error
from .message import Hangup, Response
from .xmlio import document

ERRORS = {"500": "InternalError", "503-slowdown": "SlowDown", "403": "AccessDenied",
          "expired-token": "ExpiredToken", "redirect": "PermanentRedirect",
          "409-conflict": "ConditionalRequestConflict", "quota": "QuotaExceeded",
          "501": "NotImplemented", "skew": "RequestTimeTooSkewed",
          "throttling": "ThrottlingException", "archived": "InvalidObjectState",
          "no-expedited": "GlacierExpeditedRetrievalNotAvailable"}
NOT_OF_S3 = {"html", "login", "portal", "elsewhere"}	# nothing in it says S3
REFUSALS = {*ERRORS, "200-error", "html", "login", "elsewhere", "portal",
            "empty-pages"}
ON_ANSWER = {"reset-mid-body", "truncate", "corrupt", "trickle"}
REWRITES = {"garble", "shorten", "lengthen", "endless", "headers"}
KINDS = {*REFUSALS, *ON_ANSWER, *REWRITES, "500-after-commit", "reset-before",
         "lost-reply", "stall", "corrupt-upload"}
# What a client gets over by itself, by what was asked; see Faults.storm().
ANSWERS = ("500", "503-slowdown", "200-error", "html", "portal", "reset-before",
           "reset-mid-body", "lost-reply", "500-after-commit", "stall")
BODIES = (*ANSWERS, "truncate", "shorten", "lengthen", "endless")
STORM = {"PutObject": (*ANSWERS, "409-conflict", "corrupt-upload"),
         "GetObject": (*BODIES, "corrupt", "garble"), "ListObjectsV2": BODIES,
         "HeadObject": ("500", "503-slowdown", "reset-before", "lost-reply", "stall"),
         "DeleteObject": ANSWERS, "CopyObject": ANSWERS,
         "RestoreObject": (*ANSWERS, "throttling")}
PORTAL = b"<!DOCTYPE html><html><body>Please log in to use this network</body></html>\n"


@dataclass
class Rule:
    """Matches by method or operation name (`verb`), bucket and key prefix; of
    the matching requests fires on the `nth` (from 1) alone, or on each with
    `probability`, in all at most `times`.  With `burst` it fires on so many
    matching requests in a row."""
    kind: str
    verb: str = None
    bucket: str = None
    prefix: str = ""
    probability: float = 1.0
    nth: int = None
    times: int = None
    burst: int = 1
    seconds: float = 1.0		# stall, trickle, skew
    after_bytes: int = None		# of the body; half of it if not given
    region: str = "eu-central-1"	# redirect
    location: str = "http://127.0.0.1:9/"	# elsewhere
    headers: dict = field(default_factory=dict)	# more, of the error
    seen: int = 0
    row: int = 0			# left of a burst
    fired: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind!r}")

    def matches(self, request):
        return (self.verb in (None, request.method, request.operation)
                and self.bucket in (None, request.bucket_name)
                and (request.key or "").startswith(self.prefix))

    def due(self, dice):
        self.seen += 1
        if self.times is not None and self.fired >= self.times:
            return False
        if self.row > 0:
            self.row -= 1
            return True
        if self.nth is not None:
            due = self.seen == self.nth
        else:
            due = self.probability >= 1 or dice.random() < self.probability
        if due:
            self.row = self.burst - 1
        return due

    def strikes_answer(self):
        return self.kind in ON_ANSWER or (
            self.kind == "stall" and self.after_bytes is not None)

    def point(self, length):
        """The offset in a body of `length` where the fault strikes."""
        if self.after_bytes is None:
            return length // 2
        return min(self.after_bytes, length)


class Faults:
    def __init__(self, seed=None):
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self.dice = random.Random(self.seed)
        self.lock = threading.Lock()	# guards the rules and the dice
        self.rules = []

    def add(self, kind, **options):
        rule = Rule(kind, **options)
        with self.lock:
            self.rules.append(rule)
        return rule

    def storm(self, rate, kinds=None, **options):
        """Of all requests so many fail, by each kind that goes with the
        operation (STORM) alike; `kinds` restricts them.  Throttling comes in
        bursts."""
        for operation, fitting in STORM.items():
            chosen = [k for k in fitting if kinds is None or k in kinds]
            for kind in chosen:
                each = 1 - (1 - rate) ** (1 / len(chosen))
                burst = 4 if kind == "503-slowdown" else 1
                self.add(kind, verb=operation, burst=burst,
                         probability=each / burst, **options)

    def clear(self):
        with self.lock:
            self.rules.clear()

    def pick(self, request):
        """The rule that strikes this request, or None."""
        with self.lock:
            for rule in self.rules:
                if rule.matches(request) and rule.due(self.dice):
                    rule.fired += 1
                    return rule
        return None

    def describe(self):
        with self.lock:
            return [dataclasses.asdict(rule) for rule in self.rules]


def before(rule, request):
    """What a fault does before the operation: raise, answer instead of it
    (a Response), or nothing (None)."""
    if rule.kind == "reset-before":
        raise Hangup(reset=True)
    if rule.kind == "stall" and rule.after_bytes is None:
        request.sim.stopping.wait(rule.seconds)
    if rule.kind == "reset-mid-body" and request.body.left:
        request.body.reset_at = request.body.left - rule.point(request.body.left)
    if rule.kind == "corrupt-upload" and request.body.left:
        request.body.flip_at = request.body.left - rule.point(request.body.left)
    if rule.kind not in REFUSALS:
        return None
    request.body.drain()
    if rule.kind in ("html", "portal"):
        return Response.of(200 if rule.kind == "html" else 511, PORTAL, "text/html")
    if rule.kind == "login":
        return Response(302, [("Location", "http://login.invalid/")])
    if rule.kind == "elsewhere":
        return Response.of(302, PORTAL, "text/html", [("Location", rule.location)])
    if rule.kind == "empty-pages":
        return Response.of(200, empty_page(request))
    if rule.kind == "200-error":
        error = S3Error("InternalError", status=200)
        return Response.of(200, error.xml(request.raw_path, request.id))
    raise refusal(rule, request)


def refusal(rule, request):
    error = S3Error(ERRORS[rule.kind])
    error.headers = list(rule.headers.items())
    if rule.kind == "skew":
        error.fields = {"ServerTime": iso_date(request.sim.clock.wall() + rule.seconds)}
    if rule.kind == "redirect":
        host = f"s3.{rule.region}.amazonaws.com"
        error.headers += [("x-amz-bucket-region", rule.region)]
        error.fields = {"Region": rule.region, "Endpoint": host}
    return error


def empty_page(request):
    return document("ListBucketResult", [
        ("Name", request.bucket_name), ("Prefix", request.query.get("prefix", "")),
        ("KeyCount", 0), ("MaxKeys", 1000), ("EncodingType", "url"),
        ("IsTruncated", "true"), ("NextContinuationToken", secrets.token_hex(8))])


def after(rule, response):
    """What a fault does between commit and answer; the answer."""
    if rule.kind == "lost-reply":
        close_pieces(response)
        raise Hangup(reset=False)
    if rule.kind == "500-after-commit":
        close_pieces(response)
        raise S3Error("InternalError")
    if rule.kind in REWRITES:
        return rewritten(rule, response)
    return response


def rewritten(rule, response):
    if rule.kind == "headers":
        more = [(f"x-amz-meta-{i}", "x" * 1000) for i in range(1000)]
        return dataclasses.replace(response, headers=[*response.headers, *more])
    body = b"".join(bytes(piece) for piece in response.pieces)
    if rule.kind == "garble":
        body = random.Random(len(body)).randbytes(len(body))
    elif rule.kind == "shorten":
        body = body[:rule.point(len(body))]
    elif rule.kind == "lengthen":
        body += b"x" * 64
    if rule.kind == "endless":
        pieces = itertools.chain([body], itertools.repeat(b"x" * (1 << 16)))
        return dataclasses.replace(response, pieces=pieces, length=None)
    return dataclasses.replace(response, pieces=[body], length=len(body))


def close_pieces(response):
    getattr(response.pieces, "close", lambda: None)()


def spoil(rule, pieces, length, stopping):
    """The body as the client shall see it."""
    if rule.kind == "trickle":
        for piece in pieces:
            for i in range(len(piece)):
                stopping.wait(rule.seconds)
                yield bytes(piece[i:i + 1])
        return
    point = rule.point(length)
    offset = 0
    for piece in pieces:
        view = memoryview(piece)
        at = point - offset
        offset += len(view)
        if not 0 <= at < len(view):
            yield view
            continue
        yield view[:at]
        if rule.kind == "corrupt":
            yield bytes([view[at] ^ 1])
            yield view[at + 1:]
            continue
        if rule.kind != "stall":
            raise Hangup(reset=rule.kind == "reset-mid-body")
        stopping.wait(rule.seconds)
        yield view[at:]
