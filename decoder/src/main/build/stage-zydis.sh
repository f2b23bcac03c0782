#!/bin/sh
# Stages libZydis.so, version 4.0 or 4.1, for the jar. Usage: stage-zydis.sh TARGET-DIRECTORY [LIBRARY]
#
# Takes the first there is: LIBRARY (-Dxolotl.zydis.library=PATH), what an earlier build staged, the system's,
# the Debian package. Needs no root, changes nothing outside TARGET-DIRECTORY, says nothing unless it fails.
set -eu

target=$1
given=${2-}
staged=$target/classes/io/xolotl/decoder/linux-x86-64/libZydis.so
work=$target/zydis

# Renamed into place, so that an interrupted build never leaves half a library for the next one.
stage() {
  mkdir -p "${staged%/*}"
  cp -L "$1" "$staged.part"
  chmod 644 "$staged.part"
  mv "$staged.part" "$staged"
  exit 0
}

fail() {
  echo "stage-zydis: $1" >&2
  exit 1
}

if [ -n "$given" ]; then
  [ -f "$given" ] || fail "-Dxolotl.zydis.library=$given: there is no such file"
  stage "$given"
fi

[ -s "$staged" ] && exit 0

for name in libZydis.so.4.1 libZydis.so.4.0; do
  # An ordinary user's PATH on Debian lacks /sbin; the directories are for systems whose cache is out of date.
  known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2> /dev/null \
    | sed -n "s/^[[:space:]]*$name (.*x86-64.*) => //p" | head -n 1)
  for file in "$known" /usr/local/lib/$name /usr/local/lib/x86_64-linux-gnu/$name \
    /usr/lib/x86_64-linux-gnu/$name /lib/x86_64-linux-gnu/$name /usr/lib64/$name /lib64/$name; do
    if [ -f "$file" ]; then
      stage "$file"
    fi
  done
done

rm -rf "$work"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/package"
log=$work/log

# apt drops root for its user _apt, who often cannot write here, and warns; the package's hash is checked anyway.
apt() {
  if [ "$(id -u)" = 0 ]; then
    set -- -o APT::Sandbox::User=root "$@"
  fi
  apt-get -qq "$@" >> "$log" 2>&1
}

# Package lists of our own, made from the system's sources: those of the system may be empty or out of date.
# The hooks are left out because they act on the system's caches.
use_own_lists() {
  status=$(apt-config shell status Dir::State::status/f | sed "s/^status='\(.*\)'$/\1/")
  apt-config dump | grep -v -e '-Invoke' -e '^Dir::Etc::\(main\|parts\) ' -e '^Dir::\(State\|Cache\)' \
    > "$work/apt.conf"
  cat >> "$work/apt.conf" <<EOF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::State "$PWD/state";
Dir::State::status "$status";
Dir::Cache "$PWD/cache";
EOF
  export APT_CONFIG="$PWD/apt.conf"
}

download() {
  for package in libzydis4.1 libzydis4.0; do
    if apt download "$package"; then
      dpkg-deb -x "$package"_*.deb package
      return
    fi
  done
  return 1
}

if command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null; then
  # apt-get downloads into the directory it is started in.
  work=$(cd "$work" && pwd)
  staged=$(cd "$target" && pwd)/classes/io/xolotl/decoder/linux-x86-64/libZydis.so
  log=$work/log
  cd "$work"
  if download || { use_own_lists && apt update && download; }; then
    for file in package/usr/lib/*/libZydis.so.4.?; do
      stage "$file"
    done
  fi
  sed 's/^/  /' "$log" >&2
fi
fail "no libZydis.so.4.0 or .4.1: install the package libzydis4.1 or libzydis4.0 (Zydis 4), or build with -Dxolotl.zydis.library=PATH"
