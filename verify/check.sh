# Waits until a machine-learning container is healthy, computes in it (a small network, then the models
# Immich uses), and limits its processes.
#
# Needs the docker command-line client. Reads the environment:
#   IMMICH_ML_CONTAINER     id or name of the container
#   IMMICH_ML_HOST          what the messages call it
#   IMMICH_ML_EXPECTED      the acceptable execution providers, separated by commas
#   IMMICH_ML_SESSION, IMMICH_ML_SESSION_HINT, IMMICH_ML_MODELS, IMMICH_ML_DOWNLOAD
#                           see inference.py; may be absent
#   IMMICH_ML_PIDS_LIMIT    processes and threads the container may have, -1 for any number; may be absent
#   IMMICH_ML_TIMEOUT       seconds to wait for health
#   IMMICH_ML_MODE          enforce: a failed check fails; warn: it is only reported; off: nothing is
#                           computed, only the processes are limited
# Progress goes to standard error; the last line of standard output is the result as JSON.
set -euf

folder=$(dirname "$0")
# shellcheck source=verify/common.sh
. "$folder/common.sh"

# Seconds Docker may be away: when it is restarted, its containers come back a moment after it.
timeout_away=60
seconds_to_settle=15
# Seconds in which the check asks the server itself; later Docker does it often enough.
seconds_of_asking=60
# Seconds for all models: some providers compile each one for the GPU at its first use.
timeout_inference=3600

finish() {
  printf '%s\n' "$1"
  [ "$IMMICH_ML_MODE" = warn ] || exit 1
  limit_processes || true
  exit 0
}

fail() { finish "$(failure "$@")"; }

# The Docker provider has no setting for it.
limit_processes() {
  [ -n "${IMMICH_ML_PIDS_LIMIT:-}" ] || return 0
  answer=$(ask_docker update --pids-limit "$IMMICH_ML_PIDS_LIMIT" -- "$IMMICH_ML_CONTAINER" 2>&1) || {
    [ "$IMMICH_ML_PIDS_LIMIT" != -1 ] || return 0
    log "cannot limit the container to $IMMICH_ML_PIDS_LIMIT processes: $answer"
    return 1
  }
}

last_log_lines() { ask_docker logs --tail "$1" -- "$IMMICH_ML_CONTAINER" 2>&1 | clean || true; }

show_log() {
  log "$1 last lines of its log:"
  last_log_lines 20 | sed 's/^/  | /' >&2
}

never_healthy() {
  show_log "$1. The"
  hint=$(last_log_lines 60 | known_error log)
  log "${hint:+What to do: }${hint:-$2}"
  fail "$1" "$hint"
}

state() {
  ask_docker inspect --format \
    '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}} {{.State.OOMKilled}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' \
    -- "$IMMICH_ML_CONTAINER"
}

started_at() {
  ask_docker inspect --format '{{.State.StartedAt}}' -- "$IMMICH_ML_CONTAINER" 2>/dev/null || echo unknown
}

is_ready() {
  [ "$status" = running ] || return 1
  case $health in
    healthy | none) ;;
    starting)
      [ "$waited" -lt "$seconds_of_asking" ] && health_test_passes "$IMMICH_ML_CONTAINER"
      ;;
    *) return 1 ;;
  esac
}

