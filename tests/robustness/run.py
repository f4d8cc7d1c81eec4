"""The rows of the catalogue of robustness, against a real server: run.py PROGRAM GROUP [FILTER]
GROUP: a key of GROUPS below; FILTER: the beginning of row ids, such as J04

After every row what harness.py lists must hold. What cannot apply is said aloud, with why."""

import sys
import tempfile
import time
import traceback

import harness
import rows_audit
import rows_crash
import rows_crowd
import rows_fields
import rows_http
import rows_json
import rows_listen
import rows_manager
import rows_models
import rows_overload
import rows_process
import rows_template
import rows_text
import rows_tls
import tiny_model

GROUPS = {"json": rows_json, "fields": rows_fields, "text": rows_text, "template": rows_template,
          "http": rows_http, "crowd": rows_crowd, "tls": rows_tls, "process": rows_process,
          "listen": rows_listen, "manager": rows_manager, "models": rows_models,
          "overload": rows_overload, "audit": rows_audit, "crash": rows_crash}


def run_row(server, row):
    """The fault, or None."""
    try:
        row.act(server)
        server.check(f"{row.id} {row.what}")
    except Exception as error:  # noqa: BLE001: whatever a row meets is its fault
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} ({where.name}:{where.lineno}): {error}"
    return None


def run(program, group, wanted):
    module = GROUPS[group]
    if why := getattr(module, "unfit", lambda: None)():
        print(f"skipped: {why}")
        return harness.served.SKIP
    options = getattr(module, "OPTIONS", ())
    begin = time.monotonic()
    count, faults = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(folder)
        tls = None
        if hasattr(module, "prepare"):
            options, tls = module.prepare(folder)
        size = getattr(module, "SIZE", harness.SIZE)
        model = getattr(module, "name_model", str)(model)
        harness.Server.headers = getattr(module, "HEADERS", ())
        with harness.Server(program, model, options, tls=tls, size=size) as server:
            for row in module.rows(server):
                if not row.id.startswith(wanted):
                    continue
                count += 1
                if fault := run_row(server, row):
                    faults += 1
                    print(f"FAILED {row.id} {row.what}: {fault[:1200]}")
                if server.process.poll() is not None:
                    break
            server.check_end()
    for id, why in getattr(module, "SKIPPED", {}).items():
        print(f"skipped {id}: {why}")
    print(f"{group}: {count} rows, {faults} faults, {time.monotonic() - begin:.1f} s; slowest "
          f"sentinel {server.slowest_sentinel_s * 1000:.0f} ms after {server.slowest_row}; "
          f"{server.grown_mib:+.0f} MiB")
    return 0 if faults == 0 and count > 0 else 1


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:3], sys.argv[3] if len(sys.argv) > 3 else ""))
