#!/bin/sh
# Prints the folder of a PostgreSQL server (initdb and postgres) of at least $minimum, and gets one when there is
# none. For tests only: no cluster is made and nothing is started. Only the path goes to stdout; everything else goes
# to stderr. The first of these that works is taken:
#
#   1. $POSTGRES_BIN           if set it must be good, nothing else is tried
#   2. postgres on PATH
#   3. where Debian puts it    /usr/lib/postgresql/*/bin, the newest
#   4. the cache               $ORDERFLOW_CACHE, else $XDG_CACHE_HOME/orderflow, else ~/.cache/orderflow
#   5. Debian's package        installed when we are root, else unpacked into the cache with what it needs
set -eu

minimum=13 # the oldest that the statements were written for

say() { echo "get-postgres: $*" >&2; }

tried=
failed() {
    tried="$tried
  - $*"
}

# Sets $why when the folder holds no server that runs and is new enough.
good() {
    for binary in initdb postgres; do
        if [ ! -x "$1/$binary" ]; then
            why="$1 has no $binary"
            return 1
        fi
        if ! version=$("$1/$binary" --version 2>/dev/null); then
            why="$1/$binary does not run on this machine"
            return 1
        fi
    done
    version=${version##*PostgreSQL) }
    major=${version%%[!0-9]*}
    if [ -z "$major" ] || [ "$major" -lt "$minimum" ]; then
        why="$1 holds version $version; $minimum or newer is needed"
        return 1
    fi
}

# take FOLDER: prints it and ends, if it is good.
take() {
    if good "$1"; then
        echo "$1"
        exit 0
    fi
}

# --- 1. to 3.: what is already there --------------------------------------------------------------

if [ -n "${POSTGRES_BIN:-}" ]; then
    take "$POSTGRES_BIN"
    say "POSTGRES_BIN: $why. Correct it, or unset it to have one found or fetched."
    exit 1
fi

if path=$(command -v postgres); then
    take "$(dirname "$path")"
    # Only one of the two may be linked to from here.
    take "$(dirname "$(readlink -f "$path")")"
    failed "PATH: $why"
else
    failed "PATH: no postgres"
fi

from_debian_folder() {
    why="no such folder"
    for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t / -k 5 -n -r); do
        take "$folder"
    done
}
from_debian_folder
failed "/usr/lib/postgresql/*/bin: $why"

# --- 4.: the cache --------------------------------------------------------------------------------

cache=${ORDERFLOW_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or ORDERFLOW_CACHE}/.cache}/orderflow}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
home=$cache/postgres-$(uname -m)

[ -d "$home" ] && { take "$home/bin" || failed "cache: $why"; }

# --- 5.: Debian's package -------------------------------------------------------------------------

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    failed "Debian: this machine has no apt-get and dpkg"
elif [ "$(id -u)" = 0 ]; then
    get() { DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >&2; }
    no_cluster() {
        [ -f "$1" ] || return 0
        sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' "$1"
    }
    say "installing Debian's package postgresql"
    if ! { apt-get -qq update >&2 && get postgresql-common; }; then
        failed "Debian: postgresql-common could not be installed"
    # Installing a server would make a cluster and start it: nobody asked for that.
    elif ! { no_cluster /etc/postgresql-common/createcluster.conf && get postgresql; }; then
        failed "Debian: postgresql could not be installed"
    else
        from_debian_folder
        failed "Debian: $why"
    fi
else
    # Works in a folder of its own, so a run that is cut short leaves nothing behind and two runs do not meet.
    work=$(mktemp -d "$cache/tmp.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    apt=$work/apt tree=$work/tree
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$tree" "$work/bin"
    # The machine's own sources; lists and cache of our own. What the machine has installed need not be fetched.
    cat >"$apt/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "$(id -un)";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$apt/cache";
Dir::Log "$apt";
Debug::NoLocking "true";
Acquire::Languages "none";
CONF
    say "fetching Debian's package postgresql"
    if ! apt-get -qq -c "$apt/apt.conf" update >&2; then
        failed "Debian: the package lists could not be fetched"
    elif ! apt-get -qq -y -c "$apt/apt.conf" install --download-only --no-install-recommends postgresql >&2; then
        failed "Debian: postgresql could not be fetched"
    else
        for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$tree" >&2; done
        server=$(cd "$tree" && ls -d usr/lib/postgresql/*/bin 2>/dev/null | sort -t / -k 4 -n -r | head -n 1)
        # The libraries that came along are found by their folder; initdb starts the postgres beside it.
        for binary in initdb postgres; do
            cat >"$work/bin/$binary" <<RUN
#!/bin/sh
LD_LIBRARY_PATH=\$(ls -d "$home"/tree/usr/lib/*-linux-gnu* "$home"/tree/lib/*-linux-gnu* 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH
exec "$home/tree/$server/$binary" "\$@"
RUN
            chmod 755 "$work/bin/$binary"
        done
        rm -rf "$apt" "$home"
        mkdir -p "$home" && mv "$tree" "$work/bin" "$home"
        if good "$home/bin"; then
            say "postgres $version from Debian is now in $home"
            echo "$home/bin"
            exit 0
        fi
        failed "Debian: $why"
    fi
fi

say "no PostgreSQL server of version $minimum or newer could be had. Tried:$tried
Install one (Debian: sudo apt-get install postgresql),
or name the folder of its initdb and postgres: POSTGRES_BIN=/path/to/bin"
exit 1
