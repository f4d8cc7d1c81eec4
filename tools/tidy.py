#!/usr/bin/env python3
"""Form checks over the whole tree: layers, lengths, words, layout. `./dev tidy` and ctest run it.

    tidy.py [--root DIR]        all rules over the sources
    tidy.py --nm BUILD_DIR      that ISA units export one symbol (needs their objects)
    tidy.py --update            lower the ratchet to today's lengths (it never raises it)

Prints `path:line: rule: message` for each fault; exit status 1 when there is one.
"""

import argparse
import pathlib
import sys

from tidy_rules import form, includes, layout, symbols, tries, words
from tidy_rules.tree import Tree


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--nm", type=pathlib.Path, metavar="BUILD_DIR")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()

    tree = Tree(args.root)
    if args.nm:
        faults = symbols.check(tree, args.nm)
    else:
        if args.update:
            form.update_ratchet(tree)
        faults = []
        for rules in (includes, form, words, layout, tries):
            faults += rules.check(tree)
    for fault in sorted(faults):
        print(fault)
    print(f"tidy: {len(faults)} faults" if faults else "tidy: clean")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
