# tests/app/tap.py
# SPDX-License-Identifier: MIT
"""TAP for tests that drive the program: each function named test_* is a case, its name the
sentence. A failed assertion fails the case; raise Skip to skip it with a reason."""
import sys
import traceback


class Skip(Exception):
    pass


def run(namespace):
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    cases = [(name[5:].replace("_", " "), case) for name, case in namespace.items()
             if name.startswith("test_")]
    cases = [(sentence, case) for sentence, case in cases if wanted in sentence]
    failed = 0
    print(f"1..{len(cases)}")
    for number, (sentence, case) in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {sentence}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {sentence} # SKIP {reason}", flush=True)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print(f"not ok {number} - {sentence}", flush=True)
    sys.exit(failed > 0)
