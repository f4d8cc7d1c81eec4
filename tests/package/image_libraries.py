"""Whether the container image has the libraries that the program is linked to: image_libraries.py
PROGRAM CONTAINERFILE

Each library that the program names must come from a package that the last stage of the
Containerfile installs, or from the compiler's runtime, which every Debian has or those packages
bring. Exit status 77, with why, where this is not the Debian of the image."""

import pathlib
import re
import subprocess
import sys

SKIP = 77
RUNTIME = {"libc6", "libgcc-s1", "libstdc++6"}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(program):
    """The files of those that it names itself."""
    named = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", program)))
    found = dict(re.findall(r"(\S+) => (\S+)", output("ldd", program)))
    found.update((path.rpartition("/")[2], path)
                 for path in re.findall(r"^\s+(/\S+)", output("ldd", program), re.M))
    return {name: found[name] for name in named}


def package_of(path):
    """By the path as it is told, or without /usr, where old packages have their files."""
    real = str(pathlib.Path(path).resolve())
    for one in (path, real, real.removeprefix("/usr")):
        done = subprocess.run(["dpkg", "-S", one], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    sys.exit(f"{path} is of no package")


def main():
    program, containerfile = sys.argv[1:]
    version = pathlib.Path("/etc/debian_version")
    if not version.exists() or not version.read_text().startswith("12"):
        skip("this is not Debian 12, of which the image is made")
    stage = pathlib.Path(containerfile).read_text().rpartition("\nFROM ")[2]
    installed = set(re.search(r"apt-get install -y \S+((?:\s|\\|[\w.+-])+?)\\\n &&",
                              stage).group(1).replace("\\", "").split())
    needed = {package_of(path): name for name, path in libraries(program).items()}
    missing = needed.keys() - installed - RUNTIME
    assert not missing, f"the image lacks {', '.join(sorted(missing))}"
    assert needed.keys() & installed, needed
    print(f"{len(needed)} packages: all are installed")


if __name__ == "__main__":
    main()
