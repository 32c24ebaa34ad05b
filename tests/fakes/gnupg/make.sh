#!/bin/sh
# What GnuPG itself writes, for tests/fakes/openpgp.py: run in an empty folder, with the claim to sign as its argument.
# Made with GnuPG 2.2.40; private keys are thrown away with the folder.
set -eu
claim=$1
export GNUPGHOME="$PWD/home"
mkdir -m 700 "$GNUPGHOME"
g() { gpg --batch --yes --quiet --pinentry-mode loopback --passphrase '' "$@"; }
old() { g --faked-system-time 20200102T000000! "$@"; }
fingerprint() { g --list-keys --with-colons "$1" | awk -F: '/^fpr/{print $10; exit}'; }

g --quick-gen-key "Release <release@corp.example>" ed25519 cert never
release=$(fingerprint release@corp.example)
g --quick-add-key "$release" ed25519 sign never
g --quick-add-key "$release" rsa2048 sign never
g --list-keys --with-colons "$release" | awk -F: '/^fpr/{print $10}' > release.fingerprints
ed25519=$(sed -n 2p release.fingerprints)!
rsa=$(sed -n 3p release.fingerprints)!
g --sign -u "$ed25519" -o zip.sig "$claim"
g --sign -u "$ed25519" < "$claim" > piped.sig
g --sign -u "$rsa" -o rsa.sig "$claim"
g --sign -u "$ed25519" --compress-algo zlib -o zlib.sig "$claim"
g --sign -u "$ed25519" --compress-algo bzip2 -o bzip2.sig "$claim"
g --sign -u "$ed25519" --compress-algo none -o bare.sig "$claim"
g --sign -u "$ed25519" --textmode -o text.sig "$claim"
g --sign -u "$ed25519" -u "$rsa" -o two.sig "$claim"
g --sign -u "$ed25519" --armor -o armored.sig "$claim"
g --clear-sign -u "$ed25519" -o clear.sig "$claim"
g --detach-sign -u "$ed25519" -o detached.sig "$claim"
g --store -o unsigned.sig "$claim"
g --sign -u "$ed25519" --default-sig-expire 1d --faked-system-time "$(date -u -d '1 minute' +%Y%m%dT%H%M%S)" -o brief.sig "$claim"
g --sign -u "$ed25519" --digest-algo SHA1 -o sha1.sig "$claim"
g --export "$release" > release.ring

old --quick-gen-key "Old <old@corp.example>" ed25519 sign 1y
old --sign -u old@corp.example -o old.sig "$claim"
g --export old@corp.example > old.ring

g --quick-gen-key "Left <left@corp.example>" ed25519 sign never
g --sign -u left@corp.example -o left.sig "$claim"
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$(fingerprint left@corp.example).rev" | g --import
g --export left@corp.example > left.ring

g --quick-gen-key "Rotated <rotated@corp.example>" ed25519 cert never
rotated=$(fingerprint rotated@corp.example)
g --quick-add-key "$rotated" ed25519 sign never
g --sign -u "$rotated" -o rotated.sig "$claim"
printf 'key 1\nrevkey\ny\n3\n\ny\nsave\n' | gpg --quiet --pinentry-mode loopback --passphrase '' --no-tty --command-fd 0 --edit-key "$rotated"
g --export "$rotated" > rotated.ring

rm -rf "$GNUPGHOME" release.fingerprints
