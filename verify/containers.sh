# What swap.sh asks of containers and does to them. It reads common.sh first.

# The container that is to serve.
new=$IMMICH_ML_CONTAINER
kept_suffix=-before-immich-ml

# Seconds Docker may be away: when it is restarted in the middle of a swap, the swap goes on.
longest_away=60

# Whether Docker, which was away by its client's words, is back. It is waited for once.
docker_is_back() {
  case $1 in
    *"annot connect to the Docker daemon"* | *"error during connect"* | *EOF*) ;;
    *) return 1 ;;
  esac
  [ ! -e "${work:?}/away" ] || return 1
  log "Docker does not answer; waiting until it is back"
  away_since=$(now)
  until ask_docker version >/dev/null 2>&1; do
    if [ $(($(now) - away_since)) -ge "$longest_away" ]; then
      : >"$work/away"
      return 1
    fi
    sleep 1
  done
  # Its containers come back a moment after it.
  sleep 3
}

inspect() {
  until inspected=$(ask_docker inspect --type container --format "$1" -- "$2" 2>"$work/complaint"); do
    docker_is_back "$(cat "$work/complaint")" || return 1
  done
  printf '%s\n' "$inspected"
}
is_running() { [ "$(inspect '{{.State.Running}}' "$1")" = true ]; }
exists() { inspect '{{.Id}}' "$1" >/dev/null; }
name_of() { inspect '{{.Name}}' "$1" | sed 's,^/,,'; }
policy_of() {
  policy=$(inspect '{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}' "$1")
  policy=${policy%:0}
  printf '%s\n' "${policy:-no}"
}
short() { printf '%s' "$1" | cut -c 1-12; }

# Answers of the engine go to the log; `try` fails as the client does. What Docker did before it went away is
# not asked for twice: a container that has its name, or is in its network, says so.
try() {
  was_away=
  until answer=$(limited 60 docker "$@" </dev/null 2>&1); do
    if docker_is_back "$answer"; then
      was_away=yes
      continue
    fi
    # The client's last line only repeats the container.
    answer=$(printf '%s\n' "$answer" | sed -e '/^$/d' -e '/^Error: failed to [a-z]* container/d' | tail -n 1)
    case $was_away:$answer in
      yes:*"same name as"* | yes:*"already exists in network"*) return 0 ;;
    esac
    return 1
  done
}

# `rename CONTAINER NAME`. Docker refuses while it waits between two restarts of a container; such a one serves
# nothing, and is stopped for it.
rename() {
  ! try rename "$1" "$2" || return 0
  case $answer in
    *sandbox*"not found"*) ;;
    *) [ "$(inspect '{{.State.Status}}' "$1")" = restarting ] || return 1 ;;
  esac
  try stop --time 5 -- "$1" && try rename "$1" "$2"
}

# What this stack runs here for this host apart from the new container. Releases without the label are known by
# the name.
own_others() {
  project=${IMMICH_ML_OWNER%%/*}
  rest=${IMMICH_ML_OWNER#*/}
  {
    ask_docker ps --all --no-trunc --filter "label=org.immich-ml.host=$IMMICH_ML_OWNER" --format '{{.ID}}'
    ask_docker ps --all --no-trunc --filter "label=org.immich-ml.project=$project" \
      --filter "label=org.immich-ml.stack=${rest%%/*}" \
      --format '{{.ID}} {{.Names}} {{.Label "org.immich-ml.host"}}' |
      name=$IMMICH_ML_NAME awk '
        NF == 2 && ($2 == ENVIRON["name"] || index($2, ENVIRON["name"] "-former-") == 1) { print $1 }'
  } | sort -u | { grep -vx "$new" || true; }
}

# Containers that serve, or that an interrupted swap has stopped: only a finished one takes their policy away.
# Sets `own`, `foreign`, `foreign_ran` and `was_kept`, which swap.sh reads.
# shellcheck disable=SC2034
find_formers() {
  own=
  for id in $(own_others); do
    require_name "$id" "a container's id"
    [ "$(inspect '{{.State.Status}}' "$id")" != created ] || continue
    if is_running "$id" || [ "$(policy_of "$id")" != no ]; then own="$own $id"; fi
  done
  foreign=
  foreign_ran=true
  was_kept=
  take_over=${IMMICH_ML_TAKE_OVER:-}
  [ -n "$take_over" ] || return 0
  require_name "$take_over" takeOver
  id=$(inspect '{{.Id}}' "$take_over" || true)
  case " $new $own " in *" $id "*) ;; *) foreign=$id ;; esac
  [ -z "$foreign" ] || is_running "$foreign" || foreign_ran=false
  kept=$(inspect '{{.Id}}' "$take_over$kept_suffix" || true)
  [ -n "$kept" ] || return 0
  [ -z "$foreign" ] ||
    fail "there are both $take_over and $take_over$kept_suffix: remove the one that you do not need (docker rm)"
  if is_running "$kept" || [ "$(policy_of "$kept")" != no ]; then foreign=$kept was_kept=1; fi
}

# One line of JSON that `release` reads. `taken_over NAME POLICY RUNNING`.
taken_over() {
  printf '{"takenOver": {"name": "%s", "restart": "%s", "running": %s}}\n' "$1" "$2" "$3"
}

last_record() {
  printf '%s\n' "${PULUMI_COMMAND_STDOUT:-}" | grep '^{"takenOver": ' | tail -n 1 || true
}

field() { printf '%s\n' "$1" | sed -n "s/.*\"$2\": \"\{0,1\}\([A-Za-z0-9_.:-]*\).*/\1/p"; }
# --- the new container

shares_network() {
  case $(inspect '{{.HostConfig.NetworkMode}}' "$new") in host | none | container:*) return 0 ;; esac
  return 1
}

has_ports() { [ "$(inspect '{{len .HostConfig.PortBindings}}' "$new")" != 0 ]; }

leave_networks() {
  # shellcheck disable=SC2016 # for Docker
  for network in $(inspect '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$new"); do
    try network disconnect --force "$network" "$new" || true
  done
}

is_joined() {
  ! shares_network || return 0
  while read -r network aliases; do
    [ -n "$network" ] || continue
    joined=$(inspect "{{with index .NetworkSettings.Networks \"$network\"}}yes{{json .Aliases}}{{end}}" "$new")
    [ -n "$joined" ] || return 1
    for alias in $(printf '%s' "$aliases" | tr ',' ' '); do
      case $joined in *"\"$alias\""*) ;; *) return 1 ;; esac
    done
  done <<END
$IMMICH_ML_NETWORKS
END
}

# `join serving` makes it reachable under its aliases; `join quietly` only lets it reach others.
join() {
  how=$1
  ! shares_network || return 0
  leave_networks
  while read -r network aliases; do
    [ -n "$network" ] || continue
    set --
    if [ "$how" = serving ] && [ -n "$aliases" ]; then
      for alias in $(printf '%s' "$aliases" | tr ',' ' '); do set -- "$@" --alias "$alias"; done
    fi
    try network connect "$@" -- "$network" "$new" || return 1
  done <<END
$IMMICH_ML_NETWORKS
END
}

start_new() { is_running "$new" || try start -- "$new"; }

# Docker restarts a container after a power cut unless its policy was taken away, so a stop keeps it.
stop() { ! is_running "$1" || try stop --time "$2" -- "$1"; }

# Lets it answer the requests under way, too, which Immich's own command cuts.
stop_gently() {
  python_in 15 "$1" <"${folder:?}/drain.py" >/dev/null 2>&1 || true
  stop "$1" "$2"
}
