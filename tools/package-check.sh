#!/bin/sh
# Builds the packages twice, in two places, and compares; then looks into them
# with the tools of their systems. As root it also installs them, in a copy of
# this machine's file system without systemd: as in a container or an image.
# Needs lintian, rpm, man-db and systemd-analyze, and what the Windows installer
# is made with (tools/package-windows.sh); ./dev test-msi tries that one.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "package-check: $*" >&2
	exit 1
}
# quiet WHAT COMMAND …: what prints something, or fails, has found something.
quiet() {
	what=$1
	shift
	output=$("$@" 2>&1) && [ -z "$output" ] || fail "$what:
$output"
	echo "ok: $what"
}

for tool in lintian dpkg-deb rpm man systemd-analyze; do
	command -v $tool >/dev/null || fail "$tool is needed: apt-get install lintian rpm man-db systemd"
done

# --- twice the same bytes

VERSION=v1.2.3
CI=true # every package, or none
export VERSION CI
# A copy has no git to ask for the date of the last commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 1767225600)}
export SOURCE_DATE_EPOCH
mkdir "$work/copy" "$work/here" "$work/there"
tar -cf - --exclude ./.git --exclude ./.cache --exclude ./dist . | tar -xf - -C "$work/copy"
chmod -R go-rwx "$work/copy" # as a checkout with another umask
sh tools/package.sh "$work/here"
(umask 077 && TZ=Asia/Kolkata LC_ALL=C.UTF-8 TMPDIR=$work sh "$work/copy/tools/package.sh" "$work/there")
count=0
for package in "$work"/here/*; do
	name=${package##*/}
	cmp "$package" "$work/there/$name" || fail "$name is not reproducible: two builds of the same tree differ"
	echo "reproducible: $name, $(wc -c <"$package" | tr -d ' ') bytes"
	count=$((count + 1))
done
[ $count -eq 5 ] || fail "$count packages were built, not 5"
case $(uname -m) in
x86_64) deb=$work/here/muster_1.2.3-1_amd64.deb rpm=$work/here/muster-1.2.3-1.x86_64.rpm ;;
*) deb=$work/here/muster_1.2.3-1_arm64.deb rpm=$work/here/muster-1.2.3-1.aarch64.rpm ;;
esac

# --- what is in them

# The content of both, but for what each system has in a place of its own.
cat >"$work/contents" <<EOT
-rw-r--r-- /usr/lib/systemd/system/muster.service
-rw-r--r-- /usr/lib/sysusers.d/muster.conf
-rw-r--r-- /usr/share/bash-completion/completions/muster
-rw-r--r-- /usr/share/doc/muster/third-party-licenses.gz
-rw-r--r-- /usr/share/fish/vendor_completions.d/muster.fish
-rw-r--r-- /usr/share/man/man8/muster.8.gz
-rw-r--r-- /usr/share/muster/agent.env
-rwxr-xr-x /usr/bin/muster
drwxr-xr-x /etc/muster
EOT
own='/usr/share/(zsh|lintian|licenses)/|/usr/share/doc/muster/(copyright|changelog)'
dpkg-deb -c "$deb" | awk '{ sub(/^\./, "", $6); sub(/\/$/, "", $6); print $2, $1, $6 }' >"$work/deb.list"
rpm -qp --qf '[%{FILEUSERNAME}/%{FILEGROUPNAME} %{FILEMODES:perms} %{FILENAMES}\n]' "$rpm" >"$work/rpm.list"
for list in deb rpm; do
	! grep -v '^root/root ' "$work/$list.list" || fail "in the $list this is not root's"
	# The deb lists the directories of others too.
	awk '$2 !~ /^d/ || $3 == "/etc/muster" { print $2, $3 }' "$work/$list.list" | grep -Ev "$own" | LC_ALL=C sort |
		diff "$work/contents" - || fail "this is not what the $list is to hold"
done
echo "ok: what the packages hold"

quiet "rpm's own check" sh -c 'rpm -K --nosignature "$1" | grep -v "digests OK" || true' - "$rpm"
for script in preinst postinst prerm postrm; do
	sh -n packaging/scripts/$script
done
rpm -qp --scripts "$rpm" >"$work/scripts"
for name in preinstall postinstall preuninstall postuninstall; do
	grep -q "^$name scriptlet (using /bin/sh)" "$work/scripts" || fail "the rpm has no script $name"
done
quiet "lintian" lintian --allow-root --fail-on error,warning "$work"/here/*.deb

dpkg-deb -x "$deb" "$work/tree"
sed "s|/usr/bin/muster|$work/tree&|" packaging/systemd/muster.service >"$work/muster.service"
quiet "the unit" systemd-analyze verify "$work/muster.service"
systemd-analyze security --offline=true --threshold=15 packaging/systemd/muster.service >"$work/exposure" ||
	fail "$(tail -n 1 "$work/exposure")"
tail -n 1 "$work/exposure"
quiet "the man page" env LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 sh -c \
	'man --warnings -l "$1" >"$2"' - "$work/tree/usr/share/man/man8/muster.8.gz" "$work/man"
grep -q "muster 1.2.3" "$work/man" || fail "the man page does not say its version"
for word in $("$work/tree/usr/bin/muster" --help | awk '/^Available/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'); do
	grep -q "^ *$word" "$work/man" || fail "the man page does not know the command $word"
done
# What the example configuration has in its comments can be used as it stands,
# but for the key and the file of the CA.
sed -n -e '/TRUST_CA_FILE/d' -e 's/^#\(MUSTER_[A-Z_]*=\)cek_.*/\1cek_Zq7Wm2Xk9Rt4Yp6Ls8Dv/p;t' -e 's/^#\(MUSTER_[A-Z_]*=\)/\1/p' \
	packaging/files/agent.env >"$work/agent.env"
[ "$(grep -c . "$work/agent.env")" -ge 6 ] || fail "the example configuration was not understood"
env -i "$work/tree/usr/bin/muster" config --config "$work/agent.env" >/dev/null || fail "the example configuration is not right"
bash -n "$work/tree/usr/share/bash-completion/completions/muster"
"$work/tree/usr/bin/muster" version | grep -F v1.2.3 >/dev/null || fail "the program does not say its version"

# --- installed

[ "$(id -u)" = 0 ] || {
	echo "Not root: the packages were not installed."
	exit 0
}
cp "$deb" "$work/muster.deb"
cp "$rpm" "$work/muster.rpm"
cp tools/package-life.sh "$work/"
unshare --mount --propagation private sh -eu -c '
	mount -t tmpfs tmpfs /mnt
	mkdir /mnt/up /mnt/wd /mnt/top
	mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/wd overlay /mnt/top
	mount -t proc proc /mnt/top/proc
	mount -t tmpfs tmpfs /mnt/top/run
	mount -t tmpfs tmpfs /mnt/top/tmp
	mount -t tmpfs tmpfs /mnt/top/dev
	mkdir -p /mnt/top/package
	mount --bind "$1" /mnt/top/package
	mknod -m 666 /mnt/top/dev/null c 1 3
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot /mnt/top sh /package/package-life.sh
' - "$work" || fail "installing, upgrading or removing a package went wrong"
