#!/bin/sh
# Installs a hash lock without build tools and leaves only what the server loads.
#
#   install.sh cuda   LOCK DIRECTORY   NVIDIA's wheels, shared libraries only
#   install.sh python LOCK DIRECTORY   a virtual environment
#
# Reads PACKAGE_INDEX (may be empty).
set -eu
kind=$1 lock=$2 directory=$3

set -- --require-hashes --no-deps --only-binary :all: --no-input --timeout 120 --retries 5 \
  --disable-pip-version-check --root-user-action ignore --progress-bar off --requirement "$lock"
if [ -n "$PACKAGE_INDEX" ]; then
  set -- "$@" --index-url "$PACKAGE_INDEX"
fi

# A broken download ends pip. What it finished is in its cache for the next attempt.
retry() {
  "$@" || "$@" || "$@"
}

case $kind in
cuda)
  retry python3 -m pip install "$@" --no-compile --target "$directory"
  # Inference loads neither cuDNN 8's training libraries nor C headers and static libraries.
  find "$directory" -name '*_train.so*' -delete
  find "$directory" -type d -name include -prune -exec rm -rf {} +
  find "$directory" -name '*.a' -delete
  # Replacements for a Fortran BLAS and for FFTW: no provider links them.
  find "$directory" \( -name 'libnvblas.so*' -o -name 'libcufftw.so*' \) -delete
  ;;
python)
  python3 -m venv "$directory"
  retry "$directory/bin/python" -m pip install "$@"
  "$directory/bin/python" -m pip uninstall --yes --quiet --disable-pip-version-check pip setuptools
  packages=$("$directory/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  find "$packages" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
  # Not '*.pyi': scikit-image, which insightface needs, reads its own when it is imported.
  find "$packages" \( -name '*.a' -o -name '*.h' -o -name '*.pxd' \) -delete
  # ONNX Runtime's tools for optimising and quantising models, and the provider that needs TensorRT.
  rm -rf "$packages/onnxruntime/transformers" "$packages/onnxruntime/quantization" \
    "$packages/onnxruntime/tools" "$packages/onnxruntime/capi/libonnxruntime_providers_tensorrt.so"
  ;;
*)
  echo "install.sh: $kind is neither cuda nor python" >&2
  exit 2
  ;;
esac
