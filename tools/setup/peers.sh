#!/usr/bin/env bash
# Installs the engines that `./dev bench cpu` compares with, and makes each one's form of the random
# checkpoint. Nothing here is needed to build, to test or to serve.
#
# usage: peers.sh [--shape qwen3-0.6b|qwen3-1.7b] [llama ik openvino ctranslate2 onnxruntime vllm]
#
# No name: all of them. Each has a folder below VSURGE_CACHE/peers, models lie in
# VSURGE_CACHE/models; what is there already is left as it is. About 9 GB and half an hour in all. A
# peer that cannot be installed is told, with the end of its log, and skipped; the status is then 1.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${VSURGE_CACHE:-$HOME/.cache/vsurge}
data=${VSURGE_TEST_DATA:-$root/../shared}
peers=$cache/peers
shape=qwen3-0.6b
names=()
one= # --one NAME, from this script itself: install it and let every error end the process
while [ $# -gt 0 ]; do
  case "$1" in
    --shape) shape=${2:?--shape needs a name}; shift ;;
    --one) one=$2; shift ;;
    -*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) names+=("$1") ;;
  esac
  shift
done
[ ${#names[@]} -gt 0 ] || names=(llama ik openvino ctranslate2 onnxruntime vllm)
model=$cache/models/$shape-random
[ -f "$data/peers/make_random_model.py" ] ||
  { echo "peers: $data/peers: not there (VSURGE_TEST_DATA)" >&2; exit 1; }
mkdir -p "$peers" "$cache/models" "$cache/logs"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PIP_DISABLE_PIP_VERSION_CHECK=1

# virtual NAME: an empty environment below peers/, if there is none.
virtual() { [ -x "$peers/$1/bin/pip" ] || python3 -m venv "$peers/$1"; }
pip_in() { "$peers/$1/bin/python" -m pip install --quiet "${@:2}"; }
# Whether NAME's environment can do this Python line.
works() { "$peers/$1/bin/python" -c "$2" 2>/dev/null; }

# torch_in NAME VERSION: torch for the CPU; the published package wants gigabytes of CUDA packages,
# for which stubs stand in.
torch_in() {
  works "$1" "import torch; assert torch.__version__.startswith('$2')" && return
  pip_in "$1" --no-deps "torch==$2"
  "$peers/$1/bin/python" "$data/peers/torch_cpu_stubs.py" \
    "$("$peers/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  pip_in "$1" setuptools filelock typing-extensions sympy networkx jinja2 fsspec
}

# make FOLDER COMMAND...: runs the command, which writes FOLDER.part, unless FOLDER is there.
make() {
  [ -e "$1" ] && return
  rm -rf "$1.part"
  "${@:2}"
  mv "$1.part" "$1"
}

install_checkpoint() {
  [ -f "$model/model.safetensors" ] && return
  virtual checkpoint
  pip_in checkpoint numpy==2.4.6 ml_dtypes==0.6.0 safetensors==0.8.0
  "$peers/checkpoint/bin/python" "$data/peers/make_random_model.py" "$shape" "$model" \
    --tokenizer "$data/tokenizers/qwen3"
}

converts() { "$cache/venv/bin/python" -c "import torch, transformers, gguf, sentencepiece"; }
install_llama() {
  converts 2>/dev/null || "$root/tools/setup/oracle.sh"
  python3 "$root/tools/bench/llama_peer.py" "$model" BF16 Q8_0 Q4_0 Q4_K_M
}
install_ik() {
  converts 2>/dev/null || "$root/tools/setup/oracle.sh"
  python3 "$root/tools/bench/llama_peer.py" --ik "$model" BF16 Q8_0 Q4_0
}

install_openvino() {
  local out
  virtual openvino
  torch_in openvino 2.15.0
  works openvino "import openvino_genai, optimum.intel, nncf" ||
    pip_in openvino openvino-genai==2026.4.1.0 openvino==2026.4.1 openvino-tokenizers==2026.4.1.0 \
      "optimum-intel[openvino]==2.2.0" nncf==3.4.0
  export_ov() { # NAME OPTIONS...
    out=$model-ov-$1
    make "$out" env PATH="$peers/openvino/bin:$PATH" optimum-cli export openvino -m "$model" \
      --task text-generation-with-past --weight-format "${@:2}" "$out.part"
  }
  export_ov int8 int8
  export_ov int4 int4 --group-size 128 --sym --ratio 1.0
  export_ov bf16 fp16 # it computes in bf16, but cannot store that
}

install_ctranslate2() {
  virtual ctranslate2
  works ctranslate2 "import ctranslate2" || pip_in ctranslate2 ctranslate2==4.8.5 numpy
  [ -e "$model-ct2-int8" ] && return
  torch_in ctranslate2 2.15.0
  pip_in ctranslate2 transformers==5.23.0
  make "$model-ct2-int8" "$peers/ctranslate2/bin/ct2-transformers-converter" --model "$model" \
    --output_dir "$model-ct2-int8.part" --quantization int8
}

install_onnxruntime() {
  virtual onnxruntime
  works onnxruntime "import onnxruntime_genai, onnx_ir" || pip_in onnxruntime \
    onnxruntime-genai==0.18.0 onnxruntime==1.31.1 onnx==1.23.2 onnx-ir==1.1.0 numpy
  [ -e "$model-ort-int4" ] && return
  torch_in onnxruntime 2.15.0
  pip_in onnxruntime transformers==5.23.0
  make "$model-ort-int4" "$peers/onnxruntime/bin/python" -m onnxruntime_genai.models.builder \
    -i "$model" -o "$model-ort-int4.part" -p int4 -e cpu -c "$peers/onnxruntime/cache" \
    --extra_options int4_accuracy_level=4
}

install_vllm() {
  virtual vllm
  works vllm "import vllm" || bash "$data/peers/install_vllm_cpu.sh" "$peers/vllm"
  [ -d "$peers/zentorch/zentorch" ] ||
    pip_in vllm --no-deps zentorch==2.13.0.1 --target "$peers/zentorch"
  pip_in vllm deprecated
}

if [ -n "$one" ]; then
  "install_$one"
  exit
fi
failed=no
for name in checkpoint "${names[@]}"; do
  echo "==> $name" >&2
  log=$cache/logs/peer-$name.log
  if [ "$(type -t "install_$name")" != function ]; then
    echo "peers: no peer is called $name" >&2
    failed=yes
  elif ! "$0" --shape "$shape" --one "$name" >"$log" 2>&1 </dev/null; then
    # A process of its own for each: inside a condition, set -e would not hold.
    failed=yes
    echo "peers: $name is skipped; the end of $log:" >&2
    tail -n 12 "$log" | sed 's/^/    /' >&2
  fi
done
[ $failed = no ]
