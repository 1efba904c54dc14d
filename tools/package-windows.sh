#!/bin/sh
# package-windows.sh [DIRECTORY]: the Windows installer, into dist/ or the
# directory given. VERSION is another version than git's.
#
# Needs wixl and msitools, a C compiler for Windows (for the installer's own
# actions) and osslsigncode; it ends with 3 where one is missing. With SIGN_CERT
# and SIGN_KEY (PEM files; SIGN_TS may name a time-stamp server) program and installer are signed; without them the
# installer is the same bytes wherever it is built, and signing is tried on a
# copy, by a certificate made for that.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

out=${1:-dist}
cc=x86_64-w64-mingw32-gcc
TZ=UTC0 # msibuild takes the dates of the summary for local time
export TZ
while read -r program package; do
	command -v "$program" >/dev/null || {
		echo "The Windows installer needs $program: apt-get install --no-install-recommends $package" >&2
		exit 3
	}
done <<-END
	wixl wixl
	msibuild msitools
	$cc gcc-mingw-w64-x86-64-win32
	osslsigncode osslsigncode
	openssl openssl
END
[ -z "${SIGN_CERT-}" ] || [ -n "${SIGN_KEY-}" ] || {
	echo "SIGN_CERT is given without SIGN_KEY." >&2
	exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The tree may belong to another user: nothing of its git configuration is run
# by these two.
git() { command git -c safe.directory='*' "$@" 2>/dev/null; }
version=${VERSION-}
[ -n "$version" ] || version=$(git describe --tags --always --dirty) || version=unknown
# An installer's version is three numbers; what is between releases counts as
# the release before.
number=$(printf '%s\n' "$version" | sed -n 's/^v\{0,1\}\([0-9]\{1,3\}\.[0-9]\{1,3\}\.[0-9]\{1,5\}\)\([^0-9].*\)\{0,1\}$/\1/p')
number=${number:-0.0.0}

# uuid TEXT: always the same one for a text.
uuid() {
	printf '%s' "$1" | sha256sum | sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-8\3-8\4-\5/' | tr a-f A-F
}

# sign FILE CERT KEY: in its place.
sign() {
	osslsigncode sign -certs "$2" -key "$3" -h sha256 -n Muster ${SIGN_TS:+-ts "$SIGN_TS"} -in "$1" -out "$1.signed" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		echo "$1 could not be signed." >&2
		return 1
	}
	mv "$1.signed" "$1"
}

echo "== program"
export VERSION="$version"
CGO_ENABLED=0 GOOS=windows GOARCH=amd64 sh tools/build.sh "$work/amd64"
# Not packaged; it has to build, and its size is worth knowing.
CGO_ENABLED=0 GOOS=windows GOARCH=arm64 sh tools/build.sh "$work/arm64"
for arch in amd64 arm64; do
	echo "muster.exe for $arch: $(wc -c <"$work/$arch/muster.exe" | tr -d ' ') bytes"
done
$cc -std=c11 -O2 -Wall -Wextra -Werror -shared -s -static-libgcc -Wl,--no-insert-timestamp,--image-base=0x180000000 \
	-o "$work/handover.dll" packaging/windows/handover.c -lmsi -ladvapi32
if [ -n "${SIGN_CERT-}" ]; then
	sign "$work/amd64/muster.exe" "$SIGN_CERT" "$SIGN_KEY"
	sign "$work/handover.dll" "$SIGN_CERT" "$SIGN_KEY"
fi

