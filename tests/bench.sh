#!/usr/bin/env bash
# Compares pg2k with pg_recvlogical over the same backlog, and measures the latency of a quiet system.
#
# Installs what is missing. Works from any directory. For its options: tests/bench.sh --help
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=tests/install.sh
. tests/install.sh

need_compiler
need_cargo
need_postgres
cargo build --locked --release --workspace --lib --bins
exec "${CARGO_TARGET_DIR:-$root/target}/release/bench" "$@"