wait_for_health() {
  began=$(now)
  waited=0
  away_since=
  settled_at=0
  next_report=0
  first_restarts=
  last_code=0
  reason_above="The reason should be in the lines above."
  while :; do
    if ! current=$(state 2>&1); then
      # Docker prints an empty line before its error.
      current=$(printf '%s\n' "$current" | sed '/^$/d')
      case $current in
        # Empty: the client was killed because it waited too long.
        "" | *"annot connect to the Docker daemon"* | *"error during connect"* | *EOF*)
          [ -n "$away_since" ] || log "Docker does not answer; waiting until it is back"
          away_since=${away_since:-$waited}
          waited=$(($(now) - began))
          if [ $((waited - away_since)) -lt "$timeout_away" ]; then
            sleep 1
            continue
          fi
          log "$current"
          fail "Docker has not answered for $((waited - away_since)) s"
          ;;
      esac
      log "$current"
      fail "the container $IMMICH_ML_CONTAINER cannot be inspected"
    fi
    waited=$(($(now) - began))
    [ -z "$away_since" ] || settled_at=$((waited + seconds_to_settle))
    away_since=
    # shellcheck disable=SC2086 # five words without blanks, made by the format above
    set -- $current
    # They are computed with below, and some shells execute what is in a number.
    if [ $# -ne 5 ] || [ -n "$(printf '%s' "$2$3" | tr -d '[:digit:]')" ]; then
      fail "Docker described the container as: $current"
    fi
    status=$1 restarts=$2 exit_code=$3 out_of_memory=$4 health=$5
    first_restarts=${first_restarts:-$restarts}
    # Docker reports 0 for a container that runs again.
    [ "$exit_code" = 0 ] || last_code=$exit_code
    if is_ready; then
      log "healthy after ${waited} s"
      return
    fi
    if [ "$out_of_memory" = true ]; then
      never_healthy "the container ran out of memory" \
        "Raise its memory limit, or choose smaller models."
    fi
    if { [ "$status" = exited ] || [ "$status" = dead ]; } && [ "$waited" -ge "$settled_at" ]; then
      never_healthy "the container ended with exit code $exit_code" \
        "Docker does not restart it. $reason_above"
    fi
    if [ $((restarts - first_restarts)) -ge 3 ]; then
      case $last_code in
        132 | 139)
          never_healthy "the container keeps restarting (exit code $last_code)" \
            "This image cannot run on this machine's CPU or GPU."
          ;;
        0) never_healthy "the container keeps restarting" "$reason_above" ;;
        *)
          never_healthy "the container keeps restarting (exit code $last_code)" \
            "$reason_above"
          ;;
      esac
    fi
    if [ "$status" = running ] && [ "$health" = unhealthy ]; then
      never_healthy "the container runs but its health check fails" \
        "The server does not answer on /ping. $reason_above"
    fi
    if [ "$waited" -ge "$IMMICH_ML_TIMEOUT" ]; then
      never_healthy "the container is not healthy after $waited s" \
        "Raise «healthTimeout» if it is still downloading models."
    fi
    if [ "$waited" -ge "$next_report" ]; then
      log "$status, health $health, $waited s: $(last_log_lines 1 | cut -c 1-120)"
      next_report=$((waited + 4))
    fi
    sleep 1
  done
}

# Sends the program's errors on as they come, and prints its output with its exit code as the last line.
infer() {
  {
    {
      code=0
      inference_program | python_in "$timeout_inference" "$IMMICH_ML_CONTAINER" 2>&3 || code=$?
      printf '\n%s\n' "$code"
    } 3>&1 >&4 | clean >&2
  } 4>&1
}

attempt() {
  log "waiting for the container to become healthy"
  wait_for_health
  started=$(started_at)
  log "computing on $IMMICH_ML_EXPECTED"
  # Some of its workers may have given up on that model.
  failed_loads=$(ask_docker logs --since "$started" -- "$IMMICH_ML_CONTAINER" 2>&1 | grep -c 'Failed to load .* model' || true)
  export IMMICH_ML_FAILED_LOADS="${failed_loads#0}"
  began=$(now)
  output=$(infer)
  computed=$(($(now) - began))
  code=$(printf '%s\n' "$output" | tail -n 1)
  result=$(printf '%s\n' "$output" | clean | sed -e '$d' -e '/^$/d' | tail -n 1)
}

has_result() { case $result in '{"ok": '*) ;; *) return 1 ;; esac }

require_name "$IMMICH_ML_CONTAINER" "the container's name"
if [ "$IMMICH_ML_MODE" = off ]; then
  limit_processes || exit 1
  exit 0
fi
case ${IMMICH_ML_DOWNLOAD:-0} in
  *[!0-9]*) ;;
  *) timeout_inference=$((timeout_inference + ${IMMICH_ML_DOWNLOAD:-0})) ;;
esac

attempt
if ! has_result && [ "$(started_at)" != "$started" ]; then
  log "the container was restarted meanwhile"
  attempt
fi
if ! has_result && [ "$computed" -ge "$timeout_inference" ]; then
  fail "the inference in the container has not answered for $computed s"
fi
if ! has_result; then
  [ "$code" -ne 139 ] || log "ONNX Runtime crashed: this image does not run on this GPU or its driver"
  fail "the check ended with exit code $code before it had a result: $result"
fi
if [ "$code" -ne 0 ]; then
  case $result in
    *"Immich's server"*)
      show_log "the"
      hint=$(last_log_lines 60 | known_error log)
      [ -z "$hint" ] || log "What to do: $hint"
      ;;
  esac
  log "NOT VERIFIED"
  finish "$result"
fi
log "verified"
printf '%s\n' "$result"
# Last, because Docker cannot update a container that is restarting.
limit_processes || exit 1
