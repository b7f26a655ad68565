# Waits until every task of a swarm's service runs what was declared, then checks those that run on the
# engine reached.
#
# Needs the docker command-line client. Reads the environment:
#   IMMICH_ML_SERVICE    name of the service
#   IMMICH_ML_ADDRESS    where Immich reaches it in the service's network, tried from one of the tasks, or
#                        from a container of its own; empty: not tried
#   IMMICH_ML_MODE       enforce: a failed check fails; warn: it is only reported; off: nothing is
#                        computed. A failed rollout fails in each
#   and what check.sh reads, but IMMICH_ML_CONTAINER and IMMICH_ML_PIDS_LIMIT
# Progress goes to standard error; standard output has the result of each check as a line of JSON.
set -euf

folder=$(dirname "$0")
# shellcheck source=verify/common.sh
. "$folder/common.sh"

fail() {
  failure "$1"
  exit 1
}

count() { grep -c . || true; }

# Reads the tasks, newest first in its slot, as id|name|node|desired state|state|error.
read_tasks() {
  tasks=$(ask_docker service ps --no-trunc \
    --format '{{.ID}}|{{.Name}}|{{.Node}}|{{.DesiredState}}|{{.CurrentState}}|{{.Error}}' \
    -- "$IMMICH_ML_SERVICE" 2>/dev/null | clean | grep -E '^([^|]*\|){5}' || true)
  for task in $(printf '%s\n' "$tasks" | cut -d '|' -f 1); do require_name "$task" "a task's id"; done
  wanted=$(printf '%s\n' "$tasks" | awk -F '|' '$4 == "Running"')
  failed=$(printf '%s\n' "$tasks" | awk -F '|' '$5 ~ /^(Failed|Rejected)/ { print $1 }')
}

# What stopped the newest task that ended by itself: its own error and the last lines of its log.
report_failure() {
  newest=
  if [ -n "$failed" ]; then
    # shellcheck disable=SC2086 # ids without blanks
    newest=$(ask_docker inspect --type task --format '{{.Status.Timestamp}} {{.ID}}' -- $failed 2>/dev/null |
      sort -r | awk 'NR == 1 { print $NF }')
  fi
  former=$(printf '%s\n' "$tasks" | id=$newest awk -F '|' '$1 == ENVIRON["id"] { print; exit }')
  if [ -z "$former" ]; then
    log "$1"
    fail "$1"
  fi
  # Docker draws a line before the name of a former task.
  name=$(printf '%s' "$former" | cut -d '|' -f 2 | LC_ALL=C sed 's/^[^A-Za-z0-9]*//')
  node=$(printf '%s' "$former" | cut -d '|' -f 3)
  error=$(printf '%s' "$former" | cut -d '|' -f 6-)
  log "$1. The last lines of the log of $name on node $node:"
  ask_docker service logs --raw --tail 20 -- "$newest" 2>&1 | clean | sed 's/^/  | /' >&2 || true
  log "its error: ${error:-none}"
  log "$2"
  fail "$1 ($name on node $node: ${error:-no error})"
}

still_serves="The former tasks still serve. Correct what the lines above name, then: pulumi up --refresh"

wait_for_rollout() {
  began=$(now)
  steady_since=
  unplaced_since=
  next_report=0
  read_tasks
  # Failures of an earlier rollout are still in the service's history.
  failed_before=$failed
  while :; do
    if ! current=$(ask_docker service inspect --format \
      '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{else}}none{{end}} {{.Spec.Mode.Replicated.Replicas}}' \
      -- "$IMMICH_ML_SERVICE"); then
      fail "the service $IMMICH_ML_SERVICE cannot be inspected"
    fi
    update=${current% *} replicas=${current#* }
    read_tasks
    waited=$(($(now) - began))
    expected=$(printf '%s\n' "$wanted" | count)
    running=$(printf '%s\n' "$wanted" | awk -F '|' '$5 ~ /^Running/' | count)
    case $update in
      rollback_completed)
        report_failure "the rollout failed and was rolled back" "$still_serves"
        ;;
      paused | rollback_paused)
        report_failure "the rollout is stuck ($update)" "$still_serves"
        ;;
    esac
    # An update begins a moment after it was requested, so look twice.
    if { [ "$update" = none ] || [ "$update" = completed ]; } &&
      [ "$running" = "$replicas" ] && [ "$expected" = "$replicas" ]; then
      steady_since=${steady_since:-$waited}
      if [ $((waited - steady_since)) -ge 2 ]; then
        log "$running of $replicas tasks are healthy after ${waited} s"
        return
      fi
    else
      steady_since=
    fi
    unplaced=$(printf '%s\n' "$wanted" | grep '|"*no suitable node' | head -n 1 | cut -d '|' -f 6- | tr -d '"')
    if [ -n "$unplaced" ]; then unplaced_since=${unplaced_since:-$waited}; else unplaced_since=; fi
    if [ -n "$unplaced" ] && [ $((waited - unplaced_since)) -ge 20 ]; then
      log "no node can run a task: $unplaced"
      log "An update with order start-first needs room for one more task; swarm.updateOrder: stop-first needs none."
      fail "no node can run a task: $unplaced"
    fi
    if [ "$update" = none ]; then
      new_failures=$(printf '%s\n' "$failed" | before=$failed_before awk 'index(ENVIRON["before"], $0) == 0' | count)
      [ "$new_failures" -lt 3 ] ||
        report_failure "the tasks end again and again" "The reason should be in the lines above."
    fi
    if [ "$waited" -ge "$IMMICH_ML_TIMEOUT" ]; then
      log "Raise «healthTimeout» if the nodes are still pulling the image or downloading models."
      report_failure "only $running of $replicas tasks are healthy after $waited s" "$still_serves"
    fi
    if [ "$waited" -ge "$next_report" ]; then
      log "$running of $replicas tasks healthy, update $update, $waited s"
      next_report=$((waited + 4))
    fi
    sleep 1
  done
}

