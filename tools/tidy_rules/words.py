"""Words and headers that have no place, or only certain places."""

import dataclasses
import re

from .tree import Fault, Tree, is_test


@dataclasses.dataclass(frozen=True)
class Word:
    pattern: re.Pattern
    why: str
    where: re.Pattern          # paths it is banned in
    places: tuple[str, ...] = ()  # prefixes of paths where it is right all the same
    tests: bool = True         # tests may


def _word(pattern, why, where=r"src/|apps/|include/", places=(), tests=True) -> Word:
    return Word(re.compile(pattern), why, re.compile(where), places, tests)


# In C++, looked for outside comments and strings.
CODE = [
    _word(r"#\s*include\s*<(thread|mutex|shared_mutex|condition_variable|future|stop_token|latch|"
          r"barrier|semaphore)>",
          "threads and locks live in base, engine.cc, watchdog, access, api, server and facade",
          r"src/|include/",
          ("src/base/", "src/engine/engine.cc", "src/engine/watchdog.",
           "src/access/", "src/api/", "src/server/", "src/facade/")),
    _word(r"#\s*include\s*<atomic>", "no atomics in kernels", r"src/kernels/"),
    _word(r"\b(secure_)?getenv\b", "environment variables are read in apps/ alone",
          r"src/|include/"),
    # A private constructor is out of make_unique's reach: unique_ptr<T> x(new T) is fine.
    _word(r"^(?!.*(unique_ptr<|\bstate_\()).*\bnew\s+\w",
          "owners are containers and unique_ptr"),
    _word(r"(?<!=\s)(?<!=)\bdelete\b", "owners are containers and unique_ptr",
          r"src/(?!.*operator)|apps/|include/"),
    _word(r"\b(malloc|calloc|realloc)\s*\(|\bstd::free\s*\(",
          "owners are containers and unique_ptr", r"src/|include/"),
    _word(r"\bthrow\b", "errors are values; only the facade throws",
          places=("src/facade/", "include/", "apps/", "src/engine/failpoint.cc")),
    _word(r"\busing\s+namespace\s+std\s*;", "names of std are spelled out", r".", tests=False),
    _word(r"#\s*include\s*<(format|print|mdspan|generator)>", "not in g++ 12", r".", tests=False),
    _word(r"#\s*include\s*<regex>", "std::regex recurses on its input"),
    _word(r"#\s*include\s*<iostream>", "static initialisers; use the log, or stdio in apps/",
          r"src/|include/"),
    _word(r"\b(s?rand|drand48|mt19937(_64)?)\b", "random numbers come from (seed, position)",
          places=("src/access/secret.cc",)),
    _word(r"\brandom_device\b", "only ids and default seeds are drawn, at the door",
          places=("src/api/", "apps/")),
    _word(r"\b(atoi|atol|atof|stoi|stol|stoll|stoul|stoull|stof|stod)\s*\(",
          "throws or hides errors; use from_chars"),
    _word(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\(", "has no bound", r"."),
    _word(r"\bsystem_clock\b", "time is injected (base/clock.h)", places=("src/base/",)),
    _word(r"\bthread_local\b", "state belongs to an object", places=("src/base/",)),
    _word(r"\bdynamic_pointer_cast|\bdynamic_cast\b", "say what is there with a value"),
    _word(r"__FILE_NAME__|__builtin_cpu_supports", "cpu features are chosen in one place",
          places=("src/base/", "src/kernels/", "src/tensor/")),
]

# In every text, comments included. Spelled in pieces, so that this file holds none of them.
_LEFTOVER = r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b"
_MACHINE = r"(?:^|[^a-zA-Z0-9_.$}{/-])/(wo" r"rk|fa" r"rm|ro" r"ot|ho" r"me)/[A-Za-z]"
_REGISTRY = (r"https?://[a-z.-]*(pyth" r"onhosted|npm" r"js|py" r"pi|cra" r"tes|proxy\.gol" r"ang|"
             r"deb" r"ian)\b")
TEXT = [
    _word(_LEFTOVER, "leftover", r".", tests=False),
    _word(_MACHINE, "path of one machine", r".", tests=False),
    _word(_REGISTRY, "address of a package registry", r".", tests=False),
]
# Builds must give the same program everywhere.
BUILD = [
    _word(r"-m(arch|tune|cpu)=nat" r"ive", "the program must run on other machines too",
          r"CMake|cmake/|\.cmake$|dev$|tools/", tests=False),
    _word(r"-f(fast-math|associative-math|unsafe-math)|-Ofa" r"st", "same bytes need exact rules",
          r"CMake|cmake/|\.cmake$|tools/", tests=False),
]
LOCKS = ("Cargo.lock", "package-lock.json")
# Data, not text of ours: goldens and corpora may quote anything.
DATA = re.compile(r"(^|/)(corpus|golden|goldens|testdata)/"
                  r"|\.(json|jsonl|jinja|bin|safetensors|gguf)$")


def check(tree: Tree) -> list[Fault]:
    faults = []
    for path in tree.paths:
        if path.endswith(LOCKS) or tree.text(path) is None:
            continue
        if path in tree.cpp:
            faults += _look(path, tree.code_lines(path), CODE)
        if not DATA.search(path):
            faults += _look(path, tree.lines(path), TEXT)
        if not path.startswith("tools/tidy_rules/"):
            faults += _look(path, tree.lines(path), BUILD)
    return faults


def _look(path: str, lines: list[str], words: list[Word]) -> list[Fault]:
    faults = []
    for word in words:
        if not word.where.match(path) and not word.where.search(path):
            continue
        if path.startswith(word.places) if word.places else False:
            continue
        if word.tests and is_test(path):
            continue
        for number, line in enumerate(lines, 1):
            match = word.pattern.search(line)
            if match:
                faults.append(Fault(path, number, "word", f"'{match.group().strip()}': {word.why}"))
    return faults
