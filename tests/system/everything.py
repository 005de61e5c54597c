# SPDX-License-Identifier: Apache-2.0
"""Makes one tree with everything in it that a Linux file system can hold."""
import errno
import os
import socket
import stat
import struct
import subprocess

NS = 1_000_000_000


def acl(*entries):
    """A POSIX ACL as its xattr holds it: (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NOBODY = 0xFFFFFFFF


def set_times(path, mtime_ns):
    os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def names(d):
    n = os.path.join(d, "names")
    os.mkdir(n)
    raw = os.fsencode(n)
    for i in range(1, 256):
        if i != 0x2F:
            with open(raw + b"/" + b"x" + bytes([i]), "wb") as f:
                f.write(bytes([i]))
    everything = bytes(i for i in range(1, 256) if i != 0x2F)
    with open(raw + b"/" + (everything + b"ab")[:255], "wb") as f:
        f.write(b"long")
    with open(raw + b"/" + b"\xff" * 255, "wb") as f:
        f.write(b"ff")


def links(d):
    os.mkdir(d + "/one")
    os.mkdir(d + "/two")
    for i, content in enumerate([b"", b"small", os.urandom(700_000)]):
        with open(f"{d}/one/h{i}", "wb") as f:
            f.write(content)
        os.link(f"{d}/one/h{i}", f"{d}/two/h{i}")
        os.link(f"{d}/one/h{i}", f"{d}/one/again{i}")
    os.symlink("one/h1", d + "/symlink")
    os.symlink("/nowhere/at all", d + "/dangling")
    os.symlink("t" * 4095, d + "/longest")
    os.link(d + "/symlink", d + "/two/symlink", follow_symlinks=False)
    os.symlink(b"\xff\x01\n", os.fsencode(d) + b"/bytes")


def specials(d):
    os.mkdir(d + "/special")
    os.mkfifo(d + "/special/fifo", 0o640)
    os.link(d + "/special/fifo", d + "/special/fifo2")
    s = socket.socket(socket.AF_UNIX)
    here = os.open(d + "/special", os.O_RDONLY)
    s.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    s.close()
    os.mknod(d + "/special/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(d + "/special/block", stat.S_IFBLK | 0o600, os.makedev(259, 70000))


def modes(d):
    os.mkdir(d + "/modes")
    for m in (0o4755, 0o2755, 0o6711, 0o1777, 0o000, 0o444, 0o7777):
        path = f"{d}/modes/f{m:o}"
        with open(path, "w", encoding="ascii") as f:
            f.write("x")
        os.chown(path, 1000 + m % 7, 2000 + m % 5)
        os.chmod(path, m)
        os.mkdir(path + "d")
        os.chown(path + "d", 65534, 65534)
        os.chmod(path + "d", m)
    with open(d + "/modes/bigids", "w", encoding="ascii") as f:
        f.write("x")
    os.chown(d + "/modes/bigids", 4_000_000_000, 4_000_000_001)


def attributes(d):
    """Xattrs; what the file system refuses is left out and named."""
    os.mkdir(d + "/attributes")
    missing = []

    def put(path, name, value):
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except OSError as e:
            if e.errno not in (errno.EOPNOTSUPP, errno.ENOSPC, errno.E2BIG, errno.ERANGE):
                raise
            missing.append((name, len(value)))

    def make(name):
        path = f"{d}/attributes/{name}"
        with open(path, "w", encoding="ascii") as f:
            f.write(name)
        return path

    f = make("user")
    put(f, "user.empty", b"")
    put(f, "user.text", b"value")
    put(f, "user.binary", bytes(range(256)))
    put(f, "trusted.secret", b"root only")
    f = make("medium")
    for i in range(40):
        put(f, f"user.n{i}", bytes([i]) * 50)
    f = make("large")
    put(f, "user.large", os.urandom(65536))
    # The largest that Linux lets be, also where user.* is kept elsewhere.
    put(make("trusted"), "trusted.large", os.urandom(65536))
    f = make("capability")
    put(f, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    f = make("acl")
    put(f, "system.posix_acl_access", acl(
        (USER_OBJ, 6, NOBODY), (USER, 4, 1234), (GROUP_OBJ, 0, NOBODY), (GROUP, 6, 4321),
        (MASK, 6, NOBODY), (OTHER, 0, NOBODY)))
    sub = d + "/attributes/acldir"
    os.mkdir(sub)
    put(sub, "system.posix_acl_default", acl(
        (USER_OBJ, 7, NOBODY), (USER, 5, 1234), (GROUP_OBJ, 5, NOBODY), (MASK, 5, NOBODY),
        (OTHER, 0, NOBODY)))
    put(sub, "user.on-a-directory", b"yes")
    os.symlink("user", d + "/attributes/link")
    put(d + "/attributes/link", "trusted.on-a-symlink", b"yes")
    return missing


def times(d):
    os.mkdir(d + "/times")
    for name, t in (("before1970", -86400 * 365 * 30 * NS + 123456789),
                    ("epoch", 0), ("negative", -1), ("after2038", 2**32 * NS + 999999999),
                    ("far", 9_000_000_000 * NS + 1)):
        path = f"{d}/times/{name}"
        with open(path, "w", encoding="ascii") as f:
            f.write(name)
        set_times(path, t)
    os.symlink("x", d + "/times/link")
    set_times(d + "/times/link", 1_000_000_000 * NS + 5)
    os.mkdir(d + "/times/dir")
    set_times(d + "/times/dir", 1_111_111_111 * NS + 11)


def holes(d):
    os.mkdir(d + "/holes")

    def sparse(name, size, pieces):
        with open(f"{d}/holes/{name}", "wb") as f:
            f.truncate(size)
            for off, n in pieces:
                f.seek(off)
                f.write(os.urandom(n))

    sparse("all", 10_000_000, [])
    sparse("small", 4096 * 3, [])
    sparse("begin", 3_000_000, [(2_990_080, 9920)])
    sparse("end", 3_000_000, [(0, 8192)])
    sparse("many", 64 << 20, [(i << 20, 4096) for i in range(0, 64, 2)])
    sparse("terabyte", 1 << 40, [(0, 4096), (1 << 39, 1 << 20), ((1 << 40) - 4096, 4096)])


def deep(d, length=4000):
    """A path so many bytes long, with a file at its end."""
    here = os.open(d, os.O_RDONLY)
    used = len(os.fsencode(d))
    while used < length - 60:
        name = "d" * 50
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        used += 51
    fd = os.open("file-at-the-end", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
    os.write(fd, b"deep\n")
    os.close(fd)
    os.close(here)


def make(d):
    """Fill directory d; returns what the file system could not hold."""
    d = str(d)
    os.mkdir(d + "/emptydir")
    with open(d + "/empty", "wb"):
        pass
    for size in (1, 511, 512, 513, 4096, 209_714, 209_715, 209_716, 1 << 20, 5_000_000):
        with open(f"{d}/size{size}", "wb") as f:
            f.write(os.urandom(size))
    names(d)
    links(d)
    specials(d)
    modes(d)
    missing = attributes(d)
    times(d)
    holes(d)
    deep(d)
    return missing


def hole_map(path):
    """[(start, end of data)], as lseek tells it."""
    out = []
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        pos = 0
        while pos < size:
            try:
                data = os.lseek(fd, pos, os.SEEK_DATA)
            except OSError as e:
                if e.errno != errno.ENXIO:
                    raise
                break
            end = os.lseek(fd, data, os.SEEK_HOLE)
            out.append((data, end))
            pos = end
    finally:
        os.close(fd)
    return out


def snapshot(top):
    """Everything about a tree that stat, readlink and xattrs tell, by path.

    Inode numbers are replaced by link groups, since they cannot be the same."""
    top = os.fsencode(top)
    groups, out = {}, {}
    for parent, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(dirs + files):
            path = parent + b"/" + name
            st = os.lstat(path)
            rel = path[len(top):]
            key = (st.st_dev, st.st_ino)
            group = groups.setdefault(key, rel) if st.st_nlink > 1 and \
                not stat.S_ISDIR(st.st_mode) else None
            out[rel] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns,
                        st.st_size if not stat.S_ISDIR(st.st_mode) else 0,
                        st.st_rdev if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode)
                        else 0,
                        st.st_nlink if not stat.S_ISDIR(st.st_mode) else 0, group,
                        os.readlink(path) if stat.S_ISLNK(st.st_mode) else None,
                        tuple(sorted((n, os.getxattr(path, n, follow_symlinks=False))
                                     for n in os.listxattr(path, follow_symlinks=False))))
    return out


def remove(top):
    subprocess.run(["rm", "-rf", str(top)], check=False)
