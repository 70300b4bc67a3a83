# shellcheck shell=bash disable=SC2034,SC2154 # who sources them shares their variables
# SPDX-License-Identifier: BSD-2-Clause
# What the boot tests share: running skiff, and judging it by what the guest prints and by its exit
# status. Sourced by tests/boot/inside and tests/boot/devices, in the tree's root. Cases are TAP on
# stdout, and each one's console is kept in $SKIFF_BOOT_LOGS.

skiff=${SKIFF_PROGRAM:-$PWD/build/skiff}
guests=$SKIFF_GUESTS	# directory of tests/guest/kernel's trees
logs=$SKIFF_BOOT_LOGS
part=${0##*/}
quiet='console=ttyS0 quiet panic=-1'
VM_SECONDS=300	# far more than any machine takes, on a busy host too
n=0
log=/dev/null status=0
export XDG_CACHE_HOME=$PWD/build/boot-cache	# not in the home of who runs the tests

report() {	# STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		tail -n 15 "$log" | tr -d '\r' | sed 's/^/# /'
	fi
}

skip() {	# NAME REASON
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

new_log() {
	log=$logs/$part-$((n + 1)).log
	: >"$log"
}

# Runs skiff to its end, input from nowhere: vm_run ARGUMENT... ; leaves $log and $status.
vm_run() {
	new_log
	timeout -k 5 $VM_SECONDS "$skiff" run "$@" </dev/null >"$log" 2>&1
	status=$?
	tr -d '\r' <"$log" >"$log.text"
}

# Conditions, which leave in the log why they do not hold.

said() {	# each word string stands as a line of the console
	local line
	for line; do
		grep -qaxF -- "$line" "$log.text" || {
			echo "# not said: $line" >>"$log"
			return 1
		}
	done
}

ends() { [ "$status" = "$1" ] || { echo "# exit status $status, expected $1" >>"$log"; return 1; }; }

# A case for each point that a guest's `check` must have found to hold: guest_cases PREFIX NAME...
guest_cases() {
	local prefix=$1 name r
	shift
	for name; do
		said "pass: $name"
		r=$?
		[ $r = 0 ] || grep -aF -- "fail: $name:" "$log.text" | tail -n 1 >>"$log"
		report $r "$prefix: $name"
	done
}

# --- machines in the background ---------------------------------------------------------------

# vm_start ARGUMENT...: leaves $log and $vm, the process of `timeout`, whose child is skiff.
vm_start() {
	new_log
	timeout -k 5 $VM_SECONDS "$skiff" run "$@" </dev/null >"$log" 2>&1 &
	vm=$!
	machines+=("$vm")
}

# vm_wait: the end of $vm; leaves $status.
vm_wait() {
	wait "$vm"
	status=$?
	tr -d '\r' <"$log" >"$log.text"
}

machines=()
end_machines() {
	[ ${#machines[@]} = 0 ] || {
		kill "${machines[@]}"
		wait "${machines[@]}"
	} 2>/dev/null
}

child() {	# PID: its only or first child
	local children
	read -ra children <"/proc/$1/task/$1/children"	# which has no newline: read calls it a failure
	echo "${children[0]-}"
}

# within SECONDS COMMAND...: the command holds before that long has passed
within() {
	local left=$(($1 * 10))
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}

shown() { tr -d '\r' <"$log" | grep -qaxF -- "$1"; }

gone() { ! kill -0 "$1" 2>/dev/null; }

# until_shown LINE: the machine's console has it; false if it never does, or the machine has ended
shown_or_gone() { shown "$1" || gone "$vm"; }
until_shown() { within 90 shown_or_gone "$1" && shown "$1"; }
