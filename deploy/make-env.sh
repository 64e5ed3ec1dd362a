#!/bin/sh
# Adds to .env beside docker-compose.yml, which reads it, what is missing there: a password for each user of NATS
# (deploy/nats-accounts.conf), and the client secret of the source. Only the owner can read the file. What is there stays.
set -eu
cd "$(dirname "$0")/.."

if [ -L .env ]; then
    echo "make-env: $PWD/.env is a link; nothing is changed" >&2
    exit 1
fi
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

umask 077
touch .env
chmod 600 .env
added=
add() { # NAME VALUE
    if ! grep -q "^$1=" .env; then
        # A last line without an end would take the next one along.
        if [ -n "$(tail -c 1 .env)" ]; then echo >>.env; fi
        echo "$1=$2" >>.env
        added="$added $1"
    fi
}
for user in FETCHER TRANSFORMER WRITER OPERATOR; do add "NATS_${user}_PASSWORD" "$(password)"; done
# That of the sandbox: put the secret of your own account in its place.
add OKKI_CLIENT_SECRET demo-secret
echo "make-env: $PWD/.env:${added:- everything is there}" >&2
