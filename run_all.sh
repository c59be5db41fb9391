#!/usr/bin/env bash
# Make the environment if there is none, then hand over to `python -m companion` (./run_all.sh --help).
# FLIPBOOK_PYTHON=path uses that interpreter instead, as it is.
set -euo pipefail
case "${FLIPBOOK_PYTHON:-}" in
  */*) FLIPBOOK_PYTHON=$(cd -- "$(dirname -- "$FLIPBOOK_PYTHON")" && pwd)/$(basename -- "$FLIPBOOK_PYTHON") ;;
esac
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")"

fail() {
  printf 'run_all.sh: %s\n' "$*" >&2
  exit 1
}

# The lines below `- pip:` in environment.yml, without comments: the one list of pins.
pins() {
  sed -n '/^ *- pip:/,$p' environment.yml | sed -n 's/^ \{4,\}- *\([^ #]*\).*/\1/p'
}

# What an environment was made for: pins, package description, and this folder (the library is installed in place).
wanted() {
  { cat environment.yml pyproject.toml && pwd -P; } | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-64
}

made_for() {
  cat "$1/flipbook-stamp" 2>/dev/null || true
}

is_suitable() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

suitable_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3.14 python3 python; do
    if is_suitable "$name"; then
      echo "$name"
      return
    fi
  done
  return 1
}

conda_tool() {
  local name
  for name in micromamba mamba conda; do
    if command -v "$name" >/dev/null; then
      echo "$name"
      return
    fi
  done
  return 1
}

# Show an installer's steps: one line that moves on a terminal, the main ones elsewhere; all of it goes to the log.
show_steps() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    if [ -t 1 ]; then
      printf '\r\033[K  %.76s' "$line"
    else
      case "$line" in
        *"->"*) ;; # what a package needs in its turn
        Collecting* | Installing*) printf '  %.76s\n' "$line" ;;
      esac
    fi
  done
  if [ -t 1 ]; then printf '\r\033[K'; fi
}

# logged LOG COMMAND...: run it with its steps shown; on failure say the log's last error in one line.
logged() {
  local log=$1 reason
  shift
  "$@" 2>&1 </dev/null | show_steps "$log" && return
  reason=$(grep -i 'error' "$log" | tail -n 1 | cut -c1-300) || true
  fail "${reason:-$1 failed} (all of it: $log; the same command goes on from here)"
}

make_conda() {
  local tool=$1 folder=.env
  [ ! -e "$folder" ] || [ -d "$folder/conda-meta" ] ||
    fail ".env is there but is no conda environment; move it away, or set FLIPBOOK_PYTHON"
  if ! is_suitable "$folder/bin/python"; then
    rm -rf -- "$folder"
    echo "Making an environment with $tool in .env (some minutes, a few GB)"
    export CONDA_ALWAYS_YES=1 MAMBA_ALWAYS_YES=1
    if [ "$tool" = micromamba ]; then
      logged build/environment.log micromamba create --prefix "$PWD/$folder" --file environment.yml
    else
      logged build/environment.log "$tool" env create --prefix "$PWD/$folder" --file environment.yml
    fi
  fi
  install "$folder"
}

make_venv() {
  local base folder=.venv
  if ! is_suitable "$folder/bin/python" || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    base=$(suitable_python) ||
      fail "needs Python 3.11 or newer, or conda, and finds neither; install one, or set FLIPBOOK_PYTHON to a Python"
    echo "Making an environment with $base in .venv (some minutes, a few GB)"
    logged build/environment.log "$base" -m venv --clear "$folder"
  fi
  install "$folder"
}

# Bring an environment to the pins; the stamp comes last, so that a half-made one is known by its absence.
install() {
  local folder=$1 list
  rm -f -- "$folder/flipbook-stamp"
  list=$folder/flipbook-pins.txt
  pins >"$list"
  [ -s "$list" ] || fail "environment.yml has no pins below '- pip:'; restore it from the repository"
  echo "Installing $(wc -l <"$list" | tr -d ' ') pinned packages into $folder"
  logged build/environment.log "$folder/bin/python" -m pip install --disable-pip-version-check --requirement "$list"
  logged build/environment.log "$folder/bin/python" -m pip install --disable-pip-version-check --no-deps --editable .
  wanted >"$folder/flipbook-stamp"
}

# --help and list need no packages: answer at once where there is no environment yet.
needs_packages() {
  local word
  for word in "$@"; do
    case "$word" in
      -h | --help | list) return 1 ;;
      test) return 0 ;;
    esac
  done
}

make_environment() {
  local tool
  mkdir -p build
  : >build/environment.log
  if [ ! -d .venv ] && tool=$(conda_tool); then
    make_conda "$tool"
  else
    make_venv
  fi
}

# The folder of the environment that is ready for use, if any.
ready() {
  local folder
  for folder in .venv .env; do
    if [ "$(made_for "$folder")" = "$(wanted)" ] && is_suitable "$folder/bin/python"; then
      echo "$folder"
      return
    fi
  done
  return 1
}

main() {
  local folder python
  if [ -n "${FLIPBOOK_PYTHON:-}" ]; then
    python=$FLIPBOOK_PYTHON
    is_suitable "$python" || fail "FLIPBOOK_PYTHON=$python is not a Python 3.11 or newer"
    export PYTHONPATH="$PWD/lib${PYTHONPATH:+:$PYTHONPATH}"
  elif folder=$(ready); then
    python=$PWD/$folder/bin/python
  elif ! needs_packages "$@" && python=$(suitable_python); then
    export PYTHONPATH="$PWD/lib${PYTHONPATH:+:$PYTHONPATH}"
  else
    make_environment
    folder=$(ready) || fail "the environment was made but does not start; see build/environment.log"
    python=$PWD/$folder/bin/python
  fi
  exec "$python" -m companion "$@"
}

# Sourced, it only defines its functions: the tests look at them one by one.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
