# SPDX-License-Identifier: BSD-2-Clause
# For the measuring halves of the benchmarks (tests/bench/*-inside): medians, memory, rows with a bar,
# and what a measured stretch of time was made of. Needs $tmp, a directory.
# shellcheck shell=bash

median() { sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
spread() { sort -n | awk 'NR == 1 { low = $1 } { high = $1 } END { print low "-" high }'; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

# Under emulation, clearing a page that once held a guest's code is slow for whoever gets it next: a
# run would pay for the one before it. Writing to plenty of free memory makes all pages alike.
scrub() { dd if=/dev/zero of=/dev/null bs=1500M count=1 2>/dev/null; }

# PID [KIB]: sum of Pss over mappings smaller than guest RAM (of 200000 KiB and more), KiB.
pss() {
	awk -v ram="${2:-200000}" '/^[0-9a-f]+-[0-9a-f]+ / { big = 0 }
	     /^Size:/ { big = $2 >= ram }
	     /^Pss:/ && !big { sum += $2 }
	     END { print sum }' "/proc/$1/smaps"
}

# PID: the directory of its VM's counters
counters() {
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	echo /sys/kernel/debug/kvm/"$1"-*
}

heading() { printf '%-36s %10s %10s %7s   %s\n' "$1" "${2:-skiff}" "${3:-QEMU q35}" ratio bar; }

# TITLE OURS THEIRS BAR FORMAT. BAR is `ratio >= N` or `ratio <= N` of ours to theirs, `<= N` of ours
# alone, or nothing. False if it is missed.
row() {
	awk -v title="$1" -v a="$2" -v b="$3" -v bar="$4" -v format="$5" 'BEGIN {
		ratio = b > 0 ? a / b : 0
		limit = bar
		gsub(/[^0-9.]/, "", limit)
		what = bar ~ /^ratio/ ? ratio : a
		met = bar ~ />=/ ? what >= limit + 0 : what <= limit + 0
		shown = b == "" ? sprintf("%10s %7s", "-", "-") : sprintf(format " %7.2f", b, ratio)
		printf "%-36s " format " %s   %-13s %s\n", title, a, shown, bar,
			bar == "" ? "" : met ? "met" : "MISSED"
		exit bar != "" && !met
	}'
}

# --- what time is made of -------------------------------------------------------------------------

# PID...: lines `THREAD NANOSECONDS` of CPU time that the threads of these processes have had
threads() {
	local task time _

	for task in $(printf '/proc/%s/task/* ' "$@"); do
		read -r time _ <"$task/schedstat" &&
			echo "$(tr ' /' '__' <"$task/comm")/${task##*/} $time"
	done 2>/dev/null | sort
}

# BEFORE AFTER (texts of threads): `THREAD N ms` for those that had any
threads_between() {
	join -a 2 -o 0,1.2,2.2 -e 0 <(echo "$1") <(echo "$2") |
		awk '$3 - $2 > 1e6 { printf "%s %.0f ms; ", $1, ($3 - $2) / 1e6 } END { print "" }'
}

# What vCPU 0 of the command did, by KVM's trace points, as a table: each kind of exit with its count
# and the time until the guest ran again, and the guest's own time. (Time of a halt is waiting.) The
# trace itself stays in file $keep_trace, if that is set.
profile_exits() {	# COMMAND...
	local trace=/sys/kernel/tracing

	mountpoint -q $trace || mount -t tracefs tracefs $trace
	[ -e $trace/events/kvm/kvm_exit/enable ] || {
		echo '  (this kernel has no trace points of KVM to say more)'
		return
	}
	echo 32768 >$trace/buffer_size_kb
	: >$trace/trace
	echo 1 >$trace/events/kvm/kvm_exit/enable
	echo 1 >$trace/events/kvm/kvm_entry/enable
	"$@"
	echo 0 >$trace/events/kvm/kvm_exit/enable
	echo 0 >$trace/events/kvm/kvm_entry/enable
	awk '/kvm_(exit|entry): vcpu 0/ {
		for (i = 1; i <= NF; i++) {
			if ($i == "kvm_exit:" || $i == "kvm_entry:") { at = $(i - 1) + 0; entry = $i == "kvm_entry:" }
			if ($i == "reason") next_reason = $(i + 1)
			if ($i == "info2") info2 = $(i + 1)
		}
		# AMD has one reason for RAM that is not there yet and for registers, near 4 GiB.
		if (!entry && next_reason == "npf" && info2 ~ /^0x00000000[ef]/) next_reason = "npf (MMIO)"
		if (entry) {
			if (out) { host[reason] += at - out; n[reason]++ }
			in_at = at
		} else {
			reason = next_reason
			if (in_at) guest += at - in_at
			out = at
		}
	}
	END {
		printf "  %-16s %7s %8.0f ms\n", "in the guest", "", guest * 1000
		for (r in n) printf "  %-16s %7d %8.0f ms\n", r, n[r], host[r] * 1000 | "sort -k 3 -nr"
	}' $trace/trace
	[ -z "${keep_trace-}" ] || cat $trace/trace >"$keep_trace"
	: >$trace/trace
}
