#!/bin/sh
# Prints the path of a nats-server of at least $minimum, and gets one when there is none.
# Only the path goes to stdout; everything else goes to stderr. Needs no root and changes
# nothing outside the cache folder. The first of these that works is taken:
#
#   1. $NATS_SERVER         a path or a command name; if set it must be good, nothing else is tried
#   2. nats-server on PATH
#   3. the cache            $ORDERFLOW_CACHE, else $XDG_CACHE_HOME/orderflow, else ~/.cache/orderflow
#   4. the official release whose checksum is below, on Linux
#   5. Debian's package     from sid, then testing, by way of this machine's own Debian mirror
set -eu

minimum=2.12.1 # atomic batch publish, and the fixes to it
release=2.12.15 # what step 4 downloads
# Its checksums stand here: those that lie beside a file say nothing about who made both.
release_sha256_linux_amd64=58ab8131f819263897e2fc38e503e1b755b63bcafeecc7d12582487df48ca15e
release_sha256_linux_arm64=b724db99fefbf8f5c808baa82819ee50350aee9734017e4a478f7e545cef3ab6
releases=https://github.com/nats-io/nats-server/releases/download

say() { echo "get-nats-server: $*" >&2; }

tried=
failed() {
    tried="$tried
  - $*"
}

# at_least HAVE WANT: compares x.y.z numerically; a suffix such as -RC.1 or -1 is ignored.
at_least() {
    have=${1%%[!0-9.]*} want=$2
    case $have in [0-9]*.[0-9]*.[0-9]*) ;; *) return 1 ;; esac
    for _ in 1 2 3; do
        h=${have%%.*} w=${want%%.*}
        [ "$h" -gt "$w" ] && return 0
        [ "$h" -lt "$w" ] && return 1
        have=${have#*.} want=${want#*.}
    done
    return 0
}

# Sets $version to what the binary says of itself ("nats-server: v2.12.1"); fails if it does not run.
version_of() {
    version=$("$1" --version 2>/dev/null) || return 1
    case $version in *"nats-server: v"[0-9]*) version=${version##*nats-server: v} ;; *) return 1 ;; esac
    version=${version%%[!0-9A-Za-z.-]*}
}

# --- 1. and 2.: what is already there -------------------------------------------------------------

if [ -n "${NATS_SERVER:-}" ]; then
    if ! path=$(command -v "$NATS_SERVER"); then
        say "NATS_SERVER=$NATS_SERVER is not an executable file. Correct it, or unset it to have one fetched."
    elif ! version_of "$path"; then
        say "NATS_SERVER=$NATS_SERVER does not answer --version as a nats-server does." \
            "Correct it, or unset it to have one fetched."
    elif ! at_least "$version" "$minimum"; then
        say "NATS_SERVER=$NATS_SERVER is version $version; $minimum or newer is needed." \
            "Correct it, or unset it to have one fetched."
    else
        echo "$path"
        exit 0
    fi
    exit 1
fi

if path=$(command -v nats-server); then
    if ! version_of "$path"; then
        failed "PATH: $path does not answer --version"
    elif at_least "$version" "$minimum"; then
        echo "$path"
        exit 0
    else
        failed "PATH: $path is version $version; $minimum or newer is needed"
    fi
else
    failed "PATH: no nats-server"
fi

# --- 3.: the cache --------------------------------------------------------------------------------

case $(uname -s) in Linux) os=linux ;; Darwin) os=darwin ;; *) os=$(uname -s) ;; esac
case $(uname -m) in x86_64 | amd64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) arch=$(uname -m) ;; esac

cache=${ORDERFLOW_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or ORDERFLOW_CACHE}/.cache}/orderflow}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

for path in "$cache"/nats-server-*-"$os-$arch"/nats-server; do
    if [ -x "$path" ] && version_of "$path" && at_least "$version" "$minimum"; then
        echo "$path"
        exit 0
    fi
done
failed "cache: nothing usable in $cache"

# Everything below works in a folder of its own and renames the finished binary into the cache,
# so a run that is cut short leaves nothing behind and two runs at once do not meet.
work=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# keep BINARY WHERE-FROM: if it runs and is new enough, moves it into the cache, prints its path, ends.
keep() {
    chmod 755 "$1"
    if ! version_of "$1"; then
        failed "$2: the binary does not run on this machine"
    elif ! at_least "$version" "$minimum"; then
        failed "$2: has version $version; $minimum or newer is needed"
    else
        home=$cache/nats-server-$version-$os-$arch
        mkdir -p "$home"
        mv -f "$1" "$home/nats-server"
        say "nats-server $version from $2 is now in $home"
        echo "$home/nats-server"
        exit 0
    fi
}

# --- 4.: the official release ---------------------------------------------------------------------

