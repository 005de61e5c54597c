# SPDX-License-Identifier: Apache-2.0
"""The objects of a repository, behind firn's back and the same for every store.

    firn.objects.names("data/"), .sizes(), .get(name), .put(name, data), .delete(name)

Names are those of firn-format(5), such as "data/ab/...".  In a versioned bucket
put() lays a version on top, and delete() a delete marker."""
import pathlib
import xml.etree.ElementTree as ElementTree

from s3sim.client import Client


class Objects:
    def names(self, prefix=""):
        return sorted(self.sizes(prefix))

    def stored(self, prefix="data/"):
        """Bytes of all objects whose names begin so."""
        return sum(self.sizes(prefix).values())


class LocalObjects(Objects):
    def __init__(self, top):
        self.top = pathlib.Path(top)

    def sizes(self, prefix=""):
        """Size by name; what is on its way to a name is not there yet."""
        found = {}
        for path in self.top.rglob("*"):
            name = str(path.relative_to(self.top))
            if name.startswith(prefix) and not name.startswith("tmp/") and path.is_file():
                found[name] = path.stat().st_size
        return found

    def get(self, name):
        return (self.top / name).read_bytes()

    def put(self, name, data):
        (self.top / name).parent.mkdir(exist_ok=True)
        (self.top / name).write_bytes(data)

    def delete(self, name):
        (self.top / name).unlink()


class BucketObjects(Objects):
    NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"

    def __init__(self, url, access_key, secret_key, bucket, prefix):
        self.account = url, access_key, secret_key
        self.bucket, self.prefix = bucket, prefix + "/"

    def ask(self, method, name="", **more):
        key = self.prefix + name if name else ""
        with Client(*self.account) as client:
            answer = client.request(method, self.bucket, key, **more)
        assert answer.status < 300, f"{method} {key}: {answer}"
        return answer.body

    def sizes(self, prefix=""):
        found, token = {}, {}
        while True:
            root = ElementTree.fromstring(self.ask("GET", query={
                "list-type": "2", "prefix": self.prefix + prefix, **token}))
            for node in root.iter(self.NS + "Contents"):
                name = node.findtext(self.NS + "Key").removeprefix(self.prefix)
                found[name] = int(node.findtext(self.NS + "Size"))
            following = root.findtext(self.NS + "NextContinuationToken")
            if not following:
                return found
            token = {"continuation-token": following}

    def get(self, name):
        return self.ask("GET", name)

    def put(self, name, data):
        self.ask("PUT", name, body=data)

    def delete(self, name):
        self.ask("DELETE", name)
