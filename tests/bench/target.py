# SPDX-License-Identifier: Apache-2.0
"""Where copies go: a file system that is new for each.

Into one from which thousands of files were just removed, ext4 is several times
slower for a minute: it does not use their inodes again so soon, and searches
(recently_deleted() in the kernel's fs/ext4/ialloc.c).  Who copies second would pay
for who copied first.  Without root, or a free loop device, it is a directory."""
import os
import shutil
import subprocess

SIZE = 16 << 30		# bytes, of which the file takes those that are written


class Target:
    def __init__(self, directory, say=print):
        self.image = directory / "target.ext4"
        self.at = directory / "target"
        self.path = self.at / "copy"
        self.say = say
        self.device = None
        self.can_mount = os.geteuid() == 0

    def fresh(self):
        """A path in a place where nothing has been."""
        self.remove()
        self.at.mkdir(exist_ok=True)
        if self.can_mount:
            try:
                self._mount()
            except (OSError, subprocess.CalledProcessError) as e:
                self.remove()
                self.at.mkdir()
                self.can_mount = False
                why = (getattr(e, "stderr", None) or str(e)).strip()
                self.say(f"copies go into a directory: {why}")
        return self.path

    def _mount(self):
        with open(self.image, "wb") as f:
            f.truncate(SIZE)
        self._do("mkfs.ext4", "-q", "-F", "-m", "0", "-E",
                 "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.device = self._do("losetup", "--direct-io=on", "--show", "-f",
                               self.image).strip()
        self._do("mount", self.device, self.at)

    @staticmethod
    def _do(*argv):
        return subprocess.run([str(a) for a in argv], check=True, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL).stdout

    def remove(self):
        if os.path.ismount(self.at):
            self._do("umount", self.at)
        if self.device:
            self._do("losetup", "-d", self.device)
            self.device = None
        self.image.unlink(missing_ok=True)
        shutil.rmtree(self.at, ignore_errors=True)
