# Finds, and as root installs, what Atoll is built and run with. Sourced by ./atoll, scripts/test and scripts/demo.
#
# require_jdk    sets JAVA_HOME to a JDK 25
# require_build  the same, and makes sure that Maven is there; installs a C compiler where that is easy

ATOLL_JDK=25

say() {
  printf 'atoll: %s\n' "$*" >&2
}

# Prints the feature version of the JDK in $1, or nothing.
jdk_version() {
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] &&
    sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

find_jdk() {
  local candidate java
  java=$(command -v javac 2>/dev/null) && java=$(readlink -f "$java") && java=${java%/bin/javac}
  for candidate in "${JAVA_HOME:-}" "${java:-}" /usr/lib/jvm/* /opt/java/* /opt/jdk* /usr/local/jdk* \
    "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
    if [ -n "$candidate" ] && [ "$(jdk_version "$candidate")" = "$ATOLL_JDK" ]; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

# Installs Debian or Ubuntu packages, if this is root on such a machine and they exist.
apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  if ! apt-cache show "$@" >/dev/null 2>&1; then
    say "looking for the packages $* (apt-get update)"
    apt-get update -qq >/dev/null 2>&1
    apt-cache show "$@" >/dev/null 2>&1 || return 1
  fi
  say "installing the packages $* (apt-get)"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

require_jdk() {
  if ! JAVA_HOME=$(find_jdk); then
    apt_install "openjdk-$ATOLL_JDK-jdk-headless" && JAVA_HOME=$(find_jdk) || {
      say "JDK $ATOLL_JDK is missing; install it (apt-get install openjdk-$ATOLL_JDK-jdk where the distribution has it," \
        "else from https://adoptium.net) and set JAVA_HOME to it"
      return 1
    }
  fi
  export JAVA_HOME
}

require_build() {
  require_jdk || return 1
  if ! command -v mvn >/dev/null; then
    apt_install maven || {
      say "Maven 3.8.7 or newer is missing; install it (apt-get install maven)"
      return 1
    }
  fi
  if ! command -v cc >/dev/null; then
    apt_install gcc libc6-dev ||
      say "no C compiler (cc): building without the C kernels, the slower Vector API kernels will be used"
  fi
}
