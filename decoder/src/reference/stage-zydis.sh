#!/bin/sh
# Stages the libZydis.so that the tables are made from and compared with. Usage: stage-zydis.sh TARGET-DIRECTORY [LIBRARY]
#
# Takes the first there is: LIBRARY (-Dxolotl.zydis.library=PATH), what an earlier build staged, the system's if it is
# the very same, that of a package of Debian 13 from the mirror that this system uses. Needs no root, and changes nothing
# outside TARGET-DIRECTORY. Without one it says so, and exits with 0: only what compares with Zydis needs it.
set -eu

version=4.1.1
library_hash=b4820a5b8a6ca8040d76f8ba2dfd63567426d018e5176fd86e98ee0e47ba353b
package=pool/main/z/zydis/libzydis4.1_4.1.1-1_amd64.deb
package_hash=c1fb306c0d86caa76140bae6d0607a0146453647ec8ff7d5ecd6cbf81f5d55b5

license=${0%/*}/../main/resources/io/xolotl/decoder/tables/ZYDIS-LICENSE.txt
target=$1
given=${2-}
staged=$target/zydis/io/xolotl/zydis/linux-x86-64/libZydis.so
work=$target/zydis-package

# Renamed into place, so that an interrupted build never leaves half a library for the next one.
stage() {
  mkdir -p "${staged%/*}"
  cp "$license" "${staged%/*}"
  cp -L "$1" "$staged.part"
  chmod 644 "$staged.part"
  mv "$staged.part" "$staged"
  exit 0
}

has_hash() {
  printf '%s  %s\n' "$2" "$1" | sha256sum -c --status 2> /dev/null
}

if [ -n "$given" ]; then
  [ -f "$given" ] || {
    echo "stage-zydis: -Dxolotl.zydis.library=$given: there is no such file" >&2
    exit 1
  }
  stage "$given"
fi

[ -s "$staged" ] && has_hash "$staged" "$library_hash" && exit 0

for directory in /usr/local/lib /usr/lib/x86_64-linux-gnu /usr/lib64; do
  if has_hash "$directory/libZydis.so.4.1" "$library_hash"; then
    stage "$directory/libZydis.so.4.1"
  fi
done

# The mirrors of this system, each once; apt's own helper downloads as apt does, through its proxy.
helper=/usr/lib/apt/apt-helper
if [ -x "$helper" ] && command -v dpkg-deb > /dev/null; then
  rm -rf "$work"
  mkdir -p "$work"
  # apt drops root for its user _apt, who often cannot write here; the hash is checked anyway.
  for mirror in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2> /dev/null | sort -u); do
    if "$helper" -o APT::Sandbox::User=root -o Acquire::http::Timeout=20 -o Acquire::Retries=1 download-file "${mirror%/}/$package" "$work/package.deb" \
      "SHA256:$package_hash" > "$work/log" 2>&1 && has_hash "$work/package.deb" "$package_hash"; then
      dpkg-deb -x "$work/package.deb" "$work"
      library=$work/usr/lib/x86_64-linux-gnu/libZydis.so.4.1
      has_hash "$library" "$library_hash" && stage "$library"
    fi
  done
fi
echo "stage-zydis: there is no Zydis $version here, and no mirror has its package: what compares with it is skipped" >&2
