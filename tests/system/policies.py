# SPDX-License-Identifier: Apache-2.0
"""The policies that we install, filled in for a bucket."""
import json
import pathlib

DIRECTORY = pathlib.Path(__file__).resolve().parents[2] / "share" / "policies"


def policy(name, bucket, prefix="firn"):
    text = (DIRECTORY / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text.replace("BUCKET", bucket).replace("PREFIX", prefix))


def bucket_policy(bucket, users):
    """One policy of a bucket that gives each of `users` (uid: name of a policy)
    what that policy gives a user of AWS."""
    statements = []
    for uid, name in users.items():
        for row in policy(name, bucket)["Statement"]:
            row["Sid"] += uid
            row["Principal"] = {"AWS": [f"arn:aws:iam:::user/{uid}"]}
            statements.append(row)
    return {"Version": "2012-10-17", "Statement": statements}
