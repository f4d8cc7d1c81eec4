#!/usr/bin/env python3
"""llama.cpp and ik_llama.cpp as peers: built once from their source packages, natively, into the
cache; and GGUF files of a checkpoint.

usage: llama_peer.py [--ik] FOLDER TYPE...    # builds llama.cpp (and ik), makes FOLDER-TYPE.gguf
"""

import functools
import os
import pathlib
import subprocess
import sys
import tarfile

# Source packages that hold the engine below vendor/: package, version, folder, kind of build.
LLAMA = ("llama-cpp-python", "0.3.36", "llama.cpp", "mainline")
IK = ("ik-llama-cpp-python", "0.1.5", "ik_llama.cpp", "ik")
MODEL = "models/smollm2-135m-instruct-q4_1.gguf"  # in the cache: the default model
NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def cache() -> pathlib.Path:
    return pathlib.Path(os.environ.get("VSURGE_CACHE", pathlib.Path.home() / ".cache/vsurge"))


def test_data() -> pathlib.Path:
    root = pathlib.Path(__file__).resolve().parents[2]
    return pathlib.Path(os.environ.get("VSURGE_TEST_DATA", root.parent / "shared"))


def environment(folder: pathlib.Path) -> dict:
    paths = [str(folder), os.environ.get("LD_LIBRARY_PATH", "")]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(filter(None, paths)))


def python() -> str:
    """The private environment's, which has what converting a checkpoint needs; else this one."""
    private = cache() / "venv/bin/python"
    return str(private) if private.exists() else sys.executable


def source(engine=LLAMA) -> pathlib.Path:
    package, version, name, _ = engine
    folder = cache() / "peers/src"
    unpacked = folder / f"{package.replace('-', '_')}-{version}"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([python(), "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
                        package, "-d", folder, f"{package}=={version}"],
                       check=True, stdout=sys.stderr)
        with tarfile.open(f"{unpacked}.tar.gz") as archive:
            archive.extractall(folder)
    return unpacked / "vendor" / name


def build(name: str, flags: str, engine=LLAMA) -> pathlib.Path:
    """The folder of the programs; builds them when they are not there."""
    folder = cache() / "peers" / name
    if not (folder / "bin/llama-bench").exists():
        script = test_data() / "peers/build_llama.sh"
        if not script.exists():
            sys.exit(f"{script}: not there; it builds the peer (VSURGE_TEST_DATA)")
        print(f"building {engine[2]} {flags}: some minutes, once", file=sys.stderr)
        subprocess.run(["bash", script, source(engine), folder, engine[3]], check=True,
                       stdout=sys.stderr, env=dict(os.environ, CFLAGS=flags, CXXFLAGS=flags))
    return folder / "bin"


def runs(folder: pathlib.Path) -> bool:
    """Whether its llama-bench does the default model: AMX code ends the process on some virtual
    machines."""
    trial = subprocess.run([folder / "llama-bench", "-m", cache() / MODEL, "-p", "64", "-n", "1",
                            "-r", "1"], env=environment(folder), capture_output=True)
    if trial.returncode != 0:
        print(f"{folder}/llama-bench ends with {trial.returncode}; taking a build without AMX",
              file=sys.stderr)
    return trial.returncode == 0


@functools.cache
def binaries() -> pathlib.Path:
    """A native build; without AMX where its AMX code fails."""
    folder = build("llama", "")
    return folder if runs(folder) else build("llama-no-amx", NO_AMX)


@functools.cache
def ik_binaries() -> pathlib.Path:
    return build("ik", "", IK)


def convert(folder: pathlib.Path, types) -> None:
    """Makes FOLDER-TYPE.gguf of a Hugging Face folder, for those types that are not there."""
    if all(gguf(folder, name).exists() for name in types):
        return
    script = test_data() / "peers/gguf_convert.sh"
    # The script's `python` has to find the packages of the private environment.
    env = environment(binaries())
    env["PATH"] = f"{pathlib.Path(python()).parent}:{env['PATH']}"
    subprocess.run(["bash", script, source(), binaries().parent, folder, folder,
                    *(name for name in types if name != "BF16")], check=True, env=env,
                   stdout=sys.stderr)


def gguf(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder.with_name(f"{folder.name}-{name}.gguf")


def main(words):
    if words[:1] == ["--ik"]:
        words = words[1:]
        ik_binaries()
    if not words:
        sys.exit(__doc__)
    binaries()
    convert(pathlib.Path(words[0]), words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
