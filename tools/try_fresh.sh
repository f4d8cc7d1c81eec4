#!/usr/bin/env bash
# Tries ./dev in a fresh Debian 12: debootstrap into a folder, a clone of HEAD in it, one command.
#
#   tools/try_fresh.sh FOLDER [./dev arguments, default: test]
#
# Needs root and debootstrap. FOLDER is kept, so that a second run continues where the first ended;
# remove it for a fresh start. This machine's package sources are used: the configuration of apt,
# pip, npm and cargo is copied where there is one, certificates and proxy variables as well.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(realpath -m "$1")
shift
[ $# -gt 0 ] || set -- test

# The first source of apt for Debian's own packages.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list \
    2>/dev/null | grep -Eo '^(URIs:|deb( \[[^]]*\])?) +[^ ]+/debian/?( |$)' | head -n 1 |
    grep -Eo '[a-z+]+:[^ ]+'
}

# Copies a file or folder to the same place, if it is there.
bring() {
  local path
  for path in "$@"; do
    [ -e "$path" ] || continue
    mkdir -p "$folder$(dirname "$path")"
    cp -aL "$path" "$folder$(dirname "$path")/" 2>/dev/null || true
  done
}

if [ ! -f "$folder/.bootstrapped" ]; then
  debootstrap --variant=minbase --include=ca-certificates bookworm "$folder" "$(mirror)"
  rm -f "$folder/etc/apt/sources.list"
  bring /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/resolv.conf /etc/hosts \
    /usr/local/share/ca-certificates /etc/ssl/certs /etc/pip.conf /etc/npmrc
  if [ ! -e "$folder/etc/apt/sources.list" ] &&
    [ -z "$(ls "$folder/etc/apt/sources.list.d")" ]; then
    cp -a /etc/apt/sources.list.d/. "$folder/etc/apt/sources.list.d/"
  fi
  bring "${CARGO_HOME:-$HOME/.cargo}/config.toml"
  touch "$folder/.bootstrapped"
fi

# A user's home and checkout, as after `git clone`.
checkout=$folder/opt/user/vsurge
mkdir -p "$folder/opt/user"
if [ -d "$checkout/.git" ]; then
  git -C "$checkout" fetch -q "$root" HEAD && git -C "$checkout" reset -q --hard FETCH_HEAD
else
  git clone -q "$root" "$checkout"
fi

mounts=(proc sys dev dev/pts)
for mount in "${mounts[@]}"; do
  mountpoint -q "$folder/$mount" || mount --rbind "/$mount" "$folder/$mount" 2>/dev/null ||
    mount --bind "/$mount" "$folder/$mount" || true
  mount --make-rslave "$folder/$mount" 2>/dev/null || true
done
unmount() { for mount in "${mounts[@]}"; do umount -lR "$folder/$mount" 2>/dev/null || true; done; }
trap unmount EXIT

# Nothing of this shell's environment but what reaches the package sources.
names="https?_proxy|no_proxy|all_proxy|pip_(cert|index_url|find_links)|ssl_cert.*"
names+="|requests_ca_bundle|cargo_(http|registries|source)_.*|npm_config_registry"
names+="|node_extra_ca_certs"
keep=()
while IFS= read -r name; do keep+=("$name=${!name}"); done < <(
  compgen -e | grep -Ei "^($names)$")
started=$SECONDS
status=0
system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
nice chroot "$folder" env -i HOME=/opt/user PATH=$system_path \
  LANG=C.UTF-8 TERM=dumb "${keep[@]}" VSURGE_TEST_DATA="${TRY_TEST_DATA:-/nowhere}" \
  "/opt/user/vsurge/dev" "$@" || status=$?
echo "try_fresh: ./dev $* ended with $status after $((SECONDS - started)) s"
exit $status
