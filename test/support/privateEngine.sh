# Starts a Docker engine of its own that sees devices this machine does not have.
#
# Usage: unshare --mount --net --propagation private sh privateEngine.sh FOLDER
# It has a network of its own too: an engine without a bridge deletes the docker0 it finds.
# Only inside this mount namespace, /dev has stand-ins for the device nodes of every accelerator and
# /usr/lib the files of their drivers. An nvidia-container-runtime-hook that does nothing makes the
# engine accept requests for NVIDIA GPUs.
set -eu
folder=$1
ip link set lo up
mkdir -p "$folder/dev" "$folder/lib" "$folder/bin"

mount -t tmpfs tmpfs "$folder/dev"
for node in null zero full random urandom tty fd stdin stdout stderr ptmx; do
  [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$folder/dev/"
done
mkdir -p "$folder/dev/pts" "$folder/dev/shm" "$folder/dev/dri" "$folder/dev/bus/usb/001"
mount --bind /dev/pts "$folder/dev/pts"
mount --bind /dev/shm "$folder/dev/shm"
# Character devices 1:3 are /dev/null by another name.
for node in mali0 kfd dxg; do mknod "$folder/dev/$node" c 1 3; done
mknod "$folder/dev/dri/card0" c 226 0
mknod "$folder/dev/dri/renderD128" c 226 128
mknod "$folder/dev/bus/usb/001/001" c 189 0
mount --rbind "$folder/dev" /dev

mount -t tmpfs tmpfs "$folder/lib"
mkdir -p "$folder/lib/upper/firmware" "$folder/lib/upper/wsl/lib" "$folder/lib/work"
echo stand-in >"$folder/lib/upper/libmali.so"
echo stand-in >"$folder/lib/upper/firmware/mali_csffw.bin"
mount -t overlay overlay \
  -o "lowerdir=/usr/lib,upperdir=$folder/lib/upper,workdir=$folder/lib/work" /usr/lib

printf '#!/bin/sh\nexit 0\n' >"$folder/bin/nvidia-container-runtime-hook"
chmod +x "$folder/bin/nvidia-container-runtime-hook"

# Its own containerd, because a shared one would not see this namespace's files.
PATH="$folder/bin:$PATH"
export PATH
mkdir -p "$folder/containerd"
cat >"$folder/containerd/config.toml" <<END
version = 2
root = "$folder/containerd/root"
state = "$folder/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$folder/containerd/socket"
END
containerd --config "$folder/containerd/config.toml" --log-level warn &
containerd=$!
dockerd --containerd "$folder/containerd/socket" --host "unix://$folder/docker.sock" \
  --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" \
  --bridge "${ENGINE_BRIDGE-none}" --iptables=false --ip-masq=false \
  --insecure-registry 10.77.0.0/24 \
  --default-address-pool "base=${ENGINE_ADDRESSES:-10.213.0.0/16},size=24" &
dockerd=$!
# Ends when its standard input closes, which it does with whoever started it.
cat >/dev/null
kill "$dockerd"
wait "$dockerd" || true
kill "$containerd"
wait "$containerd" || true