echo "== installer"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct || echo 0)}"
export SOURCE_DATE_EPOCH
find "$work/amd64" "$work/handover.dll" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
name=muster-$version-windows-amd64.msi
msi=$work/$name
cp packaging/windows/muster.wxs "$work/"
# It takes only relative paths, and warns about what it does not know, which
# is an error here.
make_installer() (
	cd "$work"
	wixl -a x64 -D "Version=$number" -D "ProductCode=$(uuid "product $version")" \
		-D Program=amd64/muster.exe -D Handover=handover.dll -o "$name" muster.wxs 2>log && ! [ -s log ]
)
# wixl 0.101 crashes now and then, for no reason of ours.
make_installer || [ -s "$work/log" ] || make_installer || [ -s "$work/log" ] || make_installer || {
	cat "$work/log" >&2
	echo "wixl could not make the installer." >&2
	exit 1
}
# What wixl does not know, by the numbers of the tables' documentation: public
# properties; an action's data stays out of the log (8192); another build of the
# same version may take its place (512); without its service the product is not
# installed (32768); the old one goes before the new comes, and the configuration
# is right before there is a service.
edit() { # TABLE SED-SCRIPT
	msiinfo export "$msi" "$1" >"$work/$1.idt"
	sed "$2" "$work/$1.idt" >"$work/edited"
	! cmp -s "$work/$1.idt" "$work/edited" || {
		echo "wixl makes the table $1 in another way than tools/package-windows.sh knows." >&2
		return 1
	}
	mv "$work/edited" "$work/$1.idt"
	msibuild "$msi" -i "$work/$1.idt"
}
edit Property 's/^SecureCustomProperties	/&ENROLLMENTKEY;ENROLLMENTKEYFILE;SERVERURL;SITECODE;/'
msibuild "$msi" -q "UPDATE \`CustomAction\` SET \`Type\` = 8243 WHERE \`Action\` = 'SetConfigure'" \
	"UPDATE \`CustomAction\` SET \`Type\` = 11265 WHERE \`Action\` = 'Configure'" \
	"UPDATE \`ServiceInstall\` SET \`ErrorControl\` = 32769 WHERE \`Name\` = 'muster'"
edit Upgrade 's/	1	\([^	]*	WIX_UPGRADE_DETECTED\)/	513	\1/'
edit InstallExecuteSequence 's/^\(RemoveExistingProducts	.*	\)[0-9]*/\11501/; s/^\(SetConfigure	.*	\)[0-9]*/\11001/; s/^\(Configure	.*	\)[0-9]*/\14001/
	$s/$/\nMsiConfigureServices	VersionMsi >= "5.00"	5850\r/'
# The service starts delayed (3), as `muster service install` has it.
sed 's/$/\r/' packaging/windows/MsiServiceConfig.idt >"$work/MsiServiceConfig.idt"
msibuild "$msi" -i "$work/MsiServiceConfig.idt"
# Its own time and name, in place of now and a random one.
date=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y\/%m\/%d %H:%M:%S')
package=$(uuid "package $version $(cat "$work/amd64/muster.exe" "$work/handover.dll" packaging/windows/muster.wxs "$0" | sha256sum)")
msiinfo export "$msi" _SummaryInformation |
	sed "s/^9	[^\r]*/9	{$package}/; s/^\(1[23]\)	[^\r]*/\1	$date/" >"$work/summary.idt"
msibuild "$msi" -i "$work/summary.idt"

echo "== signature"
if [ -n "${SIGN_CERT-}" ]; then
	sign "$msi" "$SIGN_CERT" "$SIGN_KEY"
	osslsigncode verify -CAfile "${SIGN_CA:-$SIGN_CERT}" -in "$msi" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		echo "The signature of $name does not verify." >&2
		exit 1
	}
	echo "signed: $name"
else
	openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj "/CN=A test of signing" \
		-addext extendedKeyUsage=codeSigning -addext keyUsage=digitalSignature \
		-keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/log"
	for file in "$msi" "$work/amd64/muster.exe" "$work/handover.dll"; do
		cp "$file" "$work/copy"
		sign "$work/copy" "$work/cert.pem" "$work/key.pem"
		osslsigncode verify -CAfile "$work/cert.pem" -in "$work/copy" >"$work/log" 2>&1 || {
			cat "$work/log" >&2
			echo "The signature of ${file##*/} does not verify." >&2
			exit 1
		}
		# One that is altered must not.
		printf 'x' | dd of="$work/copy" bs=1 seek=5000 conv=notrunc status=none
		! osslsigncode verify -CAfile "$work/cert.pem" -in "$work/copy" >"$work/log" 2>&1 || {
			echo "The signature of ${file##*/} verifies although the file was altered." >&2
			exit 1
		}
	done
	echo "not signed (SIGN_CERT, SIGN_KEY); a copy could be, and verified: $name"
fi
mkdir -p "$out"
mv "$msi" "$out/"
echo "$name, $(wc -c <"$out/$name" | tr -d ' ') bytes, installer version $number"
