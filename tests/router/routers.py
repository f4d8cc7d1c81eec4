"""Routers as others published them, in front of two of our servers; how each is started."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools" / "load"))
import served  # noqa: E402

PATIENCE_S = 60
# Of both Python packages, which have one origin. /ready turns to 503 when a server begins to
# drain; a server is taken back after two good probes. Their circuit breakers keep one out for a
# minute after ten failures, and SGLang's counts what clients do wrong (400) as such.
COMMON = ("--policy", "round_robin", "--health-check-endpoint", "/ready",
          "--health-check-interval-secs", "1", "--health-failure-threshold", "1",
          "--disable-circuit-breaker")
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 10m;
  upstream vsurge {{
    zone vsurge 64k;
    least_conn;
    {servers}
    keepalive 64;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://vsurge;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffering off;
      proxy_read_timeout 600s;
      proxy_next_upstream error timeout http_503 non_idempotent;
    }}
  }}
}}
"""


def environment():
    return served.cache_folder() / "venv-routers"


def package(name):
    """Why it cannot be started, or None."""
    program = environment() / "bin" / name
    return None if program.exists() else f"no {program} (./dev setup makes it)"


def sglang(port, metrics_port, urls, _):
    return [environment() / "bin/python", "-m", "sglang_router.launch_router", "--host",
            "127.0.0.1", "--port", port, "--prometheus-port", metrics_port, *COMMON,
            "--worker-urls", *urls]


def vllm(port, metrics_port, urls, _):
    return [environment() / "bin/vllm-router", "--host", "127.0.0.1", "--port", port,
            "--prometheus-port", metrics_port, *COMMON, "--worker-urls", *urls]


def nginx(port, _, urls, folder):
    servers = "\n    ".join(f"server {url.removeprefix('http://')} max_fails=1 fail_timeout=1s;"
                            for url in urls)
    path = pathlib.Path(folder) / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, port=port, servers=servers))
    return [nginx_program(), "-c", path, "-e", f"{folder}/error.log"]


def nginx_program():
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


ROUTERS = {
    "sglang": (sglang, lambda: package("sglang-router")),
    "vllm": (vllm, lambda: package("vllm-router")),
    "nginx": (nginx, lambda: None if nginx_program() else "no nginx (apt-get install nginx-light)"),
}


class Router:
    """Runs inside the `with` block, from the time at which it answers for a worker."""

    def __init__(self, name, port, metrics_port, urls, headers):
        self.name, self.port, self.headers = name, port, headers
        self.folder = tempfile.TemporaryDirectory()
        command = ROUTERS[name][0](port, metrics_port, urls, self.folder.name)
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL)

    def answers(self):
        url = f"http://127.0.0.1:{self.port}/v1/completions"
        body = b'{"model":"m","prompt":"x","max_tokens":1}'
        request = urllib.request.Request(
            url, body, {**self.headers, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def told(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def __enter__(self):
        end = time.monotonic() + PATIENCE_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                told = self.told()
                self.__exit__()
                raise AssertionError(f"{self.name} did not get ready: {told}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()
