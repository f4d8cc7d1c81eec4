#!/usr/bin/env bash
# Installs torch (without CUDA), transformers and what makes GGUF files into the private Python
# environment: the references of tools/oracle and `./dev bench quality`, and what a checkpoint needs
# to become llama.cpp's. Some hundred MB; the tests need none of it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${VSURGE_CACHE:-$HOME/.cache/vsurge}
data=${VSURGE_TEST_DATA:-$root/../shared}
pip="$cache/venv/bin/python -m pip install --quiet"
[ -x "$cache/venv/bin/python" ] || { echo "run ./dev setup first" >&2; exit 1; }
# Plain torch would bring gigabytes of CUDA packages; stubs stand in for what it imports of them.
$pip --no-deps torch==2.15.0
site=$("$cache/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
"$cache/venv/bin/python" "$data/peers/torch_cpu_stubs.py" "$site"
$pip filelock typing-extensions sympy networkx jinja2==3.1.6 fsspec transformers==5.23.0 \
  safetensors numpy tokenizers gguf sentencepiece
"$cache/venv/bin/python" -c 'import torch, transformers, gguf, sentencepiece'
