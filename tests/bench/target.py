# SPDX-License-Identifier: Apache-2.0
"""Where copies go: a file system that is new for each.

Into one from which thousands of files were just removed, ext4 is several times
slower for a minute: it does not use their inodes again so soon, and searches
(recently_deleted() in the kernel's fs/ext4/ialloc.c).  Who copies second would pay
for who copied first.  Without root, or a free loop device, it is a directory."""
import os
import shutil
import subprocess
import time

SIZE = 16 << 30		# bytes, of which the file takes those that are written
PART = 0.75		# of what the disk has free: full, it would lose what was written
PATIENCE = 30		# s, for who was killed and is not gone yet


class Target:
    """Whatever was left in the directory by a run that was killed goes with the first
    remove()."""

    def __init__(self, directory, say=print):
        self.image = directory / "target.ext4"
        self.at = directory / "target"
        self.path = self.at / "copy"
        self.say = say
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
            f.truncate(min(SIZE, int(shutil.disk_usage(self.image.parent).free * PART)))
        self._do("mkfs.ext4", "-q", "-F", "-m", "0", "-E",
                 "lazy_itable_init=0,lazy_journal_init=0", self.image)
        device = self._do("losetup", "--direct-io=on", "--show", "-f", self.image).strip()
        try:
            self._do("mount", device, self.at)
        finally:	# it goes with its last user, who unmounts
            self._do("losetup", "-d", device)

    @staticmethod
    def _do(*argv):
        return subprocess.run([str(a) for a in argv], check=True, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL).stdout

    def remove(self):
        self._unmount()
        if self.image.exists():
            self._detach()
            self.image.unlink()
        shutil.rmtree(self.at, ignore_errors=True)

    def _unmount(self):
        end = time.monotonic() + PATIENCE
        while os.path.ismount(self.at):
            try:
                self._do("umount", self.at)
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    self._do("umount", "-l", self.at)
                time.sleep(0.05)

    def _detach(self):
        """Devices of the image that were not mounted yet."""
        if shutil.which("losetup"):
            for device in self._do("losetup", "-n", "-O", "NAME", "-j", self.image).split():
                self._do("losetup", "-d", device)
