#!/bin/sh
# Run by package-check.sh as root in a throwaway file system without systemd:
# the life of both packages in /package, by dpkg and by rpm.
set -eu

fail() {
	echo "package-life: $*" >&2
	cat /tmp/out >&2
	exit 1
}
# does COMMAND …: it succeeds; what it says is in /tmp/out.
does() { "$@" >/tmp/out 2>&1 || fail "this failed: $*"; }
says() { grep -qF -- "$1" /tmp/out || fail "this was not said: $1"; }
is() { [ "$(stat -c '%A %U:%G' "$2")" = "$1" ] || fail "$2 is not $1: $(stat -c '%A %U:%G' "$2")"; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 is still there"; }
link=/etc/systemd/system/multi-user.target.wants/muster.service

installed() {
	is '-rw-r----- root:muster' /etc/muster/agent.env
	is 'drwx------ muster:muster' /var/lib/muster
	[ -L "$link" ] || fail "the service is not enabled"
	muster --help >/dev/null || fail "the program does not run"
}

for system in dpkg rpm; do
	case $system in
	dpkg)
		install() { does dpkg --force-depends --install /package/muster.deb; }
		upgrade() { install; }
		remove() { does dpkg --remove muster; }
		;;
	rpm)
		install() { does rpm --install --nodeps --ignoreos /package/muster.rpm; }
		upgrade() { does rpm --upgrade --force --nodeps /package/muster.rpm; }
		remove() { does rpm --erase --nodeps muster; }
		;;
	esac

	install
	says "it was not started: nothing is configured"
	says "Write into /etc/muster/agent.env"
	installed

	# An upgrade keeps what a person wrote, and what a person chose.
	echo 'MUSTER_SITE_CODE=ACME-HQ' >>/etc/muster/agent.env
	rm "$link"
	upgrade
	grep -q '^MUSTER_SITE_CODE' /etc/muster/agent.env || fail "the upgrade overwrote the configuration"
	[ ! -e "$link" ] || fail "the upgrade enabled the service again"

	# What stays after a removal is used when the package comes back.
	touch /var/lib/muster/identity.json
	remove
	gone /usr/bin/muster
	[ -e /var/lib/muster/identity.json ] && [ -e /etc/muster/agent.env ] || fail "the removal took the state or the configuration"
	install
	says "MUSTER_SERVER_URL and MUSTER_ENROLLMENT_KEY"
	says "it was not started: its configuration is not in order"
	installed
	remove
	gone "$link"

	# Configured before the package was there, by root for root; the key is a
	# credential.
	rm /var/lib/muster/identity.json
	mkdir -p /etc/credstore
	echo cek_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA >/etc/credstore/enrollment_key
	chmod 0600 /etc/credstore/enrollment_key
	printf '%s\n' MUSTER_SERVER_URL=https://enroll.example.org MUSTER_SITE_CODE=ACME-HQ >/etc/muster/agent.env
	chmod 0600 /etc/muster/agent.env
	chown root:root /etc/muster/agent.env
	install
	! grep -q "not started" /tmp/out || fail "it did not see that all is configured"
	! grep -q cek_ /tmp/out || fail "it shows the key"
	installed
	remove
	rm -r /etc/credstore

	if [ $system = dpkg ]; then
		does dpkg --purge muster
		gone /var/lib/muster
		gone /etc/muster
		getent passwd muster >/dev/null || fail "the user is gone"
		install
		does dpkg --purge muster
	else
		rm -r /var/lib/muster /etc/muster
	fi
	gone /usr/lib/systemd/system/muster.service
	[ -z "$(find /run /tmp -name 'muster*' 2>/dev/null)" ] || fail "something was left behind in /run or /tmp"
	echo "ok: installed, upgraded, removed by $system"
done
