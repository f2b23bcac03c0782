# What the launchers of a source tree and of an installation share: they read it, it is no command.
# shellcheck shell=sh
# Anything that goes wrong here is one sentence on standard error and exit status 1.

say() {
  printf 'xolotl: %s\n' "$1" >&2
}

fail() {
  say "$1"
  exit 1
}

# The JVM would give the number of a closed stream to the first file that it opens; this one cannot be written either.
[ -e /proc/$$/fd/0 ] || exec 0< /dev/null
[ -e /proc/$$/fd/1 ] || exec 1< /dev/null
[ -e /proc/$$/fd/2 ] || exec 2< /dev/null

[ "$(uname -sm)" = 'Linux x86_64' ] || fail "Xolotl runs on Linux x86-64 only; this is $(uname -sm)"

# The home of the JVM, the jars of the modules and the file with the classes of a start; empty where there is none.
java=
modules=
cache=
# An option for the JVM's compilers, or none.
compilers=

# Runs a command that ends with this script: a shell that waits in the foreground leaves it behind when a signal comes,
# and what it builds with it.
run() {
  "$@" &
  child=$!
  trap 'stop 129' HUP
  trap 'stop 130' INT
  trap 'stop 143' TERM
  status=0
  wait "$child" || status=$?
  trap - HUP INT TERM
  return "$status"
}

stop() {
  kill "$child" 2> /dev/null || true
  wait "$child" || true
  [ -z "$cache" ] || rm -f "$cache.$$" "$cache.$$.config"
  exit "$1"
}

# Prints the home of a JDK or JRE if its release file, which every JDK since 9 has, says 25 or later. No JVM is
# started to find out: a start costs more than all the rest of this script.
home_of_25() {
  [ -x "$1/bin/java" ] && [ -r "$1/release" ] || return 1
  while IFS='="' read -r key _ value _; do
    if [ "$key" = JAVA_VERSION ]; then
      value=${value%%[!0-9]*}
      [ "${value:-0}" -ge 25 ] && printf '%s\n' "$1"
      return
    fi
  done < "$1/release"
  return 1
}

# $1 is "java", or "javac" where a JRE will not do.
find_java() {
  on_path=$(command -v java || true)
  on_path=$(readlink -f "${on_path:-/}" || true)
  for home in "${JAVA_HOME:-}" "${on_path%/bin/java}" /usr/lib/jvm/* "${HOME:-}"/.sdkman/candidates/java/* \
    "${HOME:-}"/.jdks/* /opt/* /opt/java/* /usr/java/* /usr/local/*j[dr][ke]* /usr/local/*java*; do
    if [ -n "$home" ] && [ -x "$home/bin/$1" ] && home_of_25 "$home"; then
      return
    fi
  done
  return 1
}

# Takes a JVM of the system and the jars that are given, each by its name: from a directory the JVM does not take a
# module graph that it has prepared.
use_jars() {
  java=$(find_java java) \
    || fail 'Xolotl needs Java 25 or later: install it (Debian: openjdk-25-jdk) or set JAVA_HOME to it'
  for jar in "$@"; do
    modules=$modules${modules:+:}$jar
  done
}

# $1 is an option for the cache, the rest is the command line. The serial collector and no performance counters: a command
# that runs for seconds starts earlier without them. What the JVM has to say about its cache is not for standard output.
# No --illegal-native-access=deny: it too would keep the JVM from using the prepared module graph.
start() {
  cache_option=$1
  shift
  exec "$java/bin/java" "$cache_option" -XX:+UseSerialGC -XX:-UsePerfData -Xlog:disable \
    --enable-native-access=io.xolotl.ptrace,io.xolotl.lab,io.xolotl.bench \
    ${compilers:+"$compilers"} ${modules:+--module-path "$modules"} --module io.xolotl.cli/io.xolotl.cli.Main "$@"
}

# Makes the cache: the classes of a start, loaded and linked (JEP 514), for these modules and this JVM; empty if that
# cannot be had, so that it is tried once.
make_cache() {
  run start "-XX:AOTCacheOutput=$cache.$$" count -e libc.so.6:malloc -- true > /dev/null 2>&1 < /dev/null || true
  [ -e "$cache.$$" ] || true > "$cache.$$"
  mv "$cache.$$" "$cache"
}

# Whether a command ends before the JVM's second compiler, which takes a third of the time of a start, has paid for itself.
is_short() {
  case ${1:-} in
    '' | -* | help | list) return 0 ;;
  esac
  for word; do
    case $word in
      --) return 1 ;;
      -h | --help | -V | --version | --hex | --hex=*) return 0 ;;
    esac
  done
  return 1
}

# Starts with the cache if there is one.
start_early() {
  if is_short "$@"; then
    compilers=-XX:TieredStopAtLevel=1
  fi
  if [ -n "$cache" ] && [ -s "$cache" ]; then
    start "-XX:AOTCache=$cache" "$@"
  fi
  start -Xshare:auto "$@"
}
