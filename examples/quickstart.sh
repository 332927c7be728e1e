#!/usr/bin/env bash
# Shows pg2k at work, on this machine alone: a throwaway PostgreSQL server, a local Kinesis endpoint, and four programs
# that publish the same changes in four formats.
#
# Installs what is missing (PostgreSQL, a C compiler for the linker), and leaves nothing running. Works from any directory.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=tests/install.sh
. tests/install.sh

formats=(csv csv-payload json custom)
# Records of the workload below: the first two formats tell an update of a key as two records.
declare -A expected=([csv]=8 [csv-payload]=8 [json]=7 [custom]=7)

say() {
    printf '\n== %s ==\n' "$*"
}

directory=
# The processes that run, by what they are.
declare -A running=()

# Sends a signal to a process that runs, and waits for its end.
stop() {
    local pid=${running[$1]:-} status=0
    if [ -n "$pid" ]; then
        unset "running[$1]"
        kill -s "$2" "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || status=$?
    fi
    return "$status"
}

# Ends what is left, and removes the directory.
clean_up() {
    local status=$? format
    trap - EXIT
    for format in "${formats[@]}"; do
        stop "$format" KILL || true
    done
    stop endpoint TERM || true
    stop server INT || true
    if [ -n "$directory" ]; then
        rm -rf "$directory"
    fi
    if [ "$status" != 0 ]; then
        printf 'the quickstart failed, exit code %s\n' "$status" >&2
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Fails with the end of a log.
fail_with_log() {
    printf '%s:\n' "$2" >&2
    tail -n 20 "$2" >&2
    fail "$1"
}

# Repeats a command until it succeeds, for half a minute at most, as long as a process lives.
until_succeeds() {
    local pid=${running[$1]} deadline=$((SECONDS + 30))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            return 1
        fi
        sleep 0.1
    done
}

say 'what is needed'
need_compiler
need_cargo
need_postgres
postgres=$(postgres_directory)
printf 'cargo: %s\nPostgreSQL: %s\n' "$(cargo --version)" "$("$postgres/postgres" --version)"

say 'building pg2k and the formatters (a debug build: minutes when cold; for real work: cargo build --release)'
cargo build --locked --workspace --lib --bins
binaries=${CARGO_TARGET_DIR:-$root/target}/debug

say 'starting a throwaway PostgreSQL server'
directory=$(mktemp -d /tmp/pg2k-quickstart.XXXXXX)
chmod 755 "$directory"
mkdir -m 700 "$directory/server"
# The server ends with this script, even if that is killed. PostgreSQL refuses to be run by root.
as_server=(setpriv --pdeathsig QUIT)
if [ "$(id -u)" = 0 ]; then
    chown postgres "$directory/server"
    as_server+=("--reuid=$(id -u postgres)" "--regid=$(id -g postgres)" --clear-groups)
fi
export LC_ALL=C
(cd / && "${as_server[@]}" "$postgres/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 \
    --pgdata="$directory/server/data" >"$directory/initdb.log" 2>&1) ||
    fail_with_log 'initdb failed' "$directory/initdb.log"
mkdir -m 755 "$directory/socket"
if [ "$(id -u)" = 0 ]; then
    chown postgres "$directory/socket"
fi

unset "${!PG@}"
export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres
for _ in 1 2 3 4 5; do
    PGPORT=$((20000 + RANDOM % 10000))
    export PGPORT
    "${as_server[@]}" "$postgres/postgres" -D "$directory/server/data" -p "$PGPORT" \
        -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$directory/socket" -c wal_level=logical -c fsync=off \
        >"$directory/server.log" 2>&1 &
    running[server]=$!
    if until_succeeds server psql --host="$directory/socket" --command='SELECT 1'; then
        break
    fi
    # Another program may have the port.
    grep -q 'Address already in use' "$directory/server.log" || break
done
kill -0 "${running[server]}" 2>/dev/null || fail_with_log 'PostgreSQL did not start' "$directory/server.log"
printf 'listening on %s:%s\n' "$PGHOST" "$PGPORT"

say 'starting a local Kinesis endpoint'
setpriv --pdeathsig TERM "$binaries/kinesis-endpoint" serve --port 0 --port-file "$directory/port" \
    >"$directory/endpoint.log" 2>&1 &
running[endpoint]=$!
until_succeeds endpoint test -s "$directory/port" ||
    fail_with_log 'the Kinesis endpoint did not start' "$directory/endpoint.log"
url=http://127.0.0.1:$(<"$directory/port")
printf 'listening on %s\n' "$url"
export AWS_ENDPOINT_URL=$url AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

say 'starting pg2k, once for each format'
psql --quiet --command='CREATE TABLE users (id int PRIMARY KEY, name text)'
for format in "${formats[@]}"; do
    formatter=$format
    if [ "$format" = custom ]; then
        formatter=$binaries/libminimal_formatter.so
    fi
    command=(pg2k -d "$PGDATABASE" -h "$PGHOST" -p "$PGPORT" -u "$PGUSER"
        -s "${format//-/_}" --create-slot -k "$format" --create-stream 1 -f "$formatter")
    printf '$ %s\n' "${command[*]}"
    setpriv --pdeathsig KILL "$binaries/${command[0]}" "${command[@]:1}" >"$directory/$format.log" 2>&1 &
    running[$format]=$!
done
# A slot that is read is one that misses nothing from now on.
reads() {
    [ "$(psql --no-align --tuples-only \
        --command="SELECT active FROM pg_replication_slots WHERE slot_name = '${1//-/_}'")" = t ]
}
for format in "${formats[@]}"; do
    until_succeeds "$format" reads "$format" ||
        fail_with_log "pg2k did not start to read with $format" "$directory/$format.log"
done

say 'changing a table'
psql --echo-queries --quiet --set=ON_ERROR_STOP=1 <<'SQL'
BEGIN;
INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace, "Amazing"');
INSERT INTO users VALUES (3, 'Edsger');
COMMIT;
UPDATE users SET name = 'Ada L.' WHERE id = 1;
UPDATE users SET id = 20 WHERE id = 2;
DELETE FROM users WHERE id = 3;
TRUNCATE users;
SQL

for format in "${formats[@]}"; do
    say "records of the stream $format"
    "$binaries/kinesis-endpoint" records --endpoint "$url" --stream "$format" --wait-for "${expected[$format]}" \
        --deadline 30 || fail_with_log "the records of $format did not come" "$directory/$format.log"
done

say 'stopping'
for format in "${formats[@]}"; do
    stop "$format" TERM || fail_with_log "pg2k with $format did not drain" "$directory/$format.log"
done
printf 'every change was published and confirmed\n'
