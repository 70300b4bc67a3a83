# shellcheck shell=bash disable=SC2034,SC2154 # who sources them shares their variables
# SPDX-License-Identifier: BSD-2-Clause
# Networks: guests reach the host and each other, the host reaches guests, and who stands behind a
# card may die. Sourced by tests/boot/devices.

OWN_KIB_MAX=3584	# of a machine with a disk, a network, console and entropy, its RAM apart

services='' passt=''
declare -A port

# The host's side of all transfers. The guest learns the ports from its command line, $settings.
start_services() {
	local names=() name number
	if in_lab; then	# where nobody else needs a name server
		echo 'nameserver 127.0.0.1' >/etc/resolv.conf
		names=(--names)
	fi
	tests/boot/services "$tmp" "${names[@]}" &
	services=$!
	within 30 [ -e "$tmp/ports" ] || return 1
	settings=${names:+t.names=yes }
	while read -r name number; do
		port[$name]=$number
		settings+="t.$name=$number "
	done <"$tmp/ports"
}

end_services() {
	[ -z "$services" ] || {
		kill "$services"
		wait "$services"
	} 2>/dev/null
	services=''
}

made_tap='' made_dummy=''
end_networks() {
	[ -z "$passt" ] || {
		kill "$passt"
		wait "$passt"
	} 2>/dev/null
	[ -z "$made_tap" ] || ip link delete skifftap
	[ -z "$made_dummy" ] || ip link delete skiffdummy
	passt='' made_tap='' made_dummy=''
}

check_networks() {
	check_user
	check_port_in_use
	check_switch
	check_stream
	check_tap
}

# sent_in ADDRESS FILE: the guest's hash of a file that is sent to it
sent_in() { [ "$(socat -t 30 - "$1" <"$2" | cut -d' ' -f1)" = "$(hash "$2")" ]; }

echoed_in() { [ "$(echo datagram | socat -t 3 - "$1")" = datagram ]; }

netd_pss() { awk '/^Pss:/ { print $2 }' "/proc/$1/smaps_rollup" 2>/dev/null; }

check_user() {
	local netd pss tcp_in udp_in own
	head -c 5M /dev/urandom >"$tmp/data"
	vm_start "${guest[@]}" --disk "path=$tmp/root" --rng --virtio-console --stats \
		--net "user,hostfwd=tcp:127.0.0.1:${port[spare]}-:22,hostfwd=udp:127.0.0.1:${port[spare]}-:53" \
		--append "$quiet skiff.run=/t/network $settings"
	until_shown 'mark: listening'
	netd=$(child "$(child "$vm")")
	pss=$(netd_pss "$netd")
	sent_in "TCP:127.0.0.1:${port[spare]}" "$tmp/data"
	tcp_in=$?
	echoed_in "UDP:127.0.0.1:${port[spare]}"
	udp_in=$?
	vm_wait
	guest_cases 'net user' 'dhcp' 'address' 'icmp'
	if in_lab; then
		guest_cases 'net user' 'name'
	else
		skip 'net user: name' "this host's resolver is not ours to change"
	fi
	guest_cases 'net user' 'tcp, up' 'tcp, down' 'udp' 'udp, 8000 bytes' \
		'ipv6: address by router advertisement' 'ipv6: icmp' 'ipv6: tcp, up' 'ipv6: tcp, down' \
		'hostfwd' 'hostfwd, udp'
	report $tcp_in 'net user: hostfwd: the guest got what the host sent'
	report $udp_in 'net user: hostfwd: a datagram comes back'
	ends 0 && gone "$netd"
	report $? 'net user: the guest powers off, and skiff-netd ends'
	own=$(sed -n 's/^stats: memory KiB own=\([0-9]*\) .*/\1/p' "$log.text")
	[ -n "$own" ] && [ "$own" -le $OWN_KIB_MAX ]
	report $? "memory beside the guest's: ${own:-?} KiB, at most $OWN_KIB_MAX"
	echo "# skiff-netd's memory (PSS): ${pss:-?} KiB"
}

check_port_in_use() {
	vm_run "${guest[@]}" --net "user,hostfwd=tcp:127.0.0.1:${port[sink]}-:22"
	ends 2 && [ "$(wc -l <"$log")" = 1 ] && grep -q "${port[sink]}.*use" "$log"
	report $? 'net user: a port in use is one sentence and exit 2'
}

