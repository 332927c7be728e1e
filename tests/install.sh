# shellcheck shell=bash
# What the scripts of this repository need on the machine. Sourced by them; nothing happens until a function is called.
#
# Each function looks first, and installs only what is missing: Debian's packages, as root or with sudo.

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs root or sudo to run: $*"
    fi
}

# Installs packages, and tells why on failure.
install_packages() {
    command -v apt-get >/dev/null || fail "please install the equivalents of Debian's packages: $*"
    printf 'installing %s\n' "$*"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update || fail "apt-get update failed"
    as_root "${apt[@]}" install --yes --no-install-recommends "$@" || fail "apt-get could not install: $*"
}

# Prints the directory of PostgreSQL's programs, if one has all that is needed.
postgres_directory() {
    local directory library
    local candidates=()
    if [ -n "${PG2K_TEST_POSTGRES:-}" ]; then
        candidates=("$PG2K_TEST_POSTGRES")
    else
        if command -v pg_config >/dev/null; then
            candidates+=("$(pg_config --bindir)")
        fi
        while IFS= read -r directory; do
            candidates+=("$directory")
        done < <(compgen -G '/usr/lib/postgresql/*/bin' | sort -t/ -k5,5nr || true)
        if command -v postgres >/dev/null; then
            candidates+=("$(dirname "$(command -v postgres)")")
        fi
    fi
    for directory in "${candidates[@]}"; do
        if [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ]; then
            for library in "$directory"/../lib{,64}{,/postgresql}/test_decoding.so; do
                if [ -e "$library" ]; then
                    printf '%s\n' "$directory"
                    return
                fi
            done
        fi
    done
    return 1
}

# PostgreSQL's server with test_decoding, and its clients. Debian would also make and start a server of its own, for which
# there is no use here: a package that we install does not.
need_postgres() {
    if ! postgres_directory >/dev/null || ! command -v psql >/dev/null || ! command -v pgbench >/dev/null; then
        local no_server=/etc/postgresql-common/createcluster.d/pg2k.conf
        as_root mkdir -p "$(dirname "$no_server")"
        printf 'create_main_cluster = false\n' | as_root tee "$no_server" >/dev/null
        install_packages postgresql postgresql-client
        as_root rm -f "$no_server"
    fi
    postgres_directory >/dev/null || fail "found no directory that has initdb, postgres and test_decoding"
    # PostgreSQL refuses to be run by root.
    if [ "$(id -u)" = 0 ] && ! id postgres >/dev/null 2>&1; then
        useradd --system --shell /bin/sh postgres || fail "root needs a user postgres to run servers"
    fi
}

need_compiler() {
    if ! command -v cc >/dev/null; then
        install_packages gcc libc6-dev
    fi
}

need_cargo() {
    if ! command -v cargo >/dev/null && [ -x "${HOME:-}/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    command -v cargo >/dev/null || fail "found no cargo: install Rust as https://rustup.rs says"
}

need_cargo_command() {
    cargo "$1" --version >/dev/null 2>&1 || fail "found no cargo $1: rustup component add rustfmt clippy"
}

# A Python that has aws_kinesis_agg and what it needs, in a directory of its own.
need_python() {
    local directory=$1
    local packages=(aws_kinesis_agg==1.2.3 protobuf==7.36.2 six==1.17.0)
    if "$directory/bin/python3" -c 'import aws_kinesis_agg.deaggregator' 2>/dev/null; then
        return
    fi
    if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3 python3-venv
    fi
    printf 'installing %s in %s\n' "${packages[*]}" "$directory"
    rm -rf "$directory"
    python3 -m venv "$directory" || fail "could not make a Python environment in $directory"
    "$directory/bin/python3" -m pip --quiet --disable-pip-version-check install "${packages[@]}" ||
        fail "pip could not install: ${packages[*]}"
}
