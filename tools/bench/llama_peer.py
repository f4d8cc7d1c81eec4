"""llama.cpp as a peer: built once from its source package, natively, into the cache."""

import functools
import os
import pathlib
import subprocess
import sys
import tarfile

PACKAGE = "llama-cpp-python"  # its source package holds llama.cpp
VERSION = "0.3.36"
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


def source() -> pathlib.Path:
    folder = cache() / "peers/src"
    unpacked = folder / f"{PACKAGE.replace('-', '_')}-{VERSION}"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
                        PACKAGE, "-d", folder, f"{PACKAGE}=={VERSION}"],
                       check=True, stdout=sys.stderr)
        with tarfile.open(f"{unpacked}.tar.gz") as archive:
            archive.extractall(folder)
    return unpacked / "vendor/llama.cpp"


def build(name: str, flags: str) -> pathlib.Path:
    """The folder of the programs; builds them when they are not there."""
    folder = cache() / "peers" / name
    if not (folder / "bin/llama-bench").exists():
        script = test_data() / "peers/build_llama.sh"
        if not script.exists():
            sys.exit(f"{script}: not there; it builds the peer (VSURGE_TEST_DATA)")
        print(f"building llama.cpp {flags}: some minutes, once", file=sys.stderr)
        subprocess.run(["bash", script, source(), folder, "mainline"], check=True,
                       stdout=sys.stderr, env=dict(os.environ, CFLAGS=flags, CXXFLAGS=flags))
    return folder / "bin"


@functools.cache
def binaries() -> pathlib.Path:
    """A native build; without AMX where its AMX code ends the process (seen on some virtual
    machines)."""
    folder = build("llama", "")
    trial = subprocess.run([folder / "llama-bench", "-m", cache() / MODEL, "-p", "64", "-n", "1",
                            "-r", "1"], env=environment(folder), capture_output=True)
    if trial.returncode == 0:
        return folder
    print(f"llama-bench ends with {trial.returncode}; taking a build without AMX", file=sys.stderr)
    return build("llama-no-amx", NO_AMX)
