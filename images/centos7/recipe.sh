# shellcheck shell=bash disable=SC2034
# Directories, versions and functions that all steps share. Each step sources it.
# The caller sets: VARIANT (quick or full), WORK (this build's own directory), DOWNLOADS and TOOLCHAIN (kept from build
# to build), DEBIAN_ARCHIVE (where this machine's apt gets Debian from).
set -euo pipefail
: "${VARIANT:?}" "${WORK:?}" "${DOWNLOADS:?}" "${TOOLCHAIN:?}" "${DEBIAN_ARCHIVE:?}"

# glibc 2.17 with its programs, the run time of GCC 4.8.5, and that compiler: a cross toolchain off the npm registry.
TOOLCHAIN_PACKAGE=@napi-rs/cross-toolchain-x64-target-x86_64
TOOLCHAIN_VERSION=1.0.0
TOOLCHAIN_SHA512=lecoghCfoTAX9MLFcIx9/nL9M8xdkZ9n8Pki8qjKUNzjiq1zbECdEbzIZAMMHRtrXxifK9dAyYuh8gSxNbr2og==
TARGET=x86_64-unknown-linux-gnu
SYSROOT=$TOOLCHAIN/$TARGET/sysroot

# The sources of the tools, and data, are Debian 12's. Its point releases replace versions, so none is named here. The
# image lists the versions in /usr/share/licenses/SOURCES.
DEBIAN=bookworm
LIBRARY_SOURCES=(zlib mbedtls curl)
# Linked into the full variant's grep, for -P.
FULL_LIBRARY_SOURCES=(pcre2)
TOOL_SOURCES=(bash coreutils sed grep gawk findutils diffutils tar gzip hostname procps util-linux)
DATA_PACKAGES=(tzdata ca-certificates netbase)
# The quick variant compiles only bash, and takes the rest from busybox. Debian's static bash cannot read the locale of
# glibc 2.17, and would say so in every function's log.
QUICK_TOOL_SOURCES=(bash)
STATIC_PACKAGES=(busybox-static)

SOURCES=$WORK/sources   # unpacked Debian sources, NAME-VERSION each
PACKAGES=$WORK/packages # unpacked Debian packages, by name
STAGE=$WORK/stage       # what was compiled, as installed
PRIVATE=$WORK/private   # libraries linked into others and not shipped
BASE_ROOT=$WORK/root    # the root file system

# The sources have ready configure scripts, so time stamps must not start autotools.
export AUTOCONF=true AUTOMAKE=true ACLOCAL=true AUTOHEADER=true MAKEINFO=true
export FORCE_UNSAFE_CONFIGURE=1 LC_ALL=C
export PATH=$TOOLCHAIN/bin:$PATH
JOBS=$(nproc)

source_of() { # NAME -> its directory
  local found=("$SOURCES/$1"-[0-9]*)
  printf '%s\n' "${found[0]}"
}

# configured NAME OPTION...: an empty build directory, entered, with configure run for the target there.
configured() {
  local name=$1 directory=$WORK/build/$1
  shift
  rm -rf "$directory"
  mkdir -p "$directory"
  cd "$directory"
  CFLAGS="-O2 -g0 ${CFLAGS:-}" LDFLAGS="-Wl,-s ${LDFLAGS:-}" "$(source_of "$name")/configure" \
    --build=x86_64-pc-linux-gnu --host=$TARGET --prefix=/usr --libdir=/usr/lib64 \
    --sysconfdir=/etc --localstatedir=/var --mandir=/usr/share/man --infodir=/usr/share/info "$@"
}

compile_and_install() {
  make -j"$JOBS"
  make DESTDIR="$STAGE" install
}
