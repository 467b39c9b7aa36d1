# shellcheck shell=bash disable=SC2034
# What every script here shares: strict mode, paths, progress lines, small questions about the machine.
# Sourced, never run: `source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"`.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${SCF_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/scf-sandbox} # kept between checkouts
LOCAL=$ROOT/.cache                                                         # belongs to this checkout

# The SCF_ settings of the checkout's .env, read as compose reads them. What the shell has set stays.
load_env() {
  local line name value assignment='^[[:space:]]*(export[[:space:]]+)?(SCF_[A-Z0-9_]+)[[:space:]]*=[[:space:]]*(.*)$'
  [[ -f $ROOT/.env ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    [[ ${line%$'\r'} =~ $assignment ]] || continue
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
    case $value in
      \"*\"*) value=${value#\"} value=${value%%\"*} ;;
      \'*\'*) value=${value#\'} value=${value%%\'*} ;;
      *) value=${value%%[[:space:]]#*} value=${value%"${value##*[![:space:]]}"} ;;
    esac
    [[ -v $name ]] || export "$name=$value"
  done <"$ROOT/.env"
}
load_env

INSTALLATION=${SCF_INSTALLATION:-default}
OWN=$([[ $INSTALLATION == default ]] || printf -- '-%s' "$INSTALLATION") # ends the names of what others have too
BASES_FILE=$ROOT/.env.images
LATEST_INSTANCE_IMAGE=scf-sandbox/centos7:latest # the last that was built here, whatever it was made of

# Exit codes that a calling script may act on.
readonly NO_ENGINE=69 NO_COMPOSE=70 # no container engine; an engine, but no `docker compose`

# The first script's start, so that scripts called by scripts count on from it.
export SCF_STARTED=${SCF_STARTED:-$(date +%s)}

if [[ -t 2 ]]; then BOLD=$'\e[1m' RED=$'\e[31m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'; else BOLD='' RED='' YELLOW='' PLAIN=''; fi

# Progress goes to standard error: standard output is for what a script was asked to print.
say() { printf '%s[%4ds]%s %s\n' "$BOLD" "$(($(date +%s) - SCF_STARTED))" "$PLAIN" "$*" >&2; }
warn() { say "${YELLOW}warning:${PLAIN} $*"; }
die() { # die CODE MESSAGE...
  local code=$1
  shift
  say "${RED}error:${PLAIN} $*"
  exit "$code"
}

# help_asked FILE ARGS...: --help prints the comment that FILE opens with, and ends the script.
help_asked() {
  local file=$1 argument
  shift
  for argument in "$@"; do
    [[ $argument != --help && $argument != -h ]] || {
      awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$file"
      exit 0
    }
  done
}

# step NAME COMMAND...: runs it with its output in a log of that name; one line says how it went.
step() {
  local name=$1 log began status=0
  shift
  mkdir -p "$CACHE/log"
  log=$CACHE/log/${name//[^a-zA-Z0-9]/-}.log
  began=$(date +%s)
  [[ ! -t 2 ]] || printf '        %s ...\r' "$name" >&2
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status)); then
    tail -n 25 "$log" >&2
    die 1 "$name failed (exit $status). All of its output: $log"
  fi
  say "$name: $(($(date +%s) - began))s"
}

have() { [[ -n $1 ]] && command -v "$1" >/dev/null 2>&1; }
is_root() { [[ $(id -u) == 0 ]]; }
has_apt() { is_root && have apt-get; }
hash_of() { sha256sum | cut -c1-16; } # of what it reads

# hash_of_files FILE-OR-DIRECTORY...: of contents and, below directories, of names; without what Python compiles.
hash_of_files() {
  local each
  for each in "$@"; do
    if [[ -d $each ]]; then
      (cd "$each" && find . -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum)
    else
      sha256sum <"$each"
    fi
  done | hash_of
}

# alone NAME: one such script at a time on this machine; held until the script ends (descriptor 9).
alone() {
  mkdir -p "$CACHE"
  exec 9>"$CACHE/$1.lock"
  flock -n 9 || {
    say "another run holds $CACHE/$1.lock; waiting for it"
    flock -w 1800 9 || die 1 "the other run did not end within 30 minutes"
  }
}

# apt_install PACKAGE...: the ones that are missing, when this is root on Debian or Ubuntu.
apt_install() {
  local package missing=()
  for package in "$@"; do
    [[ $(dpkg-query -Wf '${Status}' "$package" 2>/dev/null) == *' installed' ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  has_apt || die 1 "needed and missing: ${missing[*]}. Install them (as root: apt-get install ${missing[*]})"
  step "apt-get update" flock "$CACHE/apt.lock" apt-get -q update
  step "apt-get install ${missing[*]}" \
    flock "$CACHE/apt.lock" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"
}

# Where this machine's apt gets Debian itself from (not its security updates).
debian_archive() {
  local attempt archive
  for attempt in 1 2; do
    # shellcheck disable=SC2016 # apt's own variables
    archive=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" && !seen++ {print $1}')
    [[ -z $archive ]] || break
    # Labels come with the package lists, and a bare machine may have none yet.
    [[ $attempt == 2 ]] || ! is_root || step "apt-get update" flock "$CACHE/apt.lock" apt-get -q update
  done
  [[ -n $archive ]] || die 1 "there is no Debian archive among this machine's apt sources; a stand-in can be built on Debian only"
  printf '%s\n' "$archive"
}

engine_answers() { have docker && timeout 15 docker info --format '{{.ServerVersion}}' >/dev/null 2>&1; }
compose_answers() { have docker && timeout 15 docker compose version >/dev/null 2>&1; }

# Python 3.11 or newer, for virtual environments. The system's own comes first, if it can make one: it is compiled with
# optimisations that those of version managers mostly lack.
host_python() {
  local candidate
  for candidate in "${PYTHON:-}" /usr/bin/python3 python3.11 python3.12 python3.13 python3; do
    have "$candidate" || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    [[ $candidate != /usr/bin/python3 ]] || "$candidate" -c 'import ensurepip' 2>/dev/null || continue
    command -v "$candidate"
    return
  done
  return 1
}

# venv DIRECTORY REQUIREMENTS [SUPERSET]: made, or brought up to date, when it was not made from these requirements
# (or from SUPERSET, a file that contains them).
venv() {
  local directory=$1 requirements=$2 python made_from
  python=$(host_python) || die 1 "Python 3.11 or newer is needed (set PYTHON to its path if it is somewhere unusual)"
  made_from=$(cat "$directory/.made-from" 2>/dev/null || true)
  if [[ -x $directory/bin/python ]]; then
    [[ $made_from != "$(hash_of <"$requirements")" ]] || return 0
    [[ -z ${3:-} || $made_from != "$(hash_of <"$3")" ]] || return 0
  fi
  if ! "$directory/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$directory"
    "$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    step "create ${directory##*/}" "$python" -m venv "$directory"
  fi
  # The lock names every package: resolving again could only differ from it.
  step "install ${requirements##*/} into ${directory##*/}" \
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$requirements"
  hash_of <"$requirements" >"$directory/.made-from"
}

# The instance's init (init/), compiled here: where the images and the process engine look for it. False where that
# cannot be done: the images then compile it themselves.
build_init() {
  local hash program
  hash=$(cat "$ROOT"/init/*.c "$ROOT"/init/*.h "$ROOT"/init/build | hash_of)
  program=$CACHE/init/program-$hash
  if [[ ! -x $program ]]; then
    [[ $(uname -sm) == 'Linux x86_64' ]] || return 1
    ! has_apt || (apt_install gcc libc6-dev) || return 1
    mkdir -p "$CACHE/init"
    "$ROOT/init/build" "$program.$$" >&2 || return 1
    mv "$program.$$" "$program"
    say "compiled $program"
  fi
  mkdir -p "$LOCAL/init"
  find "$LOCAL/init" -name 'program-*' ! -name "program-$hash" -delete
  [[ -x $LOCAL/init/program-$hash ]] || cp "$program" "$LOCAL/init/"
}

# tell_build TEXT: how far the build of the full image is, for the sandboxes on this engine, which show it in /healthz.
# A volume that holds nothing carries it; with an empty text it goes.
BUILD_VOLUME=scf-sandbox-image-build
tell_build() {
  docker volume rm -f "$BUILD_VOLUME" >/dev/null 2>&1 || true
  [[ -z $1 ]] || docker volume create --label scf-sandbox.role=image-build --label "scf-sandbox.progress=$1" \
    "$BUILD_VOLUME" >/dev/null 2>&1 || true
}

# The image of function instances, from the base that scripts/images chose.
build_instance_image() {
  docker build --build-arg "BASE_IMAGE=$(base_of SCF_BASE_IMAGE)" --build-arg "BASE_KIND=$(base_of SCF_BASE_KIND)" \
    --build-arg "BUILD_IMAGE=$(base_of SCF_BUILD_IMAGE)" -t "$(base_of SCF_INSTANCE_IMAGE)" \
    -t "$LATEST_INSTANCE_IMAGE" -f "$ROOT/Dockerfile.centos7" "$ROOT"
}

# Whether a container in the engine's host network is in this machine's network: not where the engine runs elsewhere, in
# a virtual machine or without root's rights.
engine_is_here() {
  local facts
  [[ $(uname -s) == Linux ]] || return 1
  facts=$(docker info --format '{{.Name}} {{.OperatingSystem}} {{.SecurityOptions}}' 2>/dev/null) || return 1
  [[ $facts == "$(uname -n) "* && $facts != *'Docker Desktop'* && $facts != *rootless* && $facts != *userns* ]]
}

# A firewall that keeps containers from reaching a program of this machine, as far as one can see.
firewalled() {
  grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf && return
  is_root && have iptables && [[ $(iptables -S INPUT 2>/dev/null) == *'-P INPUT DROP'* ]]
}

# The compose files: the user's choice, or the machine's own network where that works, or a published port.
compose_files() {
  if [[ -n ${COMPOSE_FILE:-} ]] || grep -qs '^COMPOSE_FILE=' "$ROOT/.env"; then return; fi
  printf '%s\n' --file "$ROOT/compose.yaml"
  [[ ! -f $ROOT/compose.override.yaml ]] || printf '%s\n' --file "$ROOT/compose.override.yaml"
  if engine_is_here && ! firewalled; then printf '%s\n' --file "$ROOT/compose.host.yaml"; fi
}

# docker compose on this project, with the chosen bases and the user's .env.
compose() {
  local project=scf-sandbox$OWN files
  mapfile -t files < <(compose_files)
  [[ ! -f $BASES_FILE ]] || files+=(--env-file "$BASES_FILE")
  [[ ! -f $ROOT/.env ]] || files+=(--env-file "$ROOT/.env")
  (cd "$ROOT" && exec docker compose --project-directory "$ROOT" --project-name "$project" "${files[@]}" "$@")
}

# The embedded control plane of this checkout (scripts/up where there is no engine): its process id while it runs.
PID_FILE=$LOCAL/control$OWN.pid
EMBEDDED_DATA=$ROOT/data$OWN
embedded_pid() {
  local pid
  pid=$(cat "$PID_FILE" 2>/dev/null) || return 1
  # The number may be another program's by now.
  [[ $(ps -p "$pid" -o args= 2>/dev/null) == *'-m api'* ]] && printf '%s\n' "$pid"
}

# healthy PORT: the control plane answers there. In a shell of its own, because a publishing proxy may take the
# connection and drop it again while the program behind it still starts: the write then raises SIGPIPE.
healthy() (
  trap '' PIPE
  exec 8<>"/dev/tcp/127.0.0.1/$1" || exit 1
  printf 'GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&8 || exit 1
  IFS= read -r -t 3 line <&8 || line=''
  [[ $line == HTTP/1.?' 200'* ]]
) 2>/dev/null

# What the last scripts/images run chose, by name.
base_of() { sed -n "s/^$1=//p" "$BASES_FILE"; }

# The loop devices behind /tmp that a killed control plane left: as sandbox/engine/docker/disks.py lets go of them.
let_go_of_disks() {
  local volume label image=${SCF_INSTANCE_IMAGE:-$LATEST_INSTANCE_IMAGE}
  volume=$(docker volume ls -q --filter "label=scf-sandbox=$INSTALLATION" --filter label=scf-sandbox.role=disks)
  [[ -n $volume ]] || return 0
  label=scf:$(printf %s "$INSTALLATION" | sha256sum | cut -c1-24)
  docker run --rm --label "scf-sandbox=$INSTALLATION" --user root --cap-drop ALL --cap-add MKNOD --network none \
    --security-opt no-new-privileges --read-only --memory 32m --pids-limit 32 --device-cgroup-rule 'b 7:* rwm' \
    --device-cgroup-rule 'c 10:237 rwm' --mount "type=volume,source=${volume%%$'\n'*},target=/disks" \
    --entrypoint /.scf/init "$image" --disks /disks "$label" >/dev/null ||
    warn "loop devices of this installation may be left: losetup --list shows them, a restart of the machine ends them"
}

# Containers, networks and volumes of this installation, whoever made them. --keep-data spares the volumes with data.
sweep() {
  local label=label=scf-sandbox=$INSTALLATION found
  found=$(docker ps -aq --filter "$label")
  # shellcheck disable=SC2086 # one word per id is what is meant
  [[ -z $found ]] || docker rm -f -v $found >/dev/null
  let_go_of_disks
  found=$(docker volume ls -q --filter "$label" --filter label=scf-sandbox.role=tmp)
  found+=" $(docker volume ls -q --filter "$label" --filter label=scf-sandbox.role=disks)"
  # shellcheck disable=SC2086
  [[ -z ${found// /} ]] || docker volume rm -f $found >/dev/null
  found=$(docker network ls -q --filter "$label")
  # shellcheck disable=SC2086
  [[ -z $found ]] || docker network rm $found >/dev/null ||
    warn "the engine says that a network is in use which no container is in: restarting the engine mends that"
  [[ ${1:-} != --keep-data ]] || return 0
  found=$(docker volume ls -q --filter "$label")
  # shellcheck disable=SC2086
  [[ -z $found ]] || docker volume rm -f $found >/dev/null
}
