# Restarts the Immich server so that it sees settings written into its database, and waits until it
# answers. SERVER_CONTAINER: its container. CHANGED_AT: when a setting was altered last; empty when
# none was, then nothing is to be done. WHEN_MISSING: "fail" or "ignore". TIMEOUT: seconds.
set -eu

if [ -z "${CHANGED_AT}" ]; then
  echo "No setting has another effect than before: ${SERVER_CONTAINER} is not restarted."
  exit 0
fi
if ! state=$(docker inspect --format '{{.State.Status}}' "${SERVER_CONTAINER}" 2>&1); then
  if [ "${WHEN_MISSING}" = "ignore" ]; then
    echo "No container ${SERVER_CONTAINER} to restart (${state}); the next one starts with the new settings."
    exit 0
  fi
  echo "immich.serverContainer: ${SERVER_CONTAINER} cannot be looked at: ${state}" >&2
  echo "The settings are written. Restart the Immich server yourself, or correct the name and run again." >&2
  exit 1
fi
if [ "${state}" != "running" ]; then
  echo "${SERVER_CONTAINER} is ${state}: it reads the new settings when it is started."
  exit 0
fi

echo "Restarting ${SERVER_CONTAINER}: Immich reads settings from its database only at its start."
docker restart "${SERVER_CONTAINER}" >/dev/null

waited=0
# Without a health check, running is all that can be seen, and a server that fails at its start runs
# for a moment too: it must still run after some seconds.
seconds_without_check=6
while :; do
  now=$(docker inspect --format \
    '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' \
    "${SERVER_CONTAINER}")
  case "${now}" in
    "running healthy") break ;;
    "running none") if [ "${waited}" -ge "${seconds_without_check}" ]; then break; fi ;;
    exited* | dead*)
      echo "${SERVER_CONTAINER} does not come up again (${now}): docker logs ${SERVER_CONTAINER}" >&2
      exit 1
      ;;
  esac
  if [ "${waited}" -ge "${TIMEOUT}" ]; then
    echo "${SERVER_CONTAINER} did not answer within ${TIMEOUT} s (${now}): docker logs ${SERVER_CONTAINER}" >&2
    exit 1
  fi
  if [ $((waited % 10)) -eq 0 ]; then echo "${SERVER_CONTAINER}: ${now}, ${waited} s"; fi
  sleep 2
  waited=$((waited + 2))
done
echo "${SERVER_CONTAINER} is back after ${waited} s."
