# shellcheck shell=bash disable=SC2034,SC2154 # who sources them shares their variables
# SPDX-License-Identifier: BSD-2-Clause
# Consoles on a terminal, whose mode is as before when skiff has ended, however it ends; and
# entropy. Sourced by tests/boot/devices.

# on_terminal STEP... -- ARGUMENT...: leaves $log
on_terminal() {
	local steps=()
	while [ "$1" != -- ]; do
		steps+=("$1")
		shift
	done
	new_log
	timeout $VM_SECONDS tests/boot/terminal 30x100 "${steps[@]}" -- \
		"$skiff" run "${guest[@]}" "${@:2}" </dev/null >"$log" 2>&1
	tr -d '\r' <"$log" >"$log.text"
}

check_consoles() {
	on_terminal 'expect:your name?' raw 'type:Skiff\r' 'expect:hello Skiff' 'expect:change it' \
		'resize:43x132' 'expect:both: done' -- --virtio-console --rng \
		--append "$quiet reboot=t skiff.end=reboot skiff.run=/t/console"
	guest_cases console 'rng is the current source' 'rng gives bytes' 'rng gives others each time' \
		'hvc0 has the size of the terminal' 'hvc0 follows its size'
	said 'hvc0: hello Skiff'
	report $? 'console: hvc0 takes what is typed, and is shown'
	said 'both: done'
	report $? 'console: the serial port is shown too'
	said 'terminal: restored' 'terminal: status 3'
	report $? 'console: the terminal is restored after a triple fault'

	on_terminal 'expect:skiff-guest: init' raw kill -- --append "$quiet"
	said 'terminal: restored' 'terminal: status 143'
	report $? 'console: the terminal is restored after SIGTERM'

	on_terminal 'expect:skiff-guest: a shell' raw 'type:^]x' -- --virtio-console --append "$quiet"
	said 'terminal: restored' 'terminal: status 0'
	report $? 'console: Ctrl-] x ends the machine, and the terminal is restored'
}
