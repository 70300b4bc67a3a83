# shellcheck shell=bash disable=SC2034,SC2154 # who sources them shares their variables
# SPDX-License-Identifier: BSD-2-Clause
# Disks: what the guest wrote is what the host has, and what it let go of is the host's again.
# Sourced by tests/boot/devices.

allocated_kib() { echo $(($(stat -c %b "$1") / 2)); }

hash() { sha256sum "$@" | cut -d' ' -f1; }

no_bytes_but_zero() {	# FILE OFFSET LENGTH
	[ "$(tail -c "+$(($2 + 1))" "$1" | head -c "$3" | tr -d '\0' | wc -c)" = 0 ]
}

at_most() {	# KIB KIB WHAT
	[ "$1" -le "$2" ] || {
		echo "# KiB $3: $1, at most $2 expected" >>"$log"
		return 1
	}
}

# said_hash NAME FILE: the guest saw the same contents
said_hash() { said "sha: $1 $(hash "$2")"; }

# A directory whose files take O_DIRECT, which tmpfs does not: $direct, or empty.
make_direct() {
	direct=$logs
	if [ "$(id -u)" = 0 ] && in_lab; then
		direct=$tmp/direct
		mkdir "$direct"
		truncate -s 64M "$tmp/loop"
		mke2fs -q -t ext4 "$tmp/loop" && mount -o loop "$tmp/loop" "$direct" || direct=
	fi
	[ -n "$direct" ] && dd if=/dev/zero of="$direct/disk" bs=1M count=16 oflag=direct 2>/dev/null ||
		direct=
}

# Whether skiff, $1, has the file $2 open with O_DIRECT (0x4000; fdinfo is octal).
opened_direct() {
	local fd
	for fd in /proc/"$1"/fd/*; do
		[ "$fd" -ef "$2" ] || continue
		[ $((0$(awk '/^flags:/ { print $2 }' "/proc/$1/fdinfo/${fd##*/}") & 0x4000)) != 0 ] && return
	done
	echo "# no descriptor of $2 has O_DIRECT" >>"$log"
	return 1
}

check_disks() {
	local direct ro noise before
	truncate -s 32M "$tmp/raw"
	head -c 8M /dev/urandom >"$tmp/ro"
	head -c 48M /dev/urandom >"$tmp/noise"
	cp "$tmp/noise" "$tmp/trim"
	mke2fs -q -F -t ext4 -E nodiscard "$tmp/trim"
	make_direct
	ro=$(hash "$tmp/ro")
	noise=$(head -c 16M "$tmp/noise" | hash)
	before=$(allocated_kib "$tmp/root")

	local fourth="path=$tmp/direct-not"
	if [ -n "$direct" ]; then
		fourth="path=$direct/disk,direct=on"
	else
		truncate -s 16M "$tmp/direct-not"
	fi
	vm_start "${guest[@]}" --cpus 4 --disk "path=$tmp/root,serial=root-disk,queues=4" \
		--disk "path=$tmp/raw" --disk "path=$tmp/ro,ro" --disk "$fourth" \
		--disk "path=$tmp/noise" --disk "path=$tmp/trim" \
		--append "$quiet skiff.root=/dev/vda skiff.run=/t/disks"
	until_shown 'skiff-guest: init'
	check_lock "$tmp/raw"
	if [ -n "$direct" ]; then
		opened_direct "$(child "$vm")" "$direct/disk"
		report $? 'disk: direct=on opens the file with O_DIRECT'
	else
		skip 'disk: direct=on opens the file with O_DIRECT' 'no file system here takes O_DIRECT'
	fi
	vm_wait
	guest_cases disk 'root: ext4, read-write' 'root: modern' 'serial' 'four queues' 'ro: says so' \
		'ro: refuses a write' 'file system: load' 'raw: load' 'direct: load' 'discard' \
		'write zeroes' 'write zeroes: zeroes are read' 'fstrim'
	ends 0 && said 'skiff-guest: exit 0'
	report $? 'disk: the guest powers off'
	after_disks "$ro" "$noise" "$before" "${direct:+$direct/disk}"
	check_legacy
}

# The disk is the running machine's alone. Its console stays in $log.
check_lock() {
	local vm_log=$log
	log=$log.second
	timeout 20 "$skiff" run "${guest[@]}" --disk "path=$1" </dev/null >"$log" 2>&1
	status=$?
	ends 2 && [ "$(wc -l <"$log")" = 1 ] && grep -q "$1.*in use" "$log"
	report $? 'disk: a second skiff on the same image is refused'
	log=$vm_log
}

