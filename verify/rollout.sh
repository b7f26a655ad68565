# Waits until every task of a swarm's service runs what was declared, then shows those that run on the engine reached.
#
# Needs the docker command-line client. Reads the environment:
#   IMMICH_ML_SERVICE    name of the service
#   IMMICH_ML_ADDRESS    where Immich reaches it inside the service's network, asked from one of the tasks; empty: not asked
#   IMMICH_ML_CONTAINER_CHECK  check.sh, run for each task's container
#   IMMICH_ML_HOST, IMMICH_ML_EXPECTED, IMMICH_ML_TIMEOUT  as check.sh
#   IMMICH_ML_MODE       enforce: a failed check fails; warn: it is only told; off: nothing is computed. A failed rollout fails in each
# and from standard input the Python program to run in the containers. Progress goes to standard error; standard output has the result of each check as a line of JSON.
set -eu

program=$(cat)

say() { printf '%s: %s\n' "$IMMICH_ML_HOST" "$*" >&2; }

# The message becomes part of the JSON, so only what needs no escaping is left in it.
finish_without_result() {
  printf '{"ok": false, "error": "%s", "details": [], "hint": null}\n' \
    "$(printf '%s' "$1" | tr -d '"\\' | tr '\n\t' '  ')"
  exit 1
}

# id, name, node, state and error of each task, newest first in its slot; the words are kept apart by a bar.
tasks() {
  docker service ps --no-trunc --format '{{.ID}}|{{.Name}}|{{.Node}}|{{.DesiredState}}|{{.CurrentState}}|{{.Error}}' "$@" \
    "$IMMICH_ML_SERVICE" 2>/dev/null
}

failed_tasks() { tasks | grep -E '^[^|]*\|[^|]*\|[^|]*\|[^|]*\|(Failed|Rejected)' || true; }

count() { grep -c . || true; }

# What stopped the newest task that ended by itself: its own error and the last lines of its log.
tell_failure() {
  # shellcheck disable=SC2046 # ids without blanks
  newest=$(docker inspect --type task --format '{{.Status.Timestamp}} {{.ID}}' $(failed_tasks | cut -d '|' -f 1) 2>/dev/null </dev/null |
    sort -r | head -n 1 | sed 's/.* //')
  failure=$(failed_tasks | grep "^${newest:-none}|" || true)
  if [ -z "$failure" ]; then
    say "$1"
    finish_without_result "$1"
  fi
  task=${failure%%|*}
  name=$(printf '%s' "$failure" | cut -d '|' -f 2 | sed 's/^[^A-Za-z0-9]*//')
  node=$(printf '%s' "$failure" | cut -d '|' -f 3)
  error=$(printf '%s' "$failure" | cut -d '|' -f 6-)
  say "$1. The last lines of the log of $name on node $node:"
  docker service logs --raw --tail 20 "$task" 2>&1 </dev/null | tr -d '\r' | sed 's/^/  | /' >&2 || true
  say "its error: ${error:-none was given}"
  say "$2"
  finish_without_result "$1 ($name on node $node: ${error:-no error given})"
}

still_serves="The tasks from before go on answering. Correct what the lines above say, then: pulumi up --refresh"

