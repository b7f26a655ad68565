# Copies models from a folder of this machine into a cache volume, then checks every file there. Leaves
# everything else in the volume as it is. Needs the docker command-line client. Reads the environment:
#   FOLDER  the models, laid out as in Immich's cache, with a file SHA256SUMS as sha256sum writes it
#   VOLUME  the cache volume
#   IMAGE   an image with sh and sha256sum: the one the service runs
set -eu

container=$(docker create --entrypoint sh --volume "$VOLUME:/cache" "$IMAGE" \
  -c 'cd /cache && sha256sum --quiet --check SHA256SUMS')
trap 'docker rm --force "$container" >/dev/null' EXIT

echo "copying $(du -sh "$FOLDER" | cut -f 1) from $FOLDER into the volume $VOLUME" >&2
# Owned by root: the server's root has no capability to write into folders of others.
tar -C "$FOLDER" --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX -cf - . | docker cp - "$container:/cache"

echo "checking the files in the volume" >&2
if ! docker start --attach "$container" >&2; then
  echo "these files in $VOLUME do not match $FOLDER/SHA256SUMS: repair the folder, then run it again" >&2
  exit 1
fi
wc -l <"$FOLDER/SHA256SUMS" | tr -d ' '