after_disks() {	# the host's files after the guest's work
	said_hash vdb "$tmp/raw"
	report $? 'disk: the host has what the guest wrote to the raw disk'
	said_hash vdd "${4:-$tmp/direct-not}"
	report $? 'disk: the host has what the guest wrote to the third'
	[ "$(hash "$tmp/ro")" = "$1" ]
	report $? 'disk: the file of the read-only disk is as it was'
	[ "$(head -c 16M "$tmp/noise" | hash)" = "$2" ] &&
		no_bytes_but_zero "$tmp/noise" $((32 << 20)) $((16 << 20))
	report $? 'disk: zeroes are where they were asked for, and nowhere else'
	at_most "$(allocated_kib "$tmp/noise")" $((33 << 10)) 'of the discarded disk'
	report $? "disk: a discard gives space back (49152 KiB, now $(allocated_kib "$tmp/noise"))"
	at_most "$(allocated_kib "$tmp/trim")" $((16 << 10)) 'of the trimmed file system'
	report $? "disk: fstrim gives space back (49152 KiB, now $(allocated_kib "$tmp/trim"))"
	at_most "$(allocated_kib "$tmp/root")" $(($3 + (20 << 10))) 'of the root disk'
	report $? "disk: a removed file gives space back ($3 KiB, now $(allocated_kib "$tmp/root"))"
	e2fsck -fn "$tmp/root" >>"$log" 2>&1
	report $? 'disk: the root file system is clean'
	debugfs -R "dump /data $tmp/data" "$tmp/root" >/dev/null 2>&1
	said_hash data "$tmp/data"
	report $? 'disk: a file in it is as the guest wrote it'
}

# The same disks through the legacy interface, and a network with it.
check_legacy() {
	vm_run "${guest[@]}" --disk "path=$tmp/root" --disk "path=$tmp/raw" --net user \
		--append "$quiet virtio_pci.force_legacy=1 skiff.root=/dev/vda skiff.run=/t/legacy \
t.data=$(hash "$tmp/data") $settings"
	guest_cases legacy 'disk is legacy' 'network is legacy' 'contents survived' \
		'file system: load' 'raw: load' 'dhcp' 'tcp, up' 'tcp, down'
	ends 0 && said 'skiff-guest: exit 0' && said_hash vdb "$tmp/raw" &&
		e2fsck -fn "$tmp/root" >>"$log" 2>&1
	report $? 'legacy: the guest powers off, and the host has what it wrote'
}

check_reboots() {
	local boot all=1
	vm_run "${guest[@]}" --disk "path=$tmp/root" --net user --stats \
		--append "$quiet skiff.root=/dev/vda skiff.run=/t/reboots $settings"
	for boot in $(seq 11); do
		said "boot: $boot" "pass: boot $boot: network" || all=0
	done
	[ $all = 1 ] && ends 0 && grep -qa '^stats: .* boots=11$' "$log.text" &&
		e2fsck -fn "$tmp/root" >>"$log" 2>&1
	report $? 'ten reboots in place, disk and network alive after each'
	check_another_kernel
}

# An image that gets another kernel boots it, as it would by itself.
check_another_kernel() {
	local image=$tmp/image.raw
	cp --sparse=always "$SKIFF_ROOT" "$image"
	cat >"$tmp/grub.cfg" <<-END
	menuentry 'Linux' {
		linux /boot/vmlinuz-1 $quiet root=/dev/vda skiff.root=/dev/vda which=one \
			skiff.run=/t/another_kernel
		initrd /boot/initrd.img-1
	}
	END
	PATH=$PATH:/usr/sbin:/sbin debugfs -w -f - "$image" >/dev/null 2>&1 <<-END
	mkdir boot
	cd boot
	write $guests/cloud/vmlinuz vmlinuz-1
	write $SKIFF_MODULES initrd.img-1
	mkdir grub
	cd grub
	write $tmp/grub.cfg grub.cfg
	END
	XDG_DATA_HOME=$tmp/home vm_run "$image" --format raw --ephemeral --cloud-init off
	said 'kernel: one' 'kernel: which=two' 'kernel: none' 'kernel: a bad one' && ends 0 &&
		[ "$(grep -ca 'reboot: what was started before is started again$' "$log.text")" = 2 ]
	report $? 'an image that gets another kernel boots it at the next reboot'
}
