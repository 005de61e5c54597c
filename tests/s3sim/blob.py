# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of objects rest: in memory, or one file each.

A store hands out a Writer of known size; the caller reads from the network
into room() and reports wrote(), so that a body is copied once.  Invariant: a
blob never changes after finish(); a reader() got before free() stays good.
"""

import itertools
import os

CHUNK = 1 << 20


class RamStore:
    def writer(self, size, key=None, storage_class=None):
        return RamWriter(size)


class RamWriter:
    def __init__(self, size):
        self.view = memoryview(bytearray(size))
        self.used = 0

    def room(self, size):
        return self.view[self.used:self.used + size]

    def wrote(self, size):
        self.used += size

    def finish(self):
        return RamBlob(self.view)

    def abort(self):
        self.view = None


class RamBlob:
    def __init__(self, view):
        self.view = view
        self.size = len(view)

    def reader(self, start, size):
        return iter([self.view[start:start + size]] if size else [])

    def free(self):
        pass


class FileStore:
    """Files named by a counter, in a directory of its own."""

    def __init__(self, path):
        self.path = path
        self.numbers = itertools.count()
        os.makedirs(path, exist_ok=True)

    def writer(self, size, key=None, storage_class=None):
        name = f"{os.getpid()}-{next(self.numbers)}"
        return FileWriter(os.path.join(self.path, name), size)


class FileWriter:
    def __init__(self, path, size):
        self.path = path
        self.size = size
        self.file = open(path, "xb", buffering=0)
        self.buffer = memoryview(bytearray(min(size, CHUNK)))

    def room(self, size):
        return self.buffer[:size]

    def wrote(self, size):
        left = self.buffer[:size]
        while left:
            left = left[self.file.write(left):]

    def finish(self):
        self.file.close()
        return FileBlob(self.path, self.size)

    def abort(self):
        self.file.close()
        os.unlink(self.path)


class FileBlob:
    def __init__(self, path, size):
        self.path = path
        self.size = size

    def reader(self, start, size):
        """Opens the file now, so that a later free() does not matter."""
        file = open(self.path, "rb", buffering=0)
        file.seek(start)
        return read_pieces(file, size)

    def free(self):
        os.unlink(self.path)


def read_pieces(file, size):
    buffer = memoryview(bytearray(min(size, CHUNK)))
    with file:
        while size:
            got = file.readinto(buffer[:size])
            if not got:
                raise OSError("object file is shorter than its object")
            size -= got
            yield buffer[:got]


class JoinedBlob:
    """The parts of a completed multipart upload, one after the other."""

    def __init__(self, blobs):
        self.blobs = blobs
        self.size = sum(blob.size for blob in blobs)

    def reader(self, start, size):
        readers = []
        for blob in self.blobs:
            take = max(0, min(size, blob.size - start))
            if take:
                readers.append(blob.reader(start, take))
                size -= take
            start = max(0, start - blob.size)
        return itertools.chain.from_iterable(readers)

    def free(self):
        for blob in self.blobs:
            blob.free()


def content(blob):
    """All bytes of a blob, for tests."""
    return b"".join(bytes(piece) for piece in blob.reader(0, blob.size))
