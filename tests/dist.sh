#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make distcheck` proves, in two parts, so that nothing is compiled for
# it alone: between them the check's own builds are made of what was packed.
#
#     dist.sh pack BUILD DIR    pack, and unpack into DIR, where nothing may
#                               change any more
#     dist.sh leave BUILD DIR PREFIX
#                               BUILD was made of DIR, with its prefix below
#                               PREFIX: it can be installed, there and below
#                               DESTDIR, and packed again; afterwards
#                               uninstall and distclean leave nothing, and DIR
#                               is as it was.  Ends BUILD.
set -eu
what=$1 build=$2 dir=$3

die() {
	printf 'dist.sh: %s\n' "$*" >&2
	exit 1
}

# Nothing is wrong with what a command prints unless it prints something.
nothing() {
	message=$1
	shift
	found=$("$@")
	[ -z "$found" ] || die "$message: $found"
}

names() {
	xz -dc "$1" | tar -tf - | sort
}

archive() {
	for a in "$build"/firnfs-*.tar.xz; do
		[ -f "$a" ] || die "$build: make dist has packed nothing"
		printf '%s\n' "$a"
	done
}

pack() {
	if [ -d "$dir" ]; then
		chmod -R u+w "$dir"
		rm -rf "$dir"
	fi
	rm -f "$build"/firnfs-*.tar.xz
	make -C "$build" dist
	mkdir -p "$dir"
	xz -dc "$(archive)" | tar -xf - -C "$dir" --strip-components=1
	mv "$(archive)" "$dir.tar.xz"
	# Root may write all the same: the newest of all tells what came later.
	touch "$dir.stamp"
	chmod -R a-w "$dir"
}

# Installed into one's own prefix as whoever builds it would, and as whoever
# packages it, for whom the prefix itself is out of reach.
install_both() {
	make -C "$build" install
	[ -x "$prefix/bin/firn" ] || die "$prefix/bin/firn: not installed"
	make -C "$build" installcheck
	make -C "$build" uninstall
	nothing "uninstall left" find "$prefix" ! -type d
	chmod -R a-w "$prefix"
	make -C "$build" install DESTDIR="$dest"
	make -C "$build" uninstall DESTDIR="$dest"
	nothing "uninstall below DESTDIR left" find "$dest" ! -type d
	nothing "written outside of DESTDIR" find "$prefix" ! -type d
	chmod -R u+w "$prefix"
}

leave() {
	prefix=$1 dest=$1.dest
	install_both
	make -C "$build" dvi
	make -C "$build" dist
	mkdir -p "$dest"
	names "$(archive)" >"$dest/again"
	names "$dir.tar.xz" >"$dest/first"
	diff "$dest/first" "$dest/again" || die "the second archive has other files"
	rm -f "$(archive)"
	make -C "$build" distcleancheck
	nothing "distclean left" find "$build" -type f
	nothing "changed in the source" find "$dir" -newer "$dir.stamp"
}

case $what in
pack) pack ;;
leave) leave "$4" ;;
*) die "$what: neither pack nor leave" ;;
esac
