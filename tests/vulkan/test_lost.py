# tests/vulkan/test_lost.py
# SPDX-License-Identifier: MIT
"""The device is lost under a person's hands: the real program with a small random model, which
never ends a reply by itself, on a real driver, and the layer of this folder in between.
What was written stays, what happened is said, and the next question is answered."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from chat import check, say  # noqa: E402
from screen import Screen, build, tap  # noqa: E402

oriel = os.path.join(build, "oriel")
OUT_OF_DEVICE_MEMORY, DEVICE_LOST, TIMEOUT = -2, -4, 2
folder = tempfile.TemporaryDirectory()
model = os.path.join(folder.name, "noise.gguf")
subprocess.run([os.path.join(build, "tests/engine/model/generate_model"), "llama", "Q8_0", "3",
                model], check=True)


def environment(home, function, at, result):
    """The fault strikes one time only, in whichever process comes first: then its token is
    gone. (It lies where the engine may remove a file.)"""
    token = os.path.join(home, ".cache", "token")
    os.makedirs(os.path.dirname(token), exist_ok=True)
    open(token, "w").close()
    before = os.environ.get("VK_ADD_LAYER_PATH")
    return {"VK_ADD_LAYER_PATH": ":".join(filter(None, [build + "/tests/vulkan", before])),
            "VK_INSTANCE_LAYERS": "VK_LAYER_ORIEL_test",
            "VULKAN_TEST_FAULT": f"{function}:{at}:{result}:ever",
            "VULKAN_TEST_TOKEN": token,
            "ASAN_OPTIONS": "detect_leaks=0"}


def chat(home, *fault):
    listed = subprocess.run([oriel, "devices"], capture_output=True,
                            env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    if listed.returncode != 0:
        raise tap.Skip("no Vulkan device")
    return Screen("chat", "-m", model, "-n", "60", "--temp", "0", "--theme", "dark", home=home,
                  columns=100, env=environment(home, *fault), command=(oriel,))


def strike(function, at, result, *said):
    """In the middle of a reply. The engine starts again, and answers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        with chat(home, function, at, result) as screen:
            screen.wait("ready  random")
            before = screen.engine_pid()
            say(screen, "hello", *said)
            screen.wait("Starting the engine again", "ready  random", seconds=20)
            check(screen.engine_pid() != before)
            check("hello" in screen.text(), screen.text())
            say(screen, "once more", "once more", "tokens/s", "ready  random")
            check(screen.text().count("Starting the engine again") == 1)


def test_a_lost_device_costs_a_reply_and_not_the_conversation():
    strike("vkQueueSubmit", 40, DEVICE_LOST, "the device was lost")


def test_so_does_one_that_does_not_answer():
    strike("vkWaitForFences", 40, TIMEOUT, "no answer within 10 seconds")


def test_a_device_that_is_lost_while_a_model_is_opened_is_opened_again():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        with chat(home, "vkCreateDevice", 1, DEVICE_LOST) as screen:
            screen.wait("the device was lost", "Starting the engine again", "ready  random",
                        seconds=20)
            say(screen, "hello", "tokens/s", "ready  random")


def test_want_of_memory_ends_a_reply_and_the_engine_goes_on():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        with chat(home, "vkQueueSubmit", 40, OUT_OF_DEVICE_MEMORY) as screen:
            screen.wait("ready  random")
            before = screen.engine_pid()
            say(screen, "hello", "out of device memory", "ready  random")
            say(screen, "once more", "tokens/s", "ready  random")
            check(screen.engine_pid() == before)


tap.run(globals())
