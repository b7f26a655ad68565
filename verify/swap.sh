# Puts a container that was created but not started in the place of the one that serves, and checks it. What
# serves is only stopped once the new one has computed beside it; when anything fails, it serves again.
#
#   swap.sh           makes the swap, and checks the container; once it serves, only checks it
#   swap.sh release   before the container is removed: the one that was taken over comes back
#
# Needs the docker command-line client. Reads the environment:
#   IMMICH_ML_NAME       the container's name once it serves
#   IMMICH_ML_OWNER      value of its label org.immich-ml.host: project/stack/host
#   IMMICH_ML_NETWORKS   the networks it joins once it serves, a line each: name, aliases separated by commas
#   IMMICH_ML_RESTART    its restart policy
#   IMMICH_ML_PORT       the port its server listens on
#   IMMICH_ML_URL        where Immich uses it
#   IMMICH_ML_STATE_LOST  set where the engine knows of no former container, and so removes none; may be absent
#   IMMICH_ML_TAKE_OVER  the foreign container that it replaces; may be absent
#   PULUMI_COMMAND_STDOUT  what the last run printed; may be absent
#   and what check.sh reads
# Progress goes to standard error. Standard output has what was taken over, if anything, and as its last line
# the check's result; each is a line of JSON.
set -euf

folder=$(dirname "$0")
# shellcheck source=verify/common.sh
. "$folder/common.sh"
# shellcheck source=verify/containers.sh
. "$folder/containers.sh"

# Seconds a server has to finish the requests under way.
grace=30
mode=${1:-swap}

# Whoever cancels `up` kills this script at once, and nothing may end between two containers. So the work is
# done by a process in a session of its own, which puts everything back when it finds itself alone.
if [ -z "${IMMICH_ML_SUPERVISOR:-}" ]; then
  export IMMICH_ML_SUPERVISOR=$$
  detach=$(command -v setsid || true)
  $detach sh "$0" "$@" &
  worker=$!
  trap 'kill -TERM "$worker" 2>/dev/null || true' INT TERM HUP
  code=0
  wait "$worker" || code=$?
  # A signal ends the first wait.
  while kill -0 "$worker" 2>/dev/null; do
    code=0
    wait "$worker" || code=$?
  done
  exit "$code"
fi

work=$(mktemp -d)
critical=
cancelled=
child=
watcher=

clean_up() {
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
  rm -rf "$work"
}

cancel() {
  cancelled=1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
  [ -n "$critical" ] || stop_here
}

stop_here() {
  critical=1
  give_back "up was cancelled"
}

trap clean_up EXIT
trap '' PIPE
trap cancel INT TERM HUP

if [ -r "/proc/$$/status" ]; then
  is_alone() { [ "$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$$/status")" != "$IMMICH_ML_SUPERVISOR" ]; }
else
  is_alone() { ! kill -0 "$IMMICH_ML_SUPERVISOR" 2>/dev/null; }
fi
(
  until is_alone; do sleep 1; done
  kill -TERM $$
) >/dev/null 2>&1 &
watcher=$!

# Nobody may be reading any more.
say() { printf '%s\n' "$1" || true; }
log() { printf '%s: %s\n' "$IMMICH_ML_HOST" "$*" | clean >&2 || true; }

fail() {
  log "$1"
  failure "$1" || true
  exit 1
}

# Runs something long so that a signal is noticed meanwhile. Sets `code`.
in_background() {
  code=0
  "$@" &
  child=$!
  wait "$child" || code=$?
  child=
}

# --- the parts of a swap

# Runs check.sh on the new container. `check MODE [models]`; sets `code` and `result`.
check() {
  models=
  [ "${2:-}" != models ] || models=${IMMICH_ML_MODELS:-}
  in_background env IMMICH_ML_MODE="$1" IMMICH_ML_MODELS="$models" \
    sh "$folder/check.sh" >"$work/result"
  result=$(tail -n 1 "$work/result")
}

is_healthy() {
  case $(inspect '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' "$new") in
    "running healthy" | "running none") return 0 ;;
    "running starting") health_test_passes "$new" ;;
    *) return 1 ;;
  esac
}

error_of() { printf '%s\n' "$1" | sed -n 's/^{"ok": false, "error": "\(\([^"\\]\|\\.\)*\)".*/\1/p'; }

# What a server's memory or an exclusive card says when there is no room for a second process.
has_no_room() {
  printf '%s\n' "$1" | grep -qiE \
    'out of memory|failed to allocate|ALLOC_FAILED|cudaErrorMemoryAllocation|CUDA failure (2|46)\b|error 46|devices? (is|are) busy|DevicesUnavailable|cannot allocate memory'
}

