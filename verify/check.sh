# Waits until a machine-learning container is healthy, then computes in it: a small network, and the
# models Immich is told to use.
#
# Needs the docker command-line client. Reads the environment:
#   IMMICH_ML_CONTAINER  id or name of the container
#   IMMICH_ML_HOST       what the messages call it
#   IMMICH_ML_EXPECTED   the acceptable execution providers, separated by commas
#   IMMICH_ML_MODELS     the models, see inference.py; may be absent
#   IMMICH_ML_DOWNLOAD   seconds the server may take to download those that are missing; may be absent
#   IMMICH_ML_TIMEOUT    seconds to wait for health
#   IMMICH_ML_MODE       enforce: a failed check fails; warn: it is only told
# and from standard input the Python program to run in the container. Progress goes to standard error; the last line of standard output is the result as JSON.
set -euf

say() { printf '%s: %s\n' "$IMMICH_ML_HOST" "$*" >&2; }

last_log_lines() { docker logs --tail "$1" "$IMMICH_ML_CONTAINER" 2>&1 </dev/null | tr -d '\r' || true; }

# The message becomes part of the JSON, so only what needs no escaping is left in it.
finish_without_result() {
  printf '{"ok": false, "error": "%s", "details": [], "hint": null}\n' \
    "$(printf '%s' "$1" | LC_ALL=C tr -d '"\\' | LC_ALL=C tr '[:cntrl:]' ' ' | cut -c 1-1000)"
  [ "$IMMICH_ML_MODE" = warn ] && exit 0
  exit 1
}

show_log() {
  say "$1 last lines of its log:"
  last_log_lines 20 | sed 's/^/  | /' >&2
}

never_healthy() {
  show_log "$1. The"
  say "$2"
  finish_without_result "$1"
}

state() {
  docker inspect --format \
    '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}} {{.State.OOMKilled}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' \
    "$IMMICH_ML_CONTAINER" </dev/null
}

# When Docker is restarted, its containers are down for a moment longer than it is itself.
seconds_away=60
seconds_to_settle=15

wait_for_health() {
  waited=0
  away=0
  settled_at=0
  first_restarts=
  last_code=0
  reason_above="The reason should stand in the lines above."
  while :; do
    if ! current=$(state 2>&1); then
      case $current in
        *"annot connect to the Docker daemon"* | *"error during connect"* | *EOF*)
          if [ "$away" -lt "$seconds_away" ]; then
            [ "$away" -ne 0 ] || say "Docker does not answer; waiting until it is back"
            sleep 1
            away=$((away + 1)) waited=$((waited + 1)) settled_at=$((waited + seconds_to_settle))
            continue
          fi
          ;;
      esac
      say "$current"
      finish_without_result "the container $IMMICH_ML_CONTAINER cannot be inspected"
    fi
    # shellcheck disable=SC2086 # five words without blanks, made by the format above
    set -- $current
    # Numbers are computed with below, and some shells execute what stands in one.
    if [ $# -ne 5 ] || [ -n "$(printf '%s' "$2$3" | tr -d '[:digit:]')" ]; then
      finish_without_result "the engine described the container as: $current"
    fi
    status=$1 restarts=$2 exit_code=$3 out_of_memory=$4 health=$5
    first_restarts=${first_restarts:-$restarts}
    # While it runs again, the engine reports 0 for the code it ended with before.
    [ "$exit_code" = 0 ] || last_code=$exit_code
    if [ "$status" = running ] && { [ "$health" = healthy ] || [ "$health" = none ]; }; then
      say "healthy after ${waited} s"
      return
    fi
    if [ "$out_of_memory" = true ]; then
      never_healthy "the container ran out of memory" \
        "Raise its memory limit, or choose smaller models."
    fi
    if { [ "$status" = exited ] || [ "$status" = dead ]; } && [ "$waited" -ge "$settled_at" ]; then
      never_healthy "the container ended with exit code $exit_code" \
        "It is not restarted by itself. $reason_above"
    fi
    if [ $((restarts - first_restarts)) -ge 3 ]; then
      case $last_code in
        132 | 139)
          never_healthy "the container restarts again and again (exit code $last_code)" \
            "This image cannot run on this machine's CPU or card."
          ;;
        0) never_healthy "the container restarts again and again" "$reason_above" ;;
        *)
          never_healthy "the container restarts again and again (exit code $last_code)" \
            "$reason_above"
          ;;
      esac
    fi
    if [ "$status" = running ] && [ "$health" = unhealthy ]; then
      never_healthy "the container runs but its health check fails" \
        "The server does not answer on /ping. $reason_above"
    fi
    if [ "$waited" -ge "$IMMICH_ML_TIMEOUT" ]; then
      never_healthy "the container is not healthy after $IMMICH_ML_TIMEOUT s" \
        "Raise «healthTimeout» if it is still downloading models."
    fi
    [ $((waited % 4)) -ne 0 ] || say "$status, health $health, $waited s: $(last_log_lines 1 | cut -c 1-120)"
    sleep 1
    waited=$((waited + 1))
  done
}

program=$(cat)

compute_network() {
  printf '%s\n' "$program" | docker exec -i -e IMMICH_ML_EXPECTED -e IMMICH_ML_MODELS -e IMMICH_ML_DOWNLOAD \
    "$IMMICH_ML_CONTAINER" \
    sh -c 'for python in /opt/venv/bin/python python3 python; do command -v "$python" >/dev/null && exec "$python" -; done; echo "no Python in this image" >&2; exit 127'
}

started_at() {
  docker inspect --format '{{.State.StartedAt}}' "$IMMICH_ML_CONTAINER" 2>/dev/null </dev/null || echo unknown
}

attempt() {
  say "waiting for the container to become healthy"
  wait_for_health
  started=$(started_at)
  say "computing on $IMMICH_ML_EXPECTED"
  code=0
  output=$(compute_network) || code=$?
  result=$(printf '%s\n' "$output" | tail -n 1)
}

has_result() { case $result in '{"ok": '*) ;; *) return 1 ;; esac }

attempt
if ! has_result && [ "$(started_at)" != "$started" ]; then
  say "the container was restarted meanwhile"
  attempt
fi
if ! has_result; then
  [ "$code" -ne 139 ] || say "ONNX Runtime crashed: this image does not run on this card or its driver"
  finish_without_result "the check ended with exit code $code before it had a result: $result"
fi
if [ "$code" -ne 0 ]; then
  case $result in *"Immich's server"*) show_log "the" ;; esac
  say "NOT VERIFIED"
  printf '%s\n' "$result"
  [ "$IMMICH_ML_MODE" = warn ] || exit 1
  exit 0
fi
say "verified"
printf '%s\n' "$result"