wait_for_rollout() {
  waited=0
  steady=0
  unplaced=0
  # Failures of an earlier rollout are in the service's history still.
  failed_before=$(failed_tasks | cut -d '|' -f 1)
  while :; do
    if ! current=$(docker service inspect --format \
      '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{else}}none{{end}} {{.Spec.Mode.Replicated.Replicas}}' \
      "$IMMICH_ML_SERVICE" </dev/null); then
      finish_without_result "the service $IMMICH_ML_SERVICE cannot be inspected"
    fi
    update=${current% *} replicas=${current#* }
    wanted=$(tasks --filter desired-state=running || true)
    running=$(printf '%s\n' "$wanted" | grep -E '^([^|]*\|){4}Running' | count)
    expected=$(printf '%s\n' "$wanted" | count)
    case $update in
      rollback_completed)
        tell_failure "the rollout failed and was rolled back" "$still_serves"
        ;;
      paused | rollback_paused)
        tell_failure "the rollout stands still ($update)" "$still_serves"
        ;;
    esac
    # An update begins a moment after it was asked for, so one look is not enough.
    if { [ "$update" = none ] || [ "$update" = completed ]; } &&
      [ "$running" = "$replicas" ] && [ "$expected" = "$replicas" ]; then
      steady=$((steady + 1))
      if [ "$steady" -ge 3 ]; then
        say "$running of $replicas tasks are healthy after ${waited} s"
        return
      fi
    else
      steady=0
    fi
    nowhere=$(printf '%s\n' "$wanted" | grep '|"*no suitable node' | head -n 1 | cut -d '|' -f 6- | tr -d '"')
    if [ -n "$nowhere" ]; then unplaced=$((unplaced + 1)); else unplaced=0; fi
    if [ "$unplaced" -ge 20 ]; then
      say "a task finds no place: $nowhere"
      say "During an update with order start-first there must be room for one task more; swarm.updateOrder: stop-first needs none."
      finish_without_result "a task finds no place: $nowhere"
    fi
    if [ "$update" = none ]; then
      new_failures=$(failed_tasks | cut -d '|' -f 1 | { [ -n "$failed_before" ] && grep -v -F "$failed_before" || cat; } | count)
      [ "$new_failures" -lt 3 ] ||
        tell_failure "the tasks end again and again" "The reason should stand in the lines above."
    fi
    if [ "$waited" -ge "$IMMICH_ML_TIMEOUT" ]; then
      say "Raise «healthTimeout» if the nodes are still fetching the image or models."
      tell_failure "only $running of $replicas tasks are healthy after $IMMICH_ML_TIMEOUT s" "$still_serves"
    fi
    [ $((waited % 4)) -ne 0 ] || say "$running of $replicas tasks healthy, update $update, $waited s"
    sleep 1
    waited=$((waited + 1))
  done
}

# Asked where Immich is, in the service's own network: a virtual address needs help from the kernel.
check_address() {
  [ -n "$IMMICH_ML_ADDRESS" ] || return 0
  answer=0
  # shellcheck disable=SC2016 # Python's own text
  said=$(docker exec -i "$1" sh -c \
    'for python in /opt/venv/bin/python python3 python; do command -v "$python" >/dev/null && exec "$python" - "$@"; done' sh "$IMMICH_ML_ADDRESS/ping" 2>&1 <<'END'
import sys, urllib.request
try:
    sys.exit(0 if urllib.request.urlopen(sys.argv[1], timeout=5).status == 200 else 1)
except OSError as error:
    sys.exit(str(getattr(error, "reason", error)))
END
  ) || answer=$?
  [ "$answer" -ne 0 ] || { say "answers at $IMMICH_ML_ADDRESS"; return 0; }
  message="the service does not answer at $IMMICH_ML_ADDRESS, though its tasks are healthy: $said"
  say "$message"
  say "A virtual address needs the kernel's IP virtual server on each node (modprobe ip_vs); without one, set swarm.endpointMode: dnsrr"
  [ "$IMMICH_ML_MODE" = warn ] || finish_without_result "$message"
}

say "waiting for the service's tasks to become healthy"
wait_for_rollout

# Tasks of before may still be ending here, so only the containers of those that shall run count.
here=$(docker ps --no-trunc --filter status=running --filter "label=com.docker.swarm.service.name=$IMMICH_ML_SERVICE" \
  --format '{{.Label "com.docker.swarm.task.id"}} {{.ID}}' </dev/null)
wanted=$(tasks --filter desired-state=running)
containers=
elsewhere=
while IFS='|' read -r task _name node _rest; do
  container=$(printf '%s\n' "$here" | sed -n "s/^$task //p")
  if [ -n "$container" ]; then
    containers="$containers $container"
  else
    elsewhere="$elsewhere $node"
  fi
done <<END
$wanted
END
for container in $containers; do
  check_address "$container"
  break
done
[ "$IMMICH_ML_MODE" != off ] || exit 0

[ -z "$elsewhere" ] ||
  say "not verified: the tasks on$elsewhere, whose engines are not reached from here"

code=0
for container in $containers; do
  output=$(printf '%s\n' "$program" | IMMICH_ML_CONTAINER=$container sh -c "$IMMICH_ML_CONTAINER_CHECK") || code=$?
  printf '%s\n' "$output" | tail -n 1
done
exit "$code"