# Ends the run where the new container cannot work. Without room or a way to try it, the swap goes on.
try_candidate() {
  if shares_network; then
    log "shares a network with others, so the new container cannot be tried beside the one that serves"
    return
  fi
  if has_ports; then
    # Its port is taken while the other one serves.
    case $(inspect '{{json .Config.Env}}' "$new") in
      *_PRELOAD__*)
        log "preloads models and publishes a port, so it cannot be tried beside the one that serves"
        return
        ;;
    esac
    leave_networks
  else
    join quietly || fail_here "the new container cannot join its network: $answer"
  fi
  log "trying the new container beside the one that serves"
  if ! start_new; then
    case $answer in
      *"already allocated"*) return ;;
    esac
    fail_here "the new container cannot be started: $answer"
  fi
  if [ "$IMMICH_ML_MODE" = off ]; then
    in_background sleep 2
    [ -z "$cancelled" ] || stop_here
    is_running "$new" || fail_here "the new container ended at once: $(last_words)"
    return
  fi
  check enforce
  [ "$code" != 0 ] || return 0
  if is_healthy && has_no_room "$result"; then
    log "the card has no room for a second server: the one that serves makes room, and comes back if the new one fails"
    stop "$new" 5 || true
    return
  fi
  if is_healthy && [ "$IMMICH_ML_MODE" = warn ]; then
    log "goes on all the same (check: warn)"
    return
  fi
  fail_here "$(error_of "$result")"
}

last_words() { ask_docker logs --tail 3 -- "$new" 2>&1 | clean | tr '\n' ' ' || true; }

# From here to the end of it nothing may stop between two containers.
swap() {
  critical=1
  log "the new container takes over"
  for id in $own; do
    [ "$(name_of "$id")" != "$IMMICH_ML_NAME" ] ||
      rename "$id" "$IMMICH_ML_NAME-former-$(short "$id")" || log "$answer"
  done
  if [ -n "$foreign" ]; then
    case $(name_of "$foreign") in
      *"$kept_suffix") ;;
      *) rename "$foreign" "$(name_of "$foreign")$kept_suffix" || log "$answer" ;;
    esac
  fi
  [ "$(name_of "$new")" = "$IMMICH_ML_NAME" ] || rename "$new" "$IMMICH_ML_NAME" ||
    give_back "the name $IMMICH_ML_NAME cannot be set: $answer"
  try update --restart "$IMMICH_ML_RESTART" -- "$new" || log "$answer"
  # Both answer for a moment where they can.
  if is_running "$new" && ! has_ports && ! shares_network; then
    join serving || give_back "the new container cannot join its network: $answer"
    stop_formers
  else
    stop_formers
    join serving || give_back "the new container cannot join its network: $answer"
    start_new || give_back "the new container cannot be started: $answer"
  fi
  critical=
  [ -z "$cancelled" ] || stop_here
}

stop_formers() {
  for id in $own $foreign; do stop_gently "$id" "$grace" || log "$(name_of "$id") cannot be stopped: $answer"; done
}

# What served runs again, under its name. Ends with one line on what runs now.
give_back() {
  critical=1
  reason=$1
  if [ -n "$own$foreign" ]; then
    stop "$new" 5 || log "$answer"
    # It must not come back when the machine starts.
    try update --restart no -- "$new" || log "$answer"
    leave_networks
    [ "$(name_of "$new")" != "$IMMICH_ML_NAME" ] ||
      rename "$new" "$IMMICH_ML_NAME-failed-$(short "$new")" || log "$answer"
    for id in $own $foreign; do
      name=$(name_of "$id")
      case $name in
        "$IMMICH_ML_NAME-former-"*) rename "$id" "$IMMICH_ML_NAME" || log "$answer" ;;
        *"$kept_suffix") rename "$id" "${name%"$kept_suffix"}" || log "$answer" ;;
      esac
      [ "$id" != "$foreign" ] || [ "$foreign_ran" = true ] || continue
      is_running "$id" || try start -- "$id" || log "$(name_of "$id") cannot be started: $answer"
    done
  fi
  what_runs
  failure "$reason" || true
  exit 1
}

what_runs() {
  serving=
  for id in $own $foreign; do is_running "$id" && serving="$serving $(name_of "$id")"; done
  if [ -n "$serving" ]; then
    log "$reason. What ran before still serves:$serving; Immich uses it at $IMMICH_ML_URL"
  elif is_running "$new"; then
    log "$reason. $(name_of "$new") runs, not verified; Immich uses it at $IMMICH_ML_URL"
  else
    log "$reason. No machine learning runs here: nothing answers at $IMMICH_ML_URL"
  fi
}

# The reason may be that of a signal, which has ended whatever was under way.
fail_here() {
  [ -z "$cancelled" ] || stop_here
  give_back "$1"
}

# Asked where Immich is: who has the aliases in the new container's networks?
check_address() {
  ! shares_network || return 0
  while read -r network aliases; do
    [ -n "$aliases" ] || continue
    for alias in $(printf '%s' "$aliases" | tr ',' ' '); do
      # In each of its networks it has the alias.
      own_addresses=$(inspect '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}' "$new")
      answer=$(python_in 60 "$new" "$alias" "$IMMICH_ML_PORT" "$own_addresses" 2>&1 <"$folder/address.py" | clean) ||
        fail_here "nothing answers at http://$alias:$IMMICH_ML_PORT in the network $network: $(printf '%s\n' "$answer" | tail -n 1)"
      for address in $(printf '%s\n' "$answer" | sed -n 's/^other //p'); do
        other=$(ask_docker network inspect --format \
          '{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.IPv6Address}}{{"\n"}}{{end}}' -- "$network" |
          address=$address awk '{ split($2, a, "/"); split($3, b, "/") } a[1] == ENVIRON["address"] || b[1] == ENVIRON["address"] { print $1; exit }')
        fail_here "${other:-another server ($address)} answers as $alias, too, and gets part of Immich's requests: stop it, or hand it over (takeOver)"
      done
    done
  done <<END
$IMMICH_ML_NETWORKS
END
}

