#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./setup check: every test, in builds of their own.
#
#     check.sh SOURCE BUILD [STORES]
#
# STORES is "usual" or "every": over which stores the system tests run (the mark
# `stores` in tests/conftest.py).
#
# The end of the output is what one sees of a run elsewhere.  So what failed is
# told there: how each failure ended, a list of them, and as the last line
# "N passed, N failed, N skipped".
set -eu
top=$1
build=$2
stores=${3:-usual}
cd "$top"
jobs=$(nproc)
logs=$build/logs
results=$logs/results
rm -rf "$results"
mkdir -p "$results"

# Steps may run at the same time, so each leaves what it found in files of
# $results: NAME.count with "passed failed skipped" and, when something failed,
# NAME.failed with a line for each failure and NAME.why with how it ended.

say() {
	printf '%s\n' "$*"
}

slug() {
	printf '%s' "$1" | tr -c 'A-Za-z0-9._-' _
}

seconds_since() {
	echo "$(($(date +%s) - $1)) s"
}

# finish NAME BEGIN PASSED FAILED SKIPPED: a step is over.
finish() {
	echo "$3 $4 $5" >"$results/$(slug "$1").count"
	word=ok
	[ "$4" = 0 ] || word=FAILED
	[ "$3 $4 $5" = "1 0 0" ] || [ "$3 $4 $5" = "0 1 0" ] ||
	    set -- "$1: $3 passed, $4 failed, $5 skipped" "$2"
	say "$(printf '%-7s' $word) $1 ($(seconds_since "$2"))"
}

# ok NAME COMMAND...: one test that is a command.
ok() {
	name=$1
	shift
	file=$(slug "$name")
	begin=$(date +%s)
	status=0
	"$@" >"$logs/$file.log" 2>&1 </dev/null || status=$?
	if [ "$status" = 0 ]; then
		finish "$name" "$begin" 1 0 0
	else
		echo "$name: status $status" >"$results/$file.failed"
		tail -n 60 "$logs/$file.log" >"$results/$file.why"
		finish "$name" "$begin" 0 1 0
	fi
}

# make_in SOURCE DIR ARGS...: configure and make in a directory
make_in() {
	from=$1 dir=$2
	shift 2
	mkdir -p "$dir"
	(cd "$dir" && "$from/configure" "$@" && make -j"$jobs")
}

# The same where nothing is built twice: what to remember for that would be a
# third of what configure does.
make_once() {
	rm -rf "$2"
	make_in "$@" --disable-dependency-tracking
}

# The warnings of clang in a directory, and nothing made.
warnings_in() {
	rm -rf "$1"
	mkdir -p "$1"
	(cd "$1" && "$top/configure" --enable-werror CC=clang \
	    --disable-dependency-tracking &&
	    make -j"$jobs" CC="sh $top/tests/warn.sh clang" AR=: RANLIB=:)
}

# Names of tests that cmocka marks with a word, from the log of a program.
marked() {
	sed -n 's/^\[ *'"$1"' *\] \([A-Za-z0-9_]*\)$/\1/p' "$2" | sort -u
}

# Count one program of a build, whose log and result `make check` has left.
# A program that dies is a failure, whatever it had printed.
count_unit() {
	dir=$1 t=$2
	log=$dir/$t.log
	if [ ! -f "$dir/$t.trs" ]; then
		say "$name: $t was not built or not run" >>"$results/$file.failed"
		return
	fi
	passed=$((passed + $(marked OK "$log" | wc -l)))
	skipped=$((skipped + $(marked SKIPPED "$log" | wc -l)))
	if ! grep -q '^:test-result: \(PASS\|SKIP\)' "$dir/$t.trs"; then
		names=$(marked FAILED "$log")
		for n in ${names:-died}; do
			say "$name: $t: $n" >>"$results/$file.failed"
		done
		{ say "--- $log"; tail -n 60 "$log"; } >>"$results/$file.why"
	fi
}

# Run the unit tests of a build and add their counts.  The libraries have been
# built as they are; what the tests themselves are compiled and linked with is
# for speed: gold, where it is there, takes a third of the time.
unit() {
	name=$1 dir=$2
	file=$(slug "$name")
	begin=$(date +%s)
	passed=0 skipped=0
	rm -f "$dir"/test_*.trs
	if ! CMOCKA_MESSAGE_OUTPUT=STDOUT TMPDIR=$scratch \
	    make -C "$dir" -k -j"$jobs" CFLAGS="-g1 -O0" \
	    LDFLAGS="$fast_link" check >"$logs/$file.log" 2>&1 </dev/null
	then
		tail -n 30 "$logs/$file.log" >"$results/$file.why"
	fi
	for t in tests/unit/test_*.c; do
		count_unit "$dir" "$(basename "$t" .c)"
	done
	[ ! -f "$results/$file.why" ] || [ -f "$results/$file.failed" ] ||
	    say "$name: make check failed" >"$results/$file.failed"
	failed=0
	[ ! -f "$results/$file.failed" ] ||
	    failed=$(wc -l <"$results/$file.failed")
	finish "$name" "$begin" "$passed" "$failed" "$skipped"
}