# Prints why the address does not answer.
ask_address='
import sys, time, urllib.request
for attempt in range(3):
    try:
        sys.exit(0 if urllib.request.urlopen(sys.argv[1], timeout=5).status == 200 else 1)
    except OSError as error:
        reason = str(getattr(error, "reason", error))
    time.sleep(1)
sys.exit(reason)
'

# Asks from a container of the service's image that joins its network and ends. The client is closed when it
# takes too long; the container ends by itself.
ask_address_beside() {
  if ! described=$(ask_docker service inspect --format \
    '{{.Spec.TaskTemplate.ContainerSpec.Image}} {{(index .Spec.TaskTemplate.Networks 0).Target}}' \
    -- "$IMMICH_ML_SERVICE" 2>&1); then
    printf '%s\n' "$described"
    return 1
  fi
  require_name "${described#* }" "the network's id"
  # shellcheck disable=SC2016 # expanded in the container
  printf '%s' "$ask_address" | limited 120 docker run --rm -i --network "${described#* }" --entrypoint sh \
    -- "${described% *}" -c '
      for python in /opt/venv/bin/python python3 python; do
        ! command -v "$python" >/dev/null || exec "$python" - "$0"
      done
      echo "no Python in this image" >&2
      exit 127' "$IMMICH_ML_ADDRESS/ping" 2>&1
}

# Asked where Immich is, in the service's own network: a virtual address needs help from the kernel. From a task
# that runs here, otherwise from a container of its own.
check_address() {
  [ -n "$IMMICH_ML_ADDRESS" ] || return 0
  if [ -n "$1" ]; then
    answer=$(printf '%s' "$ask_address" | python_in 30 "$1" "$IMMICH_ML_ADDRESS/ping" 2>&1) && answers=yes || answers=no
  else
    answer=$(ask_address_beside) && answers=yes || answers=no
  fi
  if [ "$answers" = yes ]; then
    log "answers at $IMMICH_ML_ADDRESS"
    return
  fi
  message="the service does not answer at $IMMICH_ML_ADDRESS, though its tasks are healthy: $answer"
  log "$message"
  case $answer in
    *"not manually attachable"*)
      log "No task runs here, so the address is asked from a container, which cannot join this network: make it attachable, or check: warn" ;;
    *)
      log "A virtual address needs the kernel's IP virtual server on each node (modprobe ip_vs); without one, set swarm.endpointMode: dnsrr" ;;
  esac
  [ "$IMMICH_ML_MODE" = warn ] || fail "$message"
}

require_name "$IMMICH_ML_SERVICE" "the service's name"
log "waiting for the service's tasks to become healthy"
wait_for_rollout

# Former tasks may still be ending here, so only the containers of wanted ones count.
here=$(ask_docker ps --no-trunc --filter status=running \
  --filter "label=com.docker.swarm.service.name=$IMMICH_ML_SERVICE" \
  --format '{{.Label "com.docker.swarm.task.id"}} {{.ID}}' | clean)
containers=
other_nodes=
while IFS='|' read -r task _name node _rest; do
  container=$(printf '%s\n' "$here" | task=$task awk '$1 == ENVIRON["task"] { print $2; exit }')
  if [ -z "$container" ]; then
    other_nodes="$other_nodes $node"
  else
    require_name "$container" "a container's id"
    containers="$containers $container"
  fi
done <<END
$wanted
END
first=${containers# }
check_address "${first%% *}"
[ "$IMMICH_ML_MODE" != off ] || exit 0

[ -z "$other_nodes" ] ||
  log "not verified: the tasks on$other_nodes, whose engines are not reached from here"
if [ -z "$containers" ]; then
  message="not verified: no task runs on the engine reached, all are on$other_nodes"
  log "Set dockerHost to a manager that runs one; or, where you have checked the cards yourself, check: warn"
  [ "$IMMICH_ML_MODE" = warn ] || fail "$message"
fi

code=0
for container in $containers; do
  output=$(IMMICH_ML_CONTAINER=$container sh "$folder/check.sh") || code=$?
  printf '%s\n' "$output" | tail -n 1
done
exit "$code"