# Only now the others lose what would start them again; ours are removed by the engine at the end of `up`.
commit() {
  critical=1
  record=$(last_record)
  # A kept container that somebody started again has lost its policy: what the first hand-over found counts.
  if [ -n "$foreign" ] && { [ -z "$was_kept" ] || [ -z "$record" ]; }; then
    name=$(name_of "$foreign")
    record=$(taken_over "${name%"$kept_suffix"}" "$(policy_of "$foreign")" "$foreign_ran")
  fi
  for id in $own $foreign; do try update --restart no -- "$id" || log "$answer"; done
  [ -z "${IMMICH_ML_STATE_LOST:-}" ] || remove_own
  [ -z "$record" ] || say "$record"
}

# Also those that were made and never started.
remove_own() {
  for id in $(own_others); do
    require_name "$id" "a container's id"
    try rm --force -- "$id" || log "$answer"
  done
}

# --- what is asked for

serves() {
  for id in $own $foreign; do ! is_running "$id" || return 0; done
  return 1
}

check_now() {
  [ "$IMMICH_ML_MODE" != off ] || {
    in_background sh "$folder/check.sh"
    return
  }
  check "$IMMICH_ML_MODE" models
}

make_swap() {
  exists "$new" || fail "the container $(short "$new") does not exist any more"
  find_formers
  # Taken away when an earlier try failed.
  try update --restart "$IMMICH_ML_RESTART" -- "$new" || log "$answer"
  if serves; then
    try_candidate
    swap
  elif [ -n "$own$foreign" ]; then
    log "nothing serves here: an earlier run was interrupted"
    is_running "$new" && is_joined || swap
  else
    start_alone
  fi
  check_now
  [ -z "$cancelled" ] || stop_here
  if [ "$IMMICH_ML_MODE" != off ]; then
    # A server that never answers is no warning.
    if [ "$code" != 0 ] || { [ -n "$own$foreign" ] && ! is_healthy; }; then
      reason=$(error_of "$result")
      [ -n "$own$foreign" ] || {
        what_runs
        say "$result"
        exit 1
      }
      say "$result"
      give_back "${reason:-the check ended with exit code $code}" >/dev/null
    fi
    check_address
  elif [ "$code" != 0 ]; then
    fail_here "the check ended with exit code $code"
  fi
  commit
  [ ! -s "$work/result" ] || tail -n 1 "$work/result"
}

# Nothing serves: it is started where Immich looks.
start_alone() {
  [ "$(name_of "$new")" = "$IMMICH_ML_NAME" ] || rename "$new" "$IMMICH_ML_NAME" ||
    fail "the name $IMMICH_ML_NAME cannot be set: $answer"
  if [ "$(inspect '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$new")" = unhealthy ]; then
    log "restarting it, since its health check fails"
    try restart --time "$grace" -- "$new" || log "$answer"
  fi
  is_joined || join serving || fail_here "the container cannot join its network: $answer"
  start_new || fail_here "the container cannot be started: $answer"
}

# Before the container is removed.
release() {
  record=$(last_record)
  if [ -z "$record" ]; then
    log "machine learning is removed here, and Immich finds none at $IMMICH_ML_URL: start another one there, such as docker compose's own service (back into its file, docker compose up -d)"
    return
  fi
  ask_docker version >/dev/null 2>&1 || fail "Docker does not answer, so $(field "$record" name) was not brought back"
  name=$(field "$record" name)
  require_name "$name" "the name of the container that was taken over"
  kept=$name$kept_suffix
  if ! exists "$kept"; then
    log "$kept, which was taken over, is gone: no machine learning runs here any more, and Immich finds none at $IMMICH_ML_URL"
    return
  fi
  critical=1
  if exists "$new"; then
    stop_gently "$new" "$grace" || log "$answer"
    [ "$(name_of "$new")" != "$name" ] || rename "$new" "$name-removed-$(short "$new")" || log "$answer"
  fi
  rename "$kept" "$name" || fail "$kept cannot have its name back: $answer"
  try update --restart "$(field "$record" restart)" -- "$name" || log "$answer"
  if [ "$(field "$record" running)" = true ]; then
    try start -- "$name" || fail "$name has its name back, but cannot be started: $answer"
    log "$name, which was taken over, runs again as before"
  else
    log "$name, which was taken over, is back as before: stopped"
  fi
}

require_name "$new" "the container's id"
require_name "$IMMICH_ML_NAME" "the container's name"
case $mode in
  swap) make_swap ;;
  release) release ;;
  *) fail "there is no mode $mode" ;;
esac
