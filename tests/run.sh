#!/usr/bin/env bash
# Checks everything: formatting, lints, documentation, and every test, against a real PostgreSQL and an HTTP Kinesis.
#
# Installs what is missing. Works from any directory. With --all-majors the decoder is tested against each of PostgreSQL's
# majors that there is, and otherwise against the system's, 11 and 18. The other arguments go to `cargo test`:
# tests/run.sh --test order
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=tests/install.sh
. tests/install.sh

target=${CARGO_TARGET_DIR:-$root/target}
majors=${PG2K_TEST_MAJORS:-}
arguments=()
for argument in "$@"; do
    case $argument in
        --all-majors) majors="system $(server_majors | paste -sd ' ')" ;;
        *) arguments+=("$argument") ;;
    esac
done
if [ -z "$majors" ]; then
    # Not every machine has both.
    majors="system $(server_majors | grep -xE '11|18' | paste -sd ' ')"
fi
report=$(mktemp)
summary=()
step=

finish() {
    local status=$?
    printf '\n== summary ==\n'
    if [ "${#summary[@]}" -gt 0 ]; then
        printf '%s\n' "${summary[@]}"
    fi
    # What the test runner said at the end of each of its programs, added up.
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8; programs++ }
        END { if (programs) printf "tests: %d passed, %d failed, %d ignored, in %d programs\n", passed, failed, ignored, programs }
        /^test .* FAILED$/ { print "failed: " $2 }' "$report"
    rm -f "$report"
    if [ "$status" = 0 ]; then
        printf 'all is well\n'
    else
        printf 'FAILED: %s\n' "$step"
    fi
    exit "$status"
}
trap finish EXIT

# Runs a command as a step with a name, and notes how long it took.
run() {
    step=$1
    shift
    printf '\n== %s ==\n' "$step"
    local start=$SECONDS
    "$@"
    summary+=("$(printf '%-14s %4d s' "$step" "$((SECONDS - start))")")
}

install() {
    need_compiler
    need_cargo
    need_cargo_command fmt
    need_cargo_command clippy
    need_postgres
    local major
    for major in $majors; do
        if [ "$major" != system ]; then
            need_major "$target/postgres" "$major"
        fi
    done
    need_python "$target/python"
}

tests() {
    # All programs run to their end, so that the report is whole.
    PG2K_TEST_MAJORS=$majors cargo test --locked --workspace --no-fail-fast "$@" 2>&1 | tee "$report"
}

run install install
run formatting cargo fmt --all --check
run lints cargo clippy --locked --workspace --all-targets -- -D warnings
run documentation env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps --document-private-items
run build cargo build --locked --workspace --lib --bins
run tests tests "${arguments[@]}"
