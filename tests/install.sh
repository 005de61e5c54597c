#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make install puts everything in its place, and make uninstall takes all of it
# away again.  install.sh BUILD PREFIX
set -eu
build=$1 prefix=$2
make -C "$build" install prefix="$prefix" >/dev/null
for f in bin/firn sbin/firnfs sbin/mount.fuse.firnfs share/man/man1/firn.1 \
    share/man/man8/firnfs.8 share/man/man5/firn-format.5 \
    share/firn/prices.conf share/man/man7/firn-policy.7 \
    share/doc/firnfs/policies/write-only.json; do
	[ -e "$prefix/$f" ] || { echo "not installed: $f" >&2; exit 1; }
done
"$prefix/bin/firn" --version
make -C "$build" uninstall prefix="$prefix" >/dev/null
left=$(find "$prefix" ! -type d)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