check_switch() {
	local first first_log addresses
	vm_start "${guest[@]}" --net "switch,path=$tmp/switch,mac=52:54:00:00:00:01" \
		--append "$quiet skiff.run=/t/peer t.me=1 $settings"
	first=$vm first_log=$log.first
	within 30 [ -S "$tmp/switch" ]
	mv "$log" "$first_log"	# the next one has the same name
	vm_start "${guest[@]}" --net "switch,path=$tmp/switch,mac=52:54:00:00:00:02" \
		--append "$quiet skiff.run=/t/peer t.me=2 $settings"
	vm_wait
	guest_cases 'net switch: the second' 'dhcp' 'ping' 'tcp through the NAT' 'tcp to the other'
	ends 0
	report $? 'net switch: the second powers off'
	addresses=$(sed -n 's/^address: //p' "$log.text")
	vm=$first log=$first_log
	vm_wait
	guest_cases 'net switch: the first' 'dhcp' 'ping' 'tcp through the NAT' 'tcp from the other'
	ends 0
	report $? 'net switch: the first powers off'
	addresses+=" $(sed -n 's/^address: //p' "$log.text")"
	[ "$(xargs -n 1 <<<"$addresses" | sort -u | wc -l)" = 2 ]
	report $? "net switch: each has an address of its own ($addresses)"
	within 5 refused socat -u OPEN:/dev/null "UNIX-CONNECT:$tmp/switch,type=5"
	report $? 'net switch: ends with its last machine'
}

refused() { ! "$@" 2>/dev/null; }

# passt needs a network to hand on: the host's, or one made up. Leaves $passt, and $routed, settings
# for the guest; false if there is none.
start_passt() {
	local if address router
	if [ -z "$(ip -4 route show default)" ]; then
		in_lab && ip link add skiffdummy type dummy || return 1
		made_dummy=yes
		ip addr add 192.0.2.10/24 dev skiffdummy
		ip link set skiffdummy up
		ip route add default via 192.0.2.1 dev skiffdummy
	fi
	read -r router if < <(ip -4 route show default |
		sed -n 's/^default via \([^ ]*\) dev \([^ ]*\).*/\1 \2/p')
	[ -n "$router" ] || return 1
	address=$(ip -4 -o addr show dev "$if" | awk '{ sub("/.*", "", $4); print $4; exit }')
	mkdir -p "$tmp/passt"
	chmod 777 "$tmp/passt"	# root's passt is nobody by the time it makes its socket
	rm -f "$tmp/passt/socket"
	passt -q -f -s "$tmp/passt/socket" </dev/null >"$logs/passt.log" 2>&1 &
	passt=$!
	routed="t.address=$address t.router=$router"
	within 20 [ -S "$tmp/passt/socket" ]
}

no_passt() {	# NAME: which is no failure where there is no network to hand on
	if in_lab; then
		log=$logs/passt.log
		report 1 "$1"
	else
		skip "$1" 'passt finds no network here'
	fi
	end_networks
}

check_stream() {
	start_passt || {
		no_passt 'net stream: on passt'
		return
	}
	vm_run "${guest[@]}" --net "stream,path=$tmp/passt/socket" \
		--append "$quiet skiff.run=/t/stream $settings $routed"
	guest_cases 'net stream' 'dhcp' 'address' 'tcp, up' 'tcp, down'
	ends 0
	report $? 'net stream: the guest powers off'
	end_networks
}

check_tap() {
	local pinged
	if [ "$(id -u)" != 0 ]; then
		skip 'net tap' 'a TAP interface takes root'
		return
	fi
	ip tuntap add dev skifftap mode tap && made_tap=yes
	ip addr add 10.98.0.1/24 dev skifftap
	ip link set skifftap up
	# The services are on the loopback address only; the guest must not need a route to that.
	socat "TCP-LISTEN:${port[sink]},bind=10.98.0.1,fork" "TCP:127.0.0.1:${port[sink]}" &
	machines+=($!)
	socat "TCP-LISTEN:${port[source]},bind=10.98.0.1,fork" "TCP:127.0.0.1:${port[source]}" &
	machines+=($!)
	vm_start "${guest[@]}" --net tap,name=skifftap --append "$quiet skiff.run=/t/tap $settings"
	until_shown 'mark: up'
	busybox ping -c 2 -W 5 10.98.0.2 >>"$log"
	pinged=$?
	echo finished | socat -u - TCP:10.98.0.2:9
	vm_wait
	guest_cases 'net tap' 'ping' 'tcp, up' 'tcp, down' 'the host pings'
	report $pinged 'net tap: the guest answers the host'
	ends 0
	report $? 'net tap: the guest powers off'
	end_networks
}

# skiff-netd and passt are killed while data flow.
check_losses() {
	local second=() names=('dhcp' 'data flow' 'link down')
	routed=''
	if start_passt; then
		second=(--net "stream,path=$tmp/passt/socket")
		names+=('dhcp on passt' 'data flow on passt' 'link down on passt')
	else
		no_passt 'loss: passt'
	fi
	vm_start "${guest[@]}" --disk "path=$tmp/root" --net user "${second[@]}" \
		--append "$quiet skiff.root=/dev/vda skiff.run=/t/loss $settings $routed"
	until_shown 'mark: flowing'
	kill -KILL "$(child "$(child "$vm")")" ${passt:+"$passt"}
	vm_wait
	guest_cases loss "${names[@]}" 'disk lives'
	ends 0 && said 'skiff-guest: exit 0' && e2fsck -fn "$tmp/root" >>"$log" 2>&1
	report $? 'loss: the guest powers off'
	end_networks
}
