# SPDX-License-Identifier: Apache-2.0
"""What the tests of the simulator share: expectations, digests, XML."""

import base64
import hashlib
import xml.etree.ElementTree as ElementTree

NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
ANY = {"If-None-Match": "*"}


def b64(data):
    return base64.b64encode(data).decode()


def etag(data):
    return '"%s"' % hashlib.md5(data).hexdigest()


def expect(answer, status, code=None):
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["x-amz-request-id"]
    return answer


def put(s3, key, body=b"x", bucket="buck", **options):
    return expect(s3.request("PUT", bucket, key, body=body, **options), 200)


def texts(answer, path):
    root = ElementTree.fromstring(answer.body)
    return [node.text or "" for node in root.findall(NS + path.replace("/", "/" + NS))]