# Short on waiting, so that a machine without network moves on at once.
download() {
    if command -v curl >/dev/null; then
        curl -fsSL --connect-timeout 5 --speed-limit 1000 --speed-time 15 -o "$2" "$1" >&2
    else
        wget -q -t 1 -T 5 -O "$2" "$1" >&2
    fi
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

from_release() {
    from="release v$release"
    case $os-$arch in
    linux-amd64) want=$release_sha256_linux_amd64 ;;
    linux-arm64) want=$release_sha256_linux_arm64 ;;
    *) failed "$from: no checksum is known for $os-$arch" && return ;;
    esac
    if ! command -v curl >/dev/null && ! command -v wget >/dev/null; then
        failed "$from: neither curl nor wget is installed"
        return
    fi
    name=nats-server-v$release-$os-$arch
    say "fetching $releases/v$release/$name.tar.gz"
    if ! download "$releases/v$release/$name.tar.gz" "$work/$name.tar.gz"; then
        failed "$from: could not be downloaded from $releases"
        return
    fi
    if [ "$(sha256 "$work/$name.tar.gz")" != "$want" ]; then
        failed "$from: $name.tar.gz is not the file whose checksum this script knows ($want)"
    elif ! tar -xzf "$work/$name.tar.gz" -C "$work" "$name/nats-server" >&2; then
        failed "$from: $name.tar.gz could not be unpacked"
    else
        keep "$work/$name/nats-server" "$from"
    fi
}
from_release

# --- 5.: Debian's package -------------------------------------------------------------------------

# The URIs of the machine's own Debian sources, in both of apt's formats: section main of a plain
# release (bookworm, stable, sid), so neither security nor updates. Whatever else is among them
# fails on the signature below.
debian_uris() {
    release_names="stable|oldstable|testing|unstable|sid"
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null) || codename=
    [ -n "$codename" ] && release_names="$release_names|$codename"
    {
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            awk '$1 == "deb" { sub(/\[[^]]*\]/, ""); print $2 "|" $3 "|" $0 " " }'
        for file in /etc/apt/sources.list.d/*.sources; do
            [ -f "$file" ] && awk '
                function flush(    i, j, n, m, u, s) {
                    n = split(uris, u, " "); m = split(suites, s, " ")
                    if (enabled !~ /^no$/ && types ~ /(^| )deb( |$)/)
                        for (i = 1; i <= n; i++) for (j = 1; j <= m; j++)
                            print u[i] "|" s[j] "| " components " "
                    types = uris = suites = components = enabled = field = ""
                }
                /^#/ { next }
                /^[ \t]*$/ { flush(); next }
                {
                    value = $0
                    if ($0 !~ /^[ \t]/) { field = tolower($1); sub(/:.*/, "", field); sub(/^[^:]*:/, "", value) }
                    gsub(/[ \t]+/, " ", value)
                    if (field == "types") types = types value
                    if (field == "uris") uris = uris value
                    if (field == "suites") suites = suites value
                    if (field == "components") components = components value
                    if (field == "enabled") { enabled = tolower(value); gsub(/ /, "", enabled) }
                }
                END { flush() }' "$file"
        done
    } | awk -F '|' -v names="^($release_names)\$" \
        '$2 ~ names && $3 ~ / main / && $1 !~ /security|^cdrom/ && !seen[$1]++ { print $1 }'
}

# from_debian URI SUITE KEYRING: an apt configuration, lists and cache of its own under $work.
from_debian() {
    from="Debian $2 at $1"
    apt=$work/apt
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/tree"
    : >"$apt/status"
    echo "deb [arch=$arch signed-by=$3] $1 $2 main" >"$apt/sources.list"
    # Read after the machine's own settings, of which the proxy is wanted and the hooks are not.
    # A mirror may lag behind: what counts is the signature, and then the version.
    cat >"$apt/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
APT::Sandbox::User "$(id -un)";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
CONF
    say "fetching the nats-server package of $from"
    if ! apt-get -qq -c "$apt/apt.conf" update >&2; then
        failed "$from: the package list could not be fetched"
    elif ! (cd "$apt" && apt-get -qq -c apt.conf download nats-server >&2); then
        failed "$from: the package could not be fetched"
    elif ! dpkg -x "$apt"/nats-server_*.deb "$apt/tree" >&2; then
        failed "$from: the package could not be unpacked"
    else
        for binary in usr/sbin/nats-server usr/bin/nats-server; do
            if [ -f "$apt/tree/$binary" ]; then
                keep "$apt/tree/$binary" "$from"
                return
            fi
        done
        failed "$from: the package holds no nats-server"
    fi
}

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    failed "Debian: this machine has no apt-get and dpkg"
else
    keyring=
    for file in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
        if [ -z "$keyring" ] && [ -r "$file" ]; then keyring=$file; fi
    done
    uris=$(debian_uris)
    if [ -z "$keyring" ]; then
        failed "Debian: no debian-archive-keyring in /usr/share/keyrings"
    elif [ -z "$uris" ]; then
        failed "Debian: no Debian mirror among the apt sources of this machine"
    else
        for uri in $uris; do
            for suite in sid testing; do from_debian "$uri" "$suite" "$keyring"; done
        done
    fi
fi

say "no nats-server of version $minimum or newer could be had. Tried:$tried
Install one (see the releases at ${releases%/download}) and put it on PATH,
or name it: NATS_SERVER=/path/to/nats-server"
exit 1
