"""Who is refused comes back: four unpatched clients, with their own retries, meet a full queue.
test_retries.py BASE_URL

Each counts the answers it gets: 429 and, when the queue is empty again, 200; and one 400 for what
no retry mends. The clients for Node are left out where there is no Node."""

import json
import pathlib
import shutil
import subprocess
import sys
import threading
import urllib.request

import anthropic
import openai
import overload

HERE = pathlib.Path(__file__).resolve().parent
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def ask_openai(base_url, model, temperature, hear):
    hooks = {"response": [lambda answer: hear(answer.status_code)]}
    client = openai.OpenAI(base_url=base_url, api_key="none",
                           http_client=openai.DefaultHttpxClient(event_hooks=hooks))
    try:
        client.chat.completions.create(model=model, messages=QUESTION, max_tokens=2,
                                       temperature=temperature)
    except openai.BadRequestError as error:
        assert error.param == "temperature", error.body


def ask_anthropic(base_url, model, temperature, hear):
    hooks = {"response": [lambda answer: hear(answer.status_code)]}
    client = anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key="none",
                                 http_client=anthropic.DefaultHttpxClient(event_hooks=hooks))
    try:
        client.messages.create(model=model, messages=QUESTION, max_tokens=2,
                               extra_body={"temperature": temperature})
    except anthropic.BadRequestError as error:
        assert "temperature" in str(error), error


def ask_node(name):
    def ask(base_url, model, temperature, hear):
        command = ["node", str(HERE / "retries.mjs"), name, base_url, model, str(temperature)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                hear(int(line))
        assert process.returncode == 0, f"{name} for Node: {process.returncode}"

    return ask


def clients():
    found = {"openai": ask_openai, "anthropic": ask_anthropic}
    for name, package in (("openai", "openai"), ("anthropic", "@anthropic-ai/sdk")):
        if shutil.which("node") and (HERE / "node_modules" / package).is_dir():
            found[name + "-node"] = ask_node(name)
        else:
            print(f"retries: no {package} for Node")
    return found


def statuses_of_all(base_url, model, temperature, when_all_heard):
    """What each client heard; calls back when each has heard something."""
    heard, failures, missing = {}, [], threading.Semaphore(0)

    def run(name, ask):
        statuses = heard.setdefault(name, [])

        def hear(status):
            statuses.append(status)
            if len(statuses) == 1:
                missing.release()

        try:
            ask(base_url, model, temperature, hear)
        except Exception as error:  # told below, with the others'
            failures.append(f"{name}: {error!r}")
            missing.release()

    threads = [threading.Thread(target=run, args=each) for each in clients().items()]
    for thread in threads:
        thread.start()
    for _ in threads:
        missing.acquire()
    when_all_heard()
    for thread in threads:
        thread.join()
    assert not failures, failures
    return heard


def main():
    base_url = sys.argv[1]
    with urllib.request.urlopen(base_url + "/models", timeout=60) as answer:
        model = json.load(answer)["data"][0]["id"]
    with overload.FullQueue(base_url, model) as queue:
        heard = statuses_of_all(base_url, model, 0, queue.leave)
    assert all(statuses == [429, 200] for statuses in heard.values()), heard
    heard = statuses_of_all(base_url, model, 9, lambda: None)
    assert all(statuses == [400] for statuses in heard.values()), heard
    print(f"retries: {', '.join(heard)}")


if __name__ == "__main__":
    main()
