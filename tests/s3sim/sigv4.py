# SPDX-License-Identifier: Apache-2.0
"""Verification of AWS Signature Version 4 in the Authorization header.

The canonical request is made from the request line and headers as received;
nothing is re-encoded.  Invariant: a request that passes was signed over its
exact path and query, its host and all its x-amz-* headers, now, with the
right key, for this region; only the body's hash is still to be checked (by
whoever reads the body).
"""

import calendar
import hashlib
import hmac
import re
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from .clock import iso_date
from .errors import S3Error
from .message import raw_pairs
from .policy import Users

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = 900
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *"
    r"Signature=([0-9a-f]{64})")


@dataclass
class Authorization:
    access_key: str
    date: str
    region: str
    service: str
    terminal: str
    signed: list
    signature: str

    @property
    def scope(self):
        return f"{self.date}/{self.region}/{self.service}/{self.terminal}"


def canonical_query(raw_query):
    """Pairs sorted by name, then value; `acl` becomes `acl=`."""
    pairs = sorted(raw_pairs(raw_query))
    return "&".join(f"{name}={value}" for name, value in pairs)


def canonical_headers(headers, signed):
    lines = []
    for name in signed:
        values = [" ".join(v.split()) for n, v in headers if n == name]
        lines.append(f"{name}:{','.join(values)}\n")
    return "".join(lines)


def canonical_request(method, raw_path, raw_query, headers, signed, payload_hash):
    return "\n".join([method, raw_path, canonical_query(raw_query),
                      canonical_headers(headers, signed),
                      ";".join(signed), payload_hash])


def string_to_sign(stamp, scope, canonical):
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return "\n".join([ALGORITHM, stamp, scope, digest])


def signing_key(secret, date, region, service="s3"):
    key = ("AWS4" + secret).encode()
    for word in (date, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


def signature(key, text):
    return hmac.digest(key, text.encode("latin-1"), "sha256").hex()


def is_canonical(raw, safe):
    """Whether `raw` is percent-encoded in the one way that SigV4 has."""
    return quote(unquote_to_bytes(raw.encode("latin-1")), safe=safe) == raw


def misencoded(request):
    """What of the target is not encoded canonically, or None."""
    if not is_canonical(request.raw_path, "/-_.~"):
        return "path"
    for pair in raw_pairs(request.raw_query):
        if not all(is_canonical(word, "-_.~") for word in pair):
            return "query"
    return None


def parse_authorization(request):
    text = request.header("authorization")
    if text is None:
        if "X-Amz-Algorithm" in request.query:
            raise S3Error("NotImplemented", "Presigned requests are not simulated")
        raise S3Error("AccessDenied")
    match = AUTHORIZATION.fullmatch(text.strip())
    credential = match and match[1].rsplit("/", 4)
    if not match or len(credential) != 5:
        raise S3Error("AuthorizationHeaderMalformed")
    return Authorization(*credential, match[2].split(";"), match[3])


def check_scope(auth, stamp, region):
    def malformed(what, **fields):
        raise S3Error("AuthorizationHeaderMalformed",
                      f"The authorization header is malformed; {what}", **fields)
    if auth.date != stamp[:8]:
        malformed(f'Invalid credential date "{auth.date}". This date is not the '
                  f'same as X-Amz-Date: "{stamp[:8]}".')
    if auth.terminal != "aws4_request":
        malformed('the terminal must be "aws4_request".')
    if auth.service != "s3":
        malformed(f'incorrect service "{auth.service}". This endpoint belongs '
                  'to "s3".')
    if auth.region != region:
        malformed(f"the region '{auth.region}' is wrong; expecting '{region}'",
                  Region=region)


def check_date(stamp, now):
    try:
        when = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date "
                      "or x-amz-date header") from None
    if abs(when - now) > MAX_SKEW:
        raise S3Error("RequestTimeTooSkewed", RequestTime=stamp,
                      ServerTime=iso_date(now),
                      MaxAllowedSkewMilliseconds=MAX_SKEW * 1000)


