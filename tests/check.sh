#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./setup check: every test, in builds of their own, ending with one line that
# counts them.  check.sh SOURCE BUILD
set -eu
top=$1
build=$2
cd "$top"
passed=0 failed=0 skipped=0
logs=$build/logs
mkdir -p "$logs"

say() {
	printf '%s\n' "$*"
}

# ok NAME COMMAND...: one test that is a command; its output is shown when it
# fails.
ok() {
	name=$1
	shift
	log=$logs/$(echo "$name" | tr ' /' '__').log
	begin=$(date +%s)
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		say "ok      $name ($(($(date +%s) - begin)) s)"
	else
		failed=$((failed + 1))
		say "FAILED  $name; the end of $log:"
		tail -n 60 "$log"
	fi
}

# configure and make in a directory
make_in() {
	dir=$1
	shift
	mkdir -p "$dir"
	(cd "$dir" && "$top/configure" "$@" && make -j"$(nproc)")
}

# Run the unit tests of a build and add their counts.
unit() {
	dir=$1
	names=$(unit_names)
	(cd "$dir" && make -j"$(nproc)" $names) \
	    >"$logs/unit-build.log" 2>&1 || {
		tail -n 40 "$logs/unit-build.log"
		failed=$((failed + 1))
		say "FAILED  unit tests of $dir do not build"
		return
	}
	for t in $names; do
		log=$logs/$(basename "$dir")-$t.log
		status=0
		(cd "$dir" && CMOCKA_MESSAGE_OUTPUT=STDOUT TMPDIR=$scratch \
		    "./$t") >"$log" 2>&1 || status=$?
		p=$(grep -c '^\[ *OK \]' "$log" || :)
		f=$(grep -c '^\[ *FAILED *\] [a-z]' "$log" || :)
		s=$(grep -c '^\[ *SKIPPED *\] [a-z]' "$log" || :)
		[ "$f" -gt 0 ] && f=$((f / 2 > 0 ? f / 2 : 1))
		s=$((s / 2 > 0 ? s / 2 : s))
		# A test program that dies counts as a failure, whatever it
		# had printed.
		[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
		passed=$((passed + p)) failed=$((failed + f))
		skipped=$((skipped + s))
		if [ "$f" -gt 0 ]; then
			say "FAILED  $(basename "$dir")/$t; the end of $log:"
			tail -n 60 "$log"
		fi
	done
	say "        unit tests in $(basename "$dir") done"
}

unit_names() {
	for f in tests/unit/test_*.c; do
		basename "$f" .c
	done
}

# Every decoder over its corpus.
corpora() {
	dir=$1
	(cd "$dir" && make -j"$(nproc)" fuzzers) >"$logs/fuzz-build.log" 2>&1 ||
	    { tail -n 40 "$logs/fuzz-build.log"; return 1; }
	for f in tests/fuzz/fuzz_*.c; do
		n=$(basename "$f" .c)
		"$dir/$n" "tests/fuzz/corpus/${n#fuzz_}"/* || return 1
	done
}

# pytest with junit counts.  pytest_run NAME BUILD ARGS...
pytest_run() {
	name=$1 bin=$2
	shift 2
	xml=$logs/$name.xml
	rm -f "$xml"
	status=0
	FIRN_BUILD=$bin TMPDIR=$scratch /usr/bin/python3 -m pytest -q \
	    -p no:cacheprovider --junitxml="$xml" "$@" \
	    >"$logs/$name.log" 2>&1 || status=$?
	counts=$(/usr/bin/python3 - "$xml" <<-'PY' || echo "0 1 0"
	import sys, xml.etree.ElementTree as E
	t = f = s = 0
	for x in E.parse(sys.argv[1]).getroot().iter("testsuite"):
	    t += int(x.get("tests")); s += int(x.get("skipped"))
	    f += int(x.get("failures")) + int(x.get("errors"))
	print(t - f - s, f, s)
	PY
	)
	set -- $counts
	f=$2
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
	passed=$((passed + $1)) failed=$((failed + f)) skipped=$((skipped + $3))
	if [ "$f" -gt 0 ]; then
		say "FAILED  $name: $f; the end of $logs/$name.log:"
		tail -n 120 "$logs/$name.log"
	else
		say "ok      $name: $1 passed, $3 skipped"
	fi
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/firn-check.XXXXXX")
# Tests that drop root must get through.
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

# Always afresh: what is tested is this tree, not an earlier one.
ok "autogen" ./autogen.sh
ok "gcc, no warnings" make_in "$build" --enable-werror
ok "clang, no warnings" make_in "$build/clang" --enable-werror CC=clang
ok "sanitizers build" make_in "$build/asan" --enable-werror \
    --enable-sanitizers CFLAGS="-g -O1"
ok "thread sanitizer build" make_in "$build/tsan" --enable-tsan \
    CFLAGS="-g -O1"
unit "$build"
unit "$build/asan"
ok "fuzz corpora" corpora "$build/asan"
for m in man/*.[1-9]; do
	ok "mandoc $m" sh -c 'mandoc -T lint -W warning "$1"' - "$m"
done
pytest_run simulator "$build" tests/s3sim tests/test_rgw.py
pytest_run system "$build" tests/system
pytest_run sanitizers "$build/asan" tests/system -m sanitize
pytest_run threads "$build/tsan" tests/system -m threads
ok "install, uninstall" sh tests/install.sh "$build" "$scratch/prefix"
ok "distcheck" make -C "$build" distcheck

say
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
