#!/bin/sh
# Prints the path of a pgbouncer, and gets one when there is none. For tests only: nothing is started. Only the path goes to
# stdout; everything else goes to stderr. The first of these that works is taken:
#
#   1. $PGBOUNCER              a path or a command name; if set it must be good, nothing else is tried
#   2. pgbouncer on PATH
#   3. where Debian puts it    /usr/sbin/pgbouncer
#   4. the cache               $ORDERFLOW_CACHE, else $XDG_CACHE_HOME/orderflow, else ~/.cache/orderflow
#   5. Debian's package        unpacked into the cache with what it needs, from this machine's own sources: installing it would
#                              start a service
set -eu

say() { echo "get-pgbouncer: $*" >&2; }

tried=
failed() {
    tried="$tried
  - $*"
}

# Sets $why when the file is no pgbouncer that runs here.
good() {
    if [ ! -x "$1" ]; then
        why="$1 is not an executable file"
        return 1
    fi
    case $("$1" --version 2>/dev/null) in
    PgBouncer*) ;;
    *)
        why="$1 does not answer --version as a pgbouncer does"
        return 1
        ;;
    esac
}

# take FILE: prints it and ends, if it is good.
take() {
    if good "$1"; then
        echo "$1"
        exit 0
    fi
}

# --- 1. to 3.: what is already there --------------------------------------------------------------

if [ -n "${PGBOUNCER:-}" ]; then
    path=$(command -v "$PGBOUNCER") || path=$PGBOUNCER
    take "$path"
    say "PGBOUNCER: $why. Correct it, or unset it to have one found or fetched."
    exit 1
fi

if path=$(command -v pgbouncer); then
    take "$path"
    failed "PATH: $why"
else
    failed "PATH: no pgbouncer"
fi

take /usr/sbin/pgbouncer
failed "Debian's folder: $why"

# --- 4.: the cache --------------------------------------------------------------------------------

cache=${ORDERFLOW_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or ORDERFLOW_CACHE}/.cache}/orderflow}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
home=$cache/pgbouncer-$(uname -m)

[ -d "$home" ] && { take "$home/pgbouncer" || failed "cache: $why"; }

# --- 5.: Debian's package -------------------------------------------------------------------------

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    failed "Debian: this machine has no apt-get and dpkg"
else
    # Works in a folder of its own, so a run that is cut short leaves nothing behind and two runs do not meet.
    work=$(mktemp -d "$cache/tmp.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    apt=$work/apt tree=$work/tree
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$tree"
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
    say "fetching Debian's package pgbouncer"
    if ! apt-get -qq -c "$apt/apt.conf" update >&2; then
        failed "Debian: the package lists could not be fetched"
    elif ! apt-get -qq -y -c "$apt/apt.conf" install --download-only --no-install-recommends pgbouncer >&2; then
        failed "Debian: pgbouncer could not be fetched"
    else
        for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$tree" >&2; done
        # The libraries that came along are found by their folder. A server of PostgreSQL runs as somebody else, and so
        # does a pgbouncer: everybody may read it.
        cat >"$work/pgbouncer" <<RUN
#!/bin/sh
LD_LIBRARY_PATH=\$(ls -d "$home"/tree/usr/lib/*-linux-gnu* "$home"/tree/lib/*-linux-gnu* 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH
exec "$home/tree/usr/sbin/pgbouncer" "\$@"
RUN
        chmod 755 "$work/pgbouncer"
        rm -rf "$apt" "$home"
        mkdir -p "$home" && mv "$tree" "$work/pgbouncer" "$home"
        if good "$home/pgbouncer"; then
            say "pgbouncer from Debian is now in $home"
            echo "$home/pgbouncer"
            exit 0
        fi
        failed "Debian: $why"
    fi
fi

say "no pgbouncer could be had. Tried:$tried
Install one (Debian: sudo apt-get install pgbouncer),
or name it: PGBOUNCER=/path/to/pgbouncer"
exit 1