def check_signed_headers(request, auth):
    if auth.signed != sorted(set(name.lower() for name in auth.signed)):
        raise S3Error("AuthorizationHeaderMalformed",
                      "SignedHeaders must be sorted, lower case and unique")
    must = {n for n, _ in request.headers if n.startswith("x-amz-")} | {"host"}
    unsigned = sorted(must - set(auth.signed))
    if unsigned:
        raise S3Error("AccessDenied", "There were headers present in the request "
                      "which were not signed", HeadersNotSigned=", ".join(unsigned))


def check_payload_hash(request, allow_unsigned):
    """The declared hash is well formed and of a kind that is simulated."""
    declared = request.header("x-amz-content-sha256")
    if declared is None:
        raise S3Error("InvalidRequest", "Missing required header for this "
                      "request: x-amz-content-sha256")
    chunked = "aws-chunked" in request.header("content-encoding", "")
    if declared.startswith("STREAMING-") or chunked:
        raise S3Error("NotImplemented", "aws-chunked is not simulated")
    if declared == "UNSIGNED-PAYLOAD":
        if not allow_unsigned:
            raise S3Error("AccessDenied", "UNSIGNED-PAYLOAD is not allowed here")
    elif not re.fullmatch("[0-9a-f]{64}", declared):
        raise S3Error("InvalidArgument", "x-amz-content-sha256 must be "
                      "UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value.",
                      ArgumentName="x-amz-content-sha256", ArgumentValue=declared)
    return declared


def check_signature(request, auth, secret, stamp):
    canonical = canonical_request(
        request.method, request.raw_path, request.raw_query, request.headers,
        auth.signed, request.payload_hash)
    text = string_to_sign(stamp, auth.scope, canonical)
    expected = signature(signing_key(secret, auth.date, auth.region), text)
    wrong = misencoded(request)
    if wrong is None and hmac.compare_digest(expected, auth.signature):
        return
    message = f"The {wrong} is not canonically encoded." if wrong else None
    raise S3Error("SignatureDoesNotMatch", message,
                  AWSAccessKeyId=auth.access_key, StringToSign=text,
                  SignatureProvided=auth.signature,
                  StringToSignBytes=text.encode("latin-1").hex(" "),
                  CanonicalRequest=canonical,
                  CanonicalRequestBytes=canonical.encode("latin-1").hex(" "))


def verify(request, identity, now, users=None):
    """Raises unless `request` is signed as `identity` says (Identity below), by
    one of `users`, who is returned; its own key's is the only one by default."""
    users = users or Users(identity.access_key, identity.secret_key)
    auth = parse_authorization(request)
    stamp = request.header("x-amz-date", "")
    check_date(stamp, now)
    keys = identity.keys(auth.access_key)
    # Temporary keys have the rights of the first.
    user = users.find(auth.access_key) or (users.first if keys else None)
    if user is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=auth.access_key)
    keys = keys or Keys(user.secret_key)
    if request.header("x-amz-security-token") != keys.token:
        raise S3Error("InvalidToken")
    if keys.expires is not None and now >= keys.expires:
        raise S3Error("ExpiredToken")
    check_scope(auth, stamp, identity.region)
    check_signed_headers(request, auth)
    request.payload_hash = check_payload_hash(request, identity.allow_unsigned)
    check_signature(request, auth, keys.secret, stamp)
    return user


@dataclass
class Keys:
    secret: str
    token: str = None
    expires: float = None	# None: never


@dataclass
class Identity:
    """Who may talk to the simulator, and for which region; `temporary` are
    further keys, by access key."""
    access_key: str = "AKIDTEST"
    secret_key: str = "SECRETTEST"
    region: str = "us-east-1"
    session_token: str = None
    allow_unsigned: bool = False
    temporary: dict = field(default_factory=dict)

    def keys(self, access_key):
        if access_key == self.access_key:
            return Keys(self.secret_key, self.session_token)
        return self.temporary.get(access_key)
