#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./setup demo: one whole round on a real directory of this machine, with every
# command shown as a person would type it.
set -eu
build=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/firn-demo.XXXXXX")
mounted=
cleanup() {
	[ -z "$mounted" ] || umount "$work/mnt" 2>/dev/null ||
	    fusermount3 -u "$work/mnt" 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

PATH=$build:$PATH
export FIRN_REPOSITORY=$work/repository FIRN_PASSWORD_FILE=$work/password \
    FIRN_CACHE_DIR=$work/cache
umask 077
head -c 24 /dev/urandom | base64 > "$FIRN_PASSWORD_FILE"

run() {
	printf '\n$ %s\n' "$*"
	"$@"
}

# Something real, with a change between the two generations.
source=$work/etc
cp -a /etc/. "$source/" 2>/dev/null || [ -d "$source/init.d" ] ||
    [ -f "$source/passwd" ]
file=$source/firn-demo.txt
echo "the first version" > "$file"

printf '%s\n' "firnfs: backups as directories." \
    "A copy of /etc is backed up twice, with a change between."
run firn init
run firn backup --series etc "$source"
echo "the second version" > "$file"
run firn backup --series etc "$source"
run firn generations

host=$(hostname)
if [ -e /dev/fuse ]; then
	mkdir "$work/mnt"
	run firn mount "$work/mnt"
	mounted=1
	printf '\n$ ls -l %s %s\n' "$work/mnt" "$work/mnt/hosts/$host/etc"
	ls -l "$work/mnt" "$work/mnt/hosts/$host/etc"
	first=$(ls "$work/mnt/hosts/$host/etc" | head -n 1)
	run cp "$work/mnt/hosts/$host/etc/$first$file" "$work/first.txt"
	run cp "$work/mnt/hosts/$host/etc/latest$file" "$work/second.txt"
else
	printf '\nThere is no /dev/fuse here, so nothing can be mounted;' \
	printf ' firn restore copies out instead.\n'
	run firn restore -q "$host/etc/latest~1:$source" "$work/one"
	run firn restore -q "$host/etc/latest:$source" "$work/two"
	cp "$work/one/firn-demo.txt" "$work/first.txt"
	cp "$work/two/firn-demo.txt" "$work/second.txt"
fi
run cat "$work/first.txt" "$work/second.txt"
[ "$(cat "$work/first.txt")" = "the first version" ] &&
    [ "$(cat "$work/second.txt")" = "the second version" ] || {
	echo "setup: the copies are not what was backed up" >&2
	exit 1
}
if [ -n "$mounted" ]; then
	diff -r --no-dereference "$source" "$work/mnt/latest$source" >/dev/null ||
	    { echo "setup: the mounted tree differs" >&2; exit 1; }
	run umount "$work/mnt" 2>/dev/null || run fusermount3 -u "$work/mnt"
	mounted=
fi
cat <<TEXT

Both copies are right, and the newest generation is the same as the source.

To do this with a directory of yours:

  export PATH=$build:\$PATH
  export FIRN_REPOSITORY=/srv/backup       # a directory ...
  firn init                                # asks for a password
  firn backup /home
  mkdir -p /mnt/backup && firn mount /mnt/backup
  ls /mnt/backup/latest/home
  cp -a /mnt/backup/latest/home/FILE .
  umount /mnt/backup

or with S3, all else the same:

  export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... AWS_REGION=...
  export FIRN_REPOSITORY=s3://BUCKET/PREFIX
TEXT
