"""llama.cpp as a peer: built once from its source package, natively, into the cache."""
import os
import pathlib
import subprocess
import sys
import tarfile

VERSION = "0.3.36"  # of the Python source package llama-cpp-python, which holds llama.cpp


def cache() -> pathlib.Path:
    return pathlib.Path(os.environ.get("VSURGE_CACHE", pathlib.Path.home() / ".cache/vsurge"))


def test_data() -> pathlib.Path:
    root = pathlib.Path(__file__).resolve().parents[2]
    return pathlib.Path(os.environ.get("VSURGE_TEST_DATA", root.parent / "shared"))


def binaries() -> pathlib.Path:
    """The folder with llama-bench and its kin; builds them when they are not there."""
    build = cache() / "peers/llama"
    if (build / "bin/llama-bench").exists():
        return build / "bin"
    script = test_data() / "peers/build_llama.sh"
    if not script.exists():
        sys.exit(f"{script}: not there; it builds the peer (VSURGE_TEST_DATA)")
    source = cache() / "peers/src"
    source.mkdir(parents=True, exist_ok=True)
    name = "llama-cpp-python"
    print(f"building llama.cpp of {name} {VERSION}: some minutes, once", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name,
                    "-d", source, f"{name}=={VERSION}"], check=True, stdout=sys.stderr)
    folder = source / f"{name.replace('-', '_')}-{VERSION}"
    with tarfile.open(f"{folder}.tar.gz") as archive:
        archive.extractall(source, filter="data")
    subprocess.run(["bash", script, folder / "vendor/llama.cpp", build, "mainline"], check=True,
                   stdout=sys.stderr)
    return build / "bin"


def environment() -> dict:
    folder = str(binaries())
    return dict(os.environ, LD_LIBRARY_PATH=folder + ":" + os.environ.get("LD_LIBRARY_PATH", ""))
