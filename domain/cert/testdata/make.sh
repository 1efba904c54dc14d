#!/bin/sh
# Makes the certificates of this folder with OpenSSL 3 and, if it is on the
# PATH, with Smallstep's step. Run it here. The keys are new each time, the
# dates are fixed; the tests bring their own clock. The CAs' private keys are
# thrown away, those of the leaves protect nothing.
set -eu
cd "$(dirname -- "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf openssl step
mkdir openssl

cat >"$work/ca.cnf" <<'CNF'
[ca]
default_ca = a
[a]
dir = $ENV::DB
database = $dir/index.txt
crlnumber = $dir/crlnumber
new_certs_dir = $dir
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = optional
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[intermediate]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
[unlimited]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[no_flag]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
[no_extension]
subjectKeyIdentifier = hash
[no_cert_sign]
basicConstraints = critical,CA:TRUE
keyUsage = critical,cRLSign
[names]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
nameConstraints = critical,permitted;DNS:example.com
[client_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
extendedKeyUsage = clientAuth
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:web-3.example.org
[client]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[req]
distinguished_name = dn
[dn]
CNF

ec() { openssl ecparam -name prime256v1 -genkey -out "$1"; } # SEC 1, after a block of parameters

# sign NAME ISSUER SECTION START END SUBJECT: a certificate $work/NAME.pem for
# $work/NAME.key, which is made if it is not there. ISSUER self: signs itself.
# SECTION: the extensions, or none.
sign() {
	[ -e "$work/$1.key" ] || ec "$work/$1.key"
	issuer=$2
	[ "$issuer" != self ] || issuer=$1
	DB=$work/db.$issuer
	export DB
	[ -d "$DB" ] || { mkdir "$DB" && : >"$DB/index.txt" && echo 01 >"$DB/crlnumber"; }
	openssl req -new -config "$work/ca.cnf" -key "$work/$1.key" -subj "$6" -out "$work/$1.csr"
	if [ "$2" = self ]; then by=-selfsign; else by="-cert $work/$issuer.pem"; fi
	[ "$3" = none ] || by="$by -extensions $3" # without any it is of version 1
	# shellcheck disable=SC2086 # several words
	openssl ca -batch -notext -config "$work/ca.cnf" -keyfile "$work/$issuer.key" $by \
		-startdate "$4" -enddate "$5" -in "$work/$1.csr" -out "$work/$1.pem" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}

# crl NAME ISSUER: a revocation list of what was revoked there
crl() {
	DB=$work/db.$2 openssl ca -gencrl -config "$work/ca.cnf" -keyfile "$work/$2.key" -cert "$work/$2.pem" \
		-crl_lastupdate 20260201000000Z -crl_nextupdate 20260401000000Z -out "$work/$1.pem" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}
revoke() { DB=$work/db.$2 openssl ca -revoke "$work/$1.pem" -config "$work/ca.cnf" -keyfile "$work/$2.key" -cert "$work/$2.pem" 2>/dev/null; }

# keep FILE …: what of the work is committed
keep() { for f; do cp "$work/$f" "openssl/$f"; done; }

ca_from=20200101000000Z ca_to=21000101000000Z
from=20260101000000Z to=20270101000000Z

# The three kinds of key under one root.
sign root self root $ca_from $ca_to "/O=Muster Tests/CN=Root"
sign ec root leaf $from $to "/CN=web-3.example.org"
openssl genrsa -traditional -out "$work/rsa.key" 2048 2>/dev/null # PKCS#1
sign rsa root leaf $from $to "/CN=web-3.example.org"
openssl genpkey -algorithm ed25519 -out "$work/ed25519.key" # PKCS#8
sign ed25519 root leaf $from $to "/CN=web-3.example.org"
openssl pkey -in "$work/ec.key" -out "$work/ec-pkcs8.key"
openssl pkey -in "$work/rsa.key" -out "$work/rsa-pkcs8.key"
openssl pkey -in "$work/ec.key" -aes128 -passout pass:x -out "$work/encrypted-pkcs8.key"
openssl ec -in "$work/ec.key" -aes128 -passout pass:x -out "$work/encrypted-sec1.key" 2>/dev/null
openssl genpkey -algorithm x25519 -out "$work/x25519.key"
openssl ecparam -name secp224r1 -genkey -noout -out "$work/p224.key"
openssl genrsa -out "$work/rsa-768.key" 768 2>/dev/null
keep root.pem ec.pem ec.key rsa.pem rsa.key ed25519.pem ed25519.key ec-pkcs8.key rsa-pkcs8.key \
	encrypted-pkcs8.key encrypted-sec1.key x25519.key p224.key rsa-768.key

# What becomes of files on their way.
sed 's/$/\r/' "$work/ec.pem" >openssl/crlf.pem
sed 's/$/\r/' "$work/ec.key" >openssl/crlf.key
openssl x509 -text -in "$work/ec.pem" -out openssl/text-before.pem
{ cat "$work/ec.pem" && printf 'garbage \377\376\000 after the end\n-----\n'; } >openssl/trailing-garbage.pem
{ printf '\357\273\277' && cat "$work/ec.pem"; } >openssl/byte-order-mark.pem
: >openssl/empty.pem
head -c 400 "$work/ec.pem" >openssl/truncated.pem
head -c 200 "$work/ec.key" >openssl/truncated.key
sed '2s/^..../AAAA/' "$work/ec.pem" >openssl/garbled.pem

# A chain, in one file and not.
sign intermediate root intermediate $ca_from $ca_to "/O=Muster Tests/CN=Intermediate"
sign below intermediate leaf $from $to "/CN=web-3.example.org"
cat "$work/below.pem" "$work/intermediate.pem" >openssl/chain.pem
cat "$work/intermediate.pem" "$work/below.pem" >openssl/chain-reversed.pem
head -c 900 openssl/chain.pem >openssl/chain-truncated.pem
keep below.pem below.key intermediate.pem

sign upper root unlimited $ca_from $ca_to "/O=Muster Tests/CN=Upper"
sign lower upper unlimited $ca_from $ca_to "/O=Muster Tests/CN=Lower"
sign deep lower leaf $from $to "/CN=web-3.example.org"
cat "$work/deep.pem" "$work/lower.pem" "$work/upper.pem" >openssl/deep.pem
cat "$work/root.pem" "$work/lower.pem" >openssl/root-and-lower.pem
keep deep.key

# The same name, another key.
sign impostor self root $ca_from $ca_to "/O=Muster Tests/CN=Root"
cat "$work/impostor.pem" "$work/root.pem" >openssl/two-roots.pem
keep impostor.pem

# CAs that may not.
sign no-flag self no_flag $ca_from $ca_to "/O=Muster Tests/CN=No flag"
sign no-flag-leaf no-flag leaf $from $to "/CN=web-3.example.org"
sign no-extension self no_extension $ca_from $ca_to "/O=Muster Tests/CN=No extension"
sign no-extension-leaf no-extension leaf $from $to "/CN=web-3.example.org"
sign no-cert-sign self no_cert_sign $ca_from $ca_to "/O=Muster Tests/CN=No certSign"
sign no-cert-sign-leaf no-cert-sign leaf $from $to "/CN=web-3.example.org"
sign version-1 self none $ca_from $ca_to "/O=Muster Tests/CN=Version 1"
sign version-1-leaf version-1 leaf $from $to "/CN=web-3.example.org"
keep no-flag.pem no-flag-leaf.pem no-flag-leaf.key no-extension.pem no-extension-leaf.pem no-extension-leaf.key \
	no-cert-sign.pem no-cert-sign-leaf.pem no-cert-sign-leaf.key version-1.pem version-1-leaf.pem version-1-leaf.key
sign not-a-ca root leaf $from $to "/CN=not-a-ca.example.org"
sign below-not-a-ca not-a-ca leaf $from $to "/CN=web-3.example.org"
cat "$work/below-not-a-ca.pem" "$work/not-a-ca.pem" >openssl/below-not-a-ca.pem
sign too-deep-ca intermediate unlimited $ca_from $ca_to "/O=Muster Tests/CN=Too deep"
sign too-deep too-deep-ca leaf $from $to "/CN=web-3.example.org"
cat "$work/too-deep.pem" "$work/too-deep-ca.pem" "$work/intermediate.pem" >openssl/too-deep.pem
sign names-ca root names $ca_from $ca_to "/O=Muster Tests/CN=Names"
sign names names-ca leaf $from $to "/CN=web-3.example.org"
cat "$work/names.pem" "$work/names-ca.pem" >openssl/names.pem
sign client-ca root client_ca $ca_from $ca_to "/O=Muster Tests/CN=Clients"
sign below-client-ca client-ca leaf $from $to "/CN=web-3.example.org"
cat "$work/below-client-ca.pem" "$work/client-ca.pem" >openssl/below-client-ca.pem
sign client root client $from $to "/CN=web-3.example.org"
sign self-signed self leaf $from $to "/CN=web-3.example.org"
sign self-signed-ca self root $from $to "/CN=web-3.example.org"
keep below-not-a-ca.key too-deep.key names.key below-client-ca.key client.pem client.key \
	self-signed.pem self-signed.key self-signed-ca.pem self-signed-ca.key

# Dates.
sign expired root leaf 20240101000000Z 20250101000000Z "/CN=web-3.example.org"
cp "$work/ec.key" "$work/ec-expired.key"
sign ec-expired root leaf 20240101000000Z 20250101000000Z "/CN=web-3.example.org"
sign future root leaf 20300101000000Z 20310101000000Z "/CN=web-3.example.org"
sign expired-ca self root $ca_from 20260201000000Z "/O=Muster Tests/CN=Expired"
sign below-expired-ca expired-ca leaf $from $to "/CN=web-3.example.org"
sign expired-intermediate root intermediate $ca_from 20260201000000Z "/O=Muster Tests/CN=Expired intermediate"
sign below-expired-intermediate expired-intermediate leaf $from $to "/CN=web-3.example.org"
cat "$work/below-expired-intermediate.pem" "$work/expired-intermediate.pem" >openssl/below-expired-intermediate.pem
cp "$work/expired-ca.key" "$work/renewed-ca.key"
sign renewed-ca self root 20260115000000Z $ca_to "/O=Muster Tests/CN=Expired"
cat "$work/expired-ca.pem" "$work/renewed-ca.pem" >openssl/renewed-ca.pem
sign ends-first-ca self root $ca_from 20260601000000Z "/O=Muster Tests/CN=Ends first"
sign ends-first ends-first-ca leaf $from $to "/CN=web-3.example.org"
keep expired.pem expired.key ec-expired.pem future.pem future.key expired-ca.pem below-expired-ca.pem below-expired-ca.key \
	below-expired-intermediate.key ends-first-ca.pem ends-first.pem ends-first.key

# Revocation.
crl crl-before root
sign revoked root leaf $from $to "/CN=web-3.example.org"
revoke revoked root
sign revoked-intermediate root intermediate $ca_from $ca_to "/O=Muster Tests/CN=Revoked intermediate"
sign below-revoked revoked-intermediate leaf $from $to "/CN=web-3.example.org"
revoke revoked-intermediate root
crl crl root
openssl crl -in "$work/crl.pem" -outform DER -out "$work/crl.der"
cat "$work/below-revoked.pem" "$work/revoked-intermediate.pem" >openssl/below-revoked.pem
cat "$work/root.pem" "$work/revoked-intermediate.pem" >openssl/root-and-revoked.pem
cp "$work/below-revoked.pem" openssl/below-revoked-alone.pem
sign revoked-below intermediate leaf $from $to "/CN=web-3.example.org"
revoke revoked-below intermediate
crl crl-intermediate intermediate
cat "$work/revoked-below.pem" "$work/intermediate.pem" >openssl/revoked-below.pem
cat "$work/crl.pem" "$work/crl-intermediate.pem" >openssl/crl-both.pem
# An impostor's list names the same serial number.
cp -r "$work/db.root" "$work/db.impostor.new" && rm -rf "$work/db.impostor" && mv "$work/db.impostor.new" "$work/db.impostor"
crl crl-impostor impostor
head -c 300 "$work/crl.pem" >openssl/crl-truncated.pem
keep revoked.pem revoked.key below-revoked.key revoked-below.key crl-before.pem crl.pem crl.der crl-intermediate.pem crl-impostor.pem

command -v step >/dev/null || { echo "step is not on the PATH: its certificates were not made" >&2; exit 1; }
mkdir step
create() { step certificate create --force --no-password --insecure --not-before 2026-01-01T00:00:00Z "$@" 2>/dev/null; }
cd step
create --profile root-ca --not-after 2100-01-01T00:00:00Z "Step Root" root.pem "$work/step-root.key"
create --profile root-ca --not-after 2100-01-01T00:00:00Z "Step Root" impostor.pem "$work/step-impostor.key"
create --profile intermediate-ca --not-after 2090-01-01T00:00:00Z --ca root.pem --ca-key "$work/step-root.key" \
	"Step Intermediate" intermediate.pem "$work/step-intermediate.key"
leaf() { create --profile leaf --bundle --ca intermediate.pem --ca-key "$work/step-intermediate.key" --san web-3.example.org "$@"; }
leaf --not-after 2027-01-01T00:00:00Z web-3.example.org ec.pem ec.key
leaf --not-after 2027-01-01T00:00:00Z --kty RSA web-3.example.org rsa.pem rsa.key
leaf --not-after 2027-01-01T00:00:00Z --kty OKP web-3.example.org ed25519.pem ed25519.key
leaf --not-after 2026-02-01T00:00:00Z web-3.example.org expired.pem expired.key