# Every decoder over its corpus.
corpora() {
	dir=$1
	make -C "$dir" -j"$jobs" LDFLAGS="$fast_link" fuzzers || return 1
	for f in tests/fuzz/fuzz_*.c; do
		n=$(basename "$f" .c)
		"$dir/$n" "tests/fuzz/corpus/${n#fuzz_}"/* || return 1
	done
}

# python NAME BUILD STORES ARGS...: pytest in as many processes as keep all
# cores at work, since some of the tests wait.
python() {
	name=$1 bin=$2 over=$3
	shift 3
	file=$(slug "$name")
	begin=$(date +%s)
	xml=$logs/$file.xml
	rm -f "$xml"
	status=0
	# No byte code: `make dist` packs tests/ meanwhile.
	FIRN_BUILD=$bin FIRN_STORES=$over TMPDIR=$scratch \
	    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q \
	    -p no:cacheprovider -n $((jobs + 1)) --dist loadgroup \
	    --durations=40 --junitxml="$xml" "$@" \
	    >"$logs/$file.log" 2>&1 </dev/null || status=$?
	counts=$(/usr/bin/python3 tests/junit.py "$name" "$status" "$xml" \
	    "$logs/$file.log" "$results/$file")
	finish "$name" "$begin" $counts
}

# Everything that has failed, then the count.
summary() {
	for why in "$results"/*.why; do
		[ -f "$why" ] || continue
		say
		say "===== $(basename "$why" .why)"
		cat "$why"
	done
	for list in "$results"/*.failed; do
		[ -f "$list" ] || continue
		sed 's/^/FAILED  /' "$list"
	done
	say
	cat "$results"/*.count 2>/dev/null | awk '
		{ p += $1; f += $2; s += $3 }
		END { printf "%d passed, %d failed, %d skipped\n", p, f, s }'
	! ls "$results"/*.failed >/dev/null 2>&1
}

# End what was started below a process, by its id; in the background nothing
# ends by the terminal's word.
end_below() {
	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		(end_below "$child")
		kill "$child" 2>/dev/null || :
	done
}

interrupted() {
	trap - INT TERM HUP
	end_below $$
	say "interrupted; what had been found so far:"
	summary || :
	exit 130
}

fast_link=
if command -v ld.gold >/dev/null 2>&1; then
	fast_link=-fuse-ld=gold
fi
packed=$build/packed
scratch=$(mktemp -d "${TMPDIR:-/tmp}/firn-check.XXXXXX")
# Tests that drop root must get through.
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
trap interrupted INT TERM HUP

# Always afresh: what is tested is this tree, not an earlier one.  The steps
# between two lines with `wait` run at the same time: configure, linking and
# many a test leave a core idle.
ok "autogen" ./autogen.sh
{
	ok "gcc, no warnings" make_in "$top" "$build" --enable-werror \
	    CFLAGS="-g1 -O2"
	ok "packed" env XZ_OPT=-0 sh tests/dist.sh pack "$build" "$packed"
} &
ok "clang, no warnings" warnings_in "$build/clang" &
wait
# These are made of what was packed, which shows that it is all there, without
# compiling once more for that.  Lines for traces are all that is wanted of the
# debugger's tables: a quarter less to compile.
ok "sanitizers build" make_once "$packed" "$build/asan" --enable-werror \
    --enable-sanitizers CFLAGS="-g1 -O1" &
ok "thread sanitizer build" make_once "$packed" "$build/tsan" --enable-tsan \
    --prefix="$scratch/packed" CFLAGS="-g1 -O1" &
wait
unit "unit tests" "$build" &
unit "unit tests, sanitizers" "$build/asan" &
python "simulator" "$build" "$stores" tests/s3sim tests/test_rgw.py &
wait
ok "fuzz corpora" corpora "$build/asan" &
for m in man/*.[1-9]; do
	ok "mandoc $m" mandoc -T lint -W warning "$m"
done
ok "install, uninstall" sh tests/install.sh "$build" "$scratch/prefix"
wait
python "system" "$build" "$stores" tests/system &
wait
python "sanitizers" "$build/asan" sanitize tests/system -m sanitize &
{
	python "threads" "$build/tsan" sanitize tests/system -m threads
	ok "installed and cleaned up" sh tests/dist.sh leave "$build/tsan" \
	    "$packed" "$scratch/packed"
} &
wait
summary
