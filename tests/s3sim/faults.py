# SPDX-License-Identifier: Apache-2.0
"""Fault injection: rules that say which requests go wrong, and how.

A request meets the rules in the order they were added; the first that fires
is its fault.  Invariant: with one seed and one order of requests the same
requests fail; a fault marked as before the commit changes no state.

| kind           | committed | the client sees                               |
| 500, 503-slowdown, 403, expired-token, 409-conflict, no-expedited (503)     |
|                | no        | that error                                    |
| 500-after-commit | yes     | 500 InternalError                             |
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
"""

import dataclasses
import random
import threading
from dataclasses import dataclass, field

from .errors import S3Error
from .message import Hangup, Response

ERRORS = {"500": "InternalError", "503-slowdown": "SlowDown", "403": "AccessDenied",
          "expired-token": "ExpiredToken", "redirect": "PermanentRedirect",
          "409-conflict": "ConditionalRequestConflict", "quota": "QuotaExceeded",
          "no-expedited": "GlacierExpeditedRetrievalNotAvailable"}
NOT_OF_S3 = {"html", "login"}	# nothing in the answer says S3
REFUSALS = {*ERRORS, "200-error", "html", "login"}
ON_ANSWER = {"reset-mid-body", "truncate", "corrupt", "trickle"}
KINDS = {*REFUSALS, *ON_ANSWER, "500-after-commit", "reset-before", "lost-reply",
         "stall"}
PORTAL = b"<!DOCTYPE html><html><body>Please log in to use this network</body></html>\n"


@dataclass
class Rule:
    """Matches by method or operation name (`verb`), bucket and key prefix; of
    the matching requests fires on the `nth` (from 1) alone, or on each with
    `probability`, in all at most `times`."""
    kind: str
    verb: str = None
    bucket: str = None
    prefix: str = ""
    probability: float = 1.0
    nth: int = None
    times: int = None
    seconds: float = 1.0		# stall, trickle
    after_bytes: int = None		# of the body; half of it if not given
    region: str = "eu-central-1"	# redirect
    headers: dict = field(default_factory=dict)	# more, of the error
    seen: int = 0
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
        if self.nth is not None:
            return self.seen == self.nth
        return self.probability >= 1 or dice.random() < self.probability

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
    if rule.kind not in REFUSALS:
        return None
    request.body.drain()
    if rule.kind == "html":
        return Response.of(200, PORTAL, "text/html")
    if rule.kind == "login":
        return Response(302, [("Location", "http://login.invalid/")])
    if rule.kind == "200-error":
        error = S3Error("InternalError", status=200)
        return Response.of(200, error.xml(request.raw_path, request.id))
    raise refusal(rule)


def refusal(rule):
    error = S3Error(ERRORS[rule.kind])
    error.headers = list(rule.headers.items())
    if rule.kind == "redirect":
        host = f"s3.{rule.region}.amazonaws.com"
        error.headers += [("x-amz-bucket-region", rule.region)]
        error.fields = {"Region": rule.region, "Endpoint": host}
    return error


def after(rule, response):
    """What a fault does between commit and answer."""
    if rule.kind == "lost-reply":
        close_pieces(response)
        raise Hangup(reset=False)
    if rule.kind == "500-after-commit":
        close_pieces(response)
        raise S3Error("InternalError")


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
