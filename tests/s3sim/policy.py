# SPDX-License-Identifier: Apache-2.0
"""What a key may do: policies in the language of IAM, as far as ours use it.

    sim.users.add("AKWEB1", "SKWEB1", document)	a key with a policy
    sim.users.deny("s3:DeleteObject", prefix="data/")	for the first key
    sim.set_bucket_policy(document)		denials for all keys

Statements with Effect, Action, Resource and the conditions StringEquals,
StringLike and Null on s3:prefix and s3:if-none-match; whatever else stands in
one is refused with ValueError when the policy is given, never ignored.
Invariant: the first key may do everything that is not denied, a further one
nothing that its policy does not allow; a denial goes before.  Who may not list
is not told that an object is missing.
"""

import re
from dataclasses import dataclass

from .errors import S3Error
from .message import decode

ACTIONS = {
    "ListBuckets": "s3:ListAllMyBuckets", "CreateBucket": "s3:CreateBucket",
    "HeadBucket": "s3:ListBucket", "DeleteBucket": "s3:DeleteBucket",
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "PutBucketVersioning": "s3:PutBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetBucketLifecycle": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycle": "s3:PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "CopyObject": "s3:PutObject",
    "ListObjectsV2": "s3:ListBucket", "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "PutObject": "s3:PutObject", "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject", "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject", "RestoreObject": "s3:RestoreObject",
    "CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts"}
OF_VERSION = {"s3:GetObject": "s3:GetObjectVersion",
              "s3:DeleteObject": "s3:DeleteObjectVersion"}
MEMBERS = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}
KEYS = {"s3:prefix", "s3:if-none-match"}


def listed(value):
    return [value] if isinstance(value, str) else list(value)


def like(pattern, text):
    """`*` and `?` as IAM has them."""
    parts = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def equals(wanted, value):
    return value is not None and value in wanted


def matches(wanted, value):
    return value is not None and any(like(pattern, value) for pattern in wanted)


def is_null(wanted, value):
    return [str(value is None).lower()] == [word.lower() for word in wanted]


OPERATORS = {"StringEquals": equals, "StringLike": matches, "Null": is_null}


@dataclass
class Statement:
    allow: bool
    actions: list
    resources: list
    conditions: list			# [(function, key, values)]

    def applies(self, action, resource, context):
        return (any(like(a.lower(), action.lower()) for a in self.actions)
                and any(like(r, resource) for r in self.resources)
                and all(f(values, context.get(key)) for f, key, values
                        in self.conditions))


def parse_condition(row):
    found = []
    for operator, keys in row.items():
        for key, values in keys.items():
            if operator not in OPERATORS or key not in KEYS:
                raise ValueError(f"no such condition: {operator} {key}")
            found.append((OPERATORS[operator], key, listed(values)))
    return found


def parse(document):
    """The statements of a policy document."""
    statements = []
    for row in document["Statement"]:
        unknown = row.keys() - MEMBERS
        if unknown or row["Effect"] not in ("Allow", "Deny"):
            raise ValueError(f"not simulated: {row}")
        statements.append(Statement(
            row["Effect"] == "Allow", listed(row["Action"]),
            listed(row["Resource"]), parse_condition(row.get("Condition", {}))))
    return statements


@dataclass
class User:
    secret_key: str
    all: bool				# what is not denied is allowed
    statements: list


class Users:
    def __init__(self, access_key, secret_key):
        self.first = User(secret_key, True, [])
        self.by_key = {access_key: self.first}

    def add(self, access_key, secret_key, document):
        self.by_key[access_key] = User(secret_key, False, parse(document))

    def deny(self, *actions, prefix=""):
        resources = [f"arn:aws:s3:::*/{prefix}*"] + ([] if prefix else ["arn:aws:s3:::*"])
        self.first.statements.append(Statement(False, list(actions), resources, []))

    def allow_all(self):
        self.first.statements.clear()

    def find(self, access_key):
        return self.by_key.get(access_key)


def allows(user, bucket_statements, action, resource, context):
    found = [s for s in user.statements if s.applies(action, resource, context)]
    denials = [s for s in bucket_statements
               if not s.allow and s.applies(action, resource, context)]
    if denials or not all(s.allow for s in found):
        return False
    return user.all or bool(found)


def check_source(request, user):
    """Who copies must be allowed to read."""
    resource = "arn:aws:s3:::" + decode(request.header("x-amz-copy-source")).lstrip("/")
    if not allows(user, request.sim.bucket_statements, "s3:GetObject",
                  resource.partition("?")[0], {}):
        raise S3Error("AccessDenied")


def authorise(request, user):
    """AccessDenied unless `user` may do what the request asks for."""
    action = ACTIONS[request.operation]
    if "versionId" in request.query:
        action = OF_VERSION.get(action, action)
    resource = f"arn:aws:s3:::{request.bucket_name or ''}"
    if request.key is not None:
        resource += "/" + request.key
    elif action == "s3:DeleteObject":	# each of its keys, which we do not know yet
        resource += "/*"
    context = {"s3:if-none-match": request.header("if-none-match")}
    if request.operation == "ListObjectsV2":
        context["s3:prefix"] = request.query.get("prefix", "")
    statements = request.sim.bucket_statements
    if not allows(user, statements, action, resource, context):
        raise S3Error("AccessDenied")
    if request.operation == "CopyObject":
        check_source(request, user)
    request.may_list = allows(user, statements, "s3:ListBucket",
                              f"arn:aws:s3:::{request.bucket_name}", {})
