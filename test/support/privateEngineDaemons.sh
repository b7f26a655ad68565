# Runs the daemons of a private engine (see privateEngine.sh).
#
# Usage: sh privateEngineDaemons.sh FOLDER [ROOT]
# With ROOT that becomes the root of the mount namespace. A chroot is not enough: whoever enters a
# container's namespaces, as `docker exec` does, would come out in the file system around it.
set -eu
folder=$1
if [ -n "${2:-}" ]; then
  cd "$2"
  pivot_root . old
  cd /
  # For what this script itself needs.
  PATH="$PATH:/old/usr/bin:/old/bin"
fi

# Its own containerd, because a shared one would not see this namespace's files.
containerd --config "$folder/containerd/config.toml" --log-level warn &
# It comes back by itself, as a service of systemd's does.
while :; do
  dockerd --config-file "$folder/daemon.json" \
    --containerd "$folder/containerd/socket" --host "unix://$folder/docker.sock" \
    --data-root "$folder/data/docker" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" \
    --iptables=false --ip-masq=false \
    --default-address-pool "base=${ENGINE_ADDRESSES:-10.213.0.0/16},size=24" || true
  sleep 2
done
