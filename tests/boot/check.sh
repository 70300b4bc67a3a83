#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs `skiff check` on this machine's real KVM and holds its answers against each other: the exit
# status, the text, the JSON and --quiet must tell the same story. Whether Linux can run is not
# this test's to know, unless SKIFF_EXPECT_LINUX says so: 1 in the lab and on good hardware, 0 on a
# host known to be unfit. Prints a line for each point; exit 0 all well, 1 not, 77 nothing to test.
set -u

tree=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
skiff=${SKIFF_PROGRAM:-$tree/build/skiff}
kvm=${SKIFF_KVM:-/dev/kvm}
expect=${SKIFF_EXPECT_LINUX:-}
failed=0

[ -x "$skiff" ] || { echo "SKIP check: $skiff is not built"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

ok() { echo "ok   check: $*"; }
fail() { echo "FAIL check: $*"; failed=1; }
skip() { echo "SKIP check: $*"; }

# Runs skiff check with the given arguments; leaves $status, $dir/out and $dir/err.
check() {
	timeout -k 5 30 "$skiff" check "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
}

# is NAME WANTED: the last run's exit status
is() {
	if [ "$status" = "$2" ]; then ok "$1"
	else fail "$1: exit status $status, expected $2"; sed 's/^/     | /' "$dir/out" "$dir/err"
	fi
}

# says NAME PATTERN [FILE]
says() {
	if grep -q -- "$2" "$dir/${3-out}"; then ok "$1"
	else fail "$1: no line with '$2'"; sed 's/^/     | /' "$dir/out" "$dir/err"
	fi
}

# that NAME COMMAND...: a point that holds if the command says so
that() {
	local name=$1

	shift
	if "$@"; then ok "$name"; else fail "$name"; fi
}

# Conditions for `that`: no line of the output has PATTERN; nothing was said at all.
# shellcheck disable=SC2317
without() { ! LC_ALL=C grep -q -- "$1" "$dir/out"; }
# shellcheck disable=SC2317
silent() { [ ! -s "$dir/out" ] && [ ! -s "$dir/err" ]; }

# field NAME: a top-level key of the JSON object, by a real parser
field() {
	python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1" <"$dir/out"
}

check --kvm "$kvm"
case $status in
0) answer=0; says "the text says yes" '^Linux can run here\.$';;
1) answer=1; says "the text says no and why" '^Linux cannot run here: ..*';;
*) answer=''; is "it answers" 0;;
esac
that "nothing on standard error" [ ! -s "$dir/err" ]
that "no colours in a file" without $'\033'
case $answer in
0) that "nothing is missing" without MISSING;;
1) says "something is missing" ' MISSING ';;
esac

if [ -c "$kvm" ] && [ -r "$kvm" ] && [ -w "$kvm" ]; then
	says "the micro-guest ran" '^guest  *64-bit code  *ok'
	if [ "$(uname -m)" = x86_64 ]; then
		says "int3 was tried" '^guest  *int3 '
		# An instruction that failed is named with its bytes: the first is the one-byte int3.
		if grep -q '^guest  *int3  *MISSING' "$dir/out"; then
			says "int3's failure is explained" 'int3 .*suberror 1.*instruction bytes cc '
		fi
	fi
else
	skip "the micro-guest: $kvm cannot be opened"
fi

case $expect in
1) that "Linux can run, as expected" [ "$answer" = 0 ];;
0) that "Linux cannot run, as expected" [ "$answer" = 1 ];;
*) skip "whether Linux should run here: SKIFF_EXPECT_LINUX is not set";;
esac

check --json --kvm "$kvm"
is "--json answers the same" "$answer"
if command -v python3 >/dev/null; then
	if ! python3 -m json.tool "$dir/out" >/dev/null; then fail "--json is not JSON"
	else
		ok "--json is JSON"
		case $answer in 0) yes=True;; *) yes=False;; esac
		that "can_run_linux is the exit status" [ "$(field can_run_linux)" = $yes ]
		that "kernel is uname -r" [ "$(field kernel)" = "$(uname -r)" ]
		that "cpus is nproc" [ "$(field cpus)" = "$(nproc)" ]
	fi
else
	skip "the JSON's shape: python3 is missing"
fi

check --quiet --kvm "$kvm"
is "--quiet answers the same" "$answer"
that "--quiet is quiet" silent

check --kvm "$dir/none"
is "an absent device is no" 1
says "an absent device is explained" 'firmware'
check --kvm /dev/null
is "what is not KVM is no" 1
says "what is not KVM is named" '/dev/null: not a KVM device'
check --kvm "$dir/none" --quiet
is "--quiet says no too" 1
that "and is quiet" silent

check --no-such-option
is "a wrong option is wrong usage" 2
says "and is named" 'no-such-option' err
check --kvm
is "--kvm without a path is wrong usage" 2
check --json --quiet
is "--json with --quiet is wrong usage" 2
check --help
is "--help" 0
says "--help documents the JSON keys" 'can_run_linux'

# Somebody who may not open the device: one of our own making, so that modes here do not matter.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && mknod "$dir/kvm" c 10 232 2>/dev/null; then
	chmod 755 "$dir"
	cp "$skiff" "$dir/skiff"
	as_nobody() {
		timeout -k 5 30 setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$dir/skiff" check --kvm "$dir/kvm" >"$dir/out" 2>"$dir/err" </dev/null
		status=$?
	}
	chmod 0660 "$dir/kvm"; chgrp kvm "$dir/kvm" 2>/dev/null || chgrp 1 "$dir/kvm"
	group=$(stat -c %G "$dir/kvm")
	as_nobody
	is "a stranger's answer is no" 1
	says "a stranger is told which group to join" "usermod -aG $group"
	chmod 0600 "$dir/kvm"
	as_nobody
	says "mode 0600 is explained" 'mode 0600 lets only its owner in'
else
	skip "a device that one may not open: it takes root, setpriv and mknod"
fi

exit $failed
