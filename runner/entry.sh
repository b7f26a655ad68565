#!/bin/sh
# The first process of the runner: makes it look like the user's machine and runs the command as that user.
set -eu
home=$IMMICH_ML_HOME

# The stacks' Pulumi.yaml names the program by its path on the user's machine.
main=$(sed -n 's/^main: "\(.*\)"$/\1/p' "$home/Pulumi.yaml" 2>/dev/null || :)
main=${main:-$IMMICH_ML_CHECKOUT}
[ -e "$main" ] || { mkdir -p "$(dirname "$main")" && ln -s /immich-ml "$main"; }

if [ -z "${PULUMI_CONFIG_PASSPHRASE+set}${PULUMI_CONFIG_PASSPHRASE_FILE+set}" ]; then
  export PULUMI_CONFIG_PASSPHRASE_FILE="$home/passphrase"
fi
export PULUMI_STACK="${PULUMI_STACK:-home}"

command=$1
shift
case $command in
  up | preview | down | status | report | forget | recover)
    if ! [ -f "$home/Pulumi.yaml" ]; then
      printf 'immich-ml: there is no stack in %s yet: ./immich-ml setup\n' "$home" >&2
      exit 1
    fi
    ;;
esac
typescript="node --require /immich-ml/loadTypeScript.cjs /immich-ml"
# Only what asks every host of the state is stopped by one that is off.
case $command\ $*\  in
  down\ * | up\ *' --refresh'* | up\ *' -r '* | preview\ *' --refresh'* | preview\ *' -r '*)
    engine=$typescript/cli/engine.ts
    ;;
  *) engine=pulumi ;;
esac
# shellcheck disable=SC2086 # lists of words
case $command in
  up | preview) set -- $engine "$command" "$@" ;;
  down) set -- $engine destroy "$@" ;;
  pulumi) set -- pulumi "$@" ;;
  report) set -- $typescript/cli/report/report.ts "$@" ;;
  setup) set -- $typescript/setup/setup.ts "$@" ;;
  *) set -- $typescript/cli/$command.ts "$@" ;;
esac

# A run that was killed leaves a lock, or operations that every later run would warn of.
is_interrupted() {
  [ -n "$(find "$home/.pulumi/locks" -name '*.json' 2>/dev/null)" ] ||
    grep -qs '"pending_operations"' "$home"/.pulumi/stacks/*/"$PULUMI_STACK".json
}
case $command in
  up | down)
    ! is_interrupted ||
      set -- sh -c "$typescript"'/cli/recover.ts >&2 && exec "$@"' sh "$@"
    ;;
esac

[ -n "$IMMICH_ML_USER" ] || exec "$@"
uid=${IMMICH_ML_USER%:*} gid=${IMMICH_ML_USER#*:}
# ssh looks its user up.
getent passwd "$uid" >/dev/null || echo "owner:x:$uid:$gid::$HOME:/bin/sh" >>/etc/passwd
groups=$gid
case $DOCKER_HOST in unix://*) groups=$gid,$(stat -c %g "${DOCKER_HOST#unix://}") ;; esac
exec setpriv --reuid "$uid" --regid "$gid" --groups "$groups" "$@"
