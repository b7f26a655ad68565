# Pushes an image to a registry. The last line of standard output is the reference by digest that nodes pull.
#   IMAGE       id of the image on the engine of DOCKER_HOST
#   REPOSITORY  such as registry.lan:5000/immich/rack
#   TAG         changes with the image
set -eu

# shellcheck source=verify/common.sh
. "$(dirname "$0")/../verify/common.sh"

docker image tag -- "$IMAGE" "$REPOSITORY:$TAG"
# A registry that has just been started refuses connections for a while.
attempt=1
while ! output=$(docker image push -- "$REPOSITORY:$TAG" 2>&1); do
  case $output in
    *'refused'* | *'EOF'*) ;;
    *) attempt=99 ;;
  esac
  if [ "$attempt" -ge 30 ]; then
    printf '%s\n' "$output" | tail -n 5 | clean >&2
    case $output in
      *'HTTP response to HTTPS'*)
        echo "The registry has no TLS: add it to insecure-registries in /etc/docker/daemon.json of every node." >&2 ;;
      *'authentication required'* | *'denied'* | *'no basic auth'*)
        echo "Log in on the machine that runs pulumi: docker login ${REPOSITORY%%/*}" >&2 ;;
    esac
    exit 1
  fi
  attempt=$((attempt + 1))
  sleep 2
done
reference=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' -- "$IMAGE" |
  grep -F -- "$REPOSITORY@" | head -n 1 | clean)
digest=${reference#"$REPOSITORY@sha256:"}
case $digest in
  '' | *[!0-9a-f]*)
    echo "Docker names no digest for $REPOSITORY: ${reference:-nothing}" >&2
    exit 1
    ;;
esac
printf '%s\n' "$reference"
