# Removes the image that a host pulled once nothing needs it any more, unless it was there before.
#   pulledImage.sh before    before it is pulled: prints whether the engine has it: present, absent or unknown
#   pulledImage.sh after     removes it where that said absent (PULUMI_COMMAND_STDOUT)
#   IMAGE                    its reference
# An image that something else uses stays, and so does one of an engine that does not answer.
set -eu

# shellcheck source=verify/common.sh
. "$(dirname "$0")/../verify/common.sh"

case $1 in
  before)
    if answer=$(ask_docker image inspect --format '{{.Id}}' -- "$IMAGE" 2>&1); then
      echo present
    else
      case $answer in
        *[Nn]'o such image'*) echo absent ;;
        *) echo unknown ;;
      esac
    fi
    ;;
  after)
    [ "${PULUMI_COMMAND_STDOUT:-}" = absent ] || exit 0
    # Without force: it fails where a container of somebody else uses it.
    answer=$(limited 120 docker image rm -- "$IMAGE" 2>&1 </dev/null) ||
      printf 'the image %s stays: %s\n' "$IMAGE" "$(printf '%s\n' "$answer" | tail -n 1)" | clean >&2
    ;;
esac
