"""The service draws what ``gancli sample`` draws, refuses with a reason, and answers what is in work when it ends."""

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from running_service import Client, Reply, running
from small_generators import write_generator

from gancli import cli
from gancli.config.sample_command import Marking
from gancli.config.serve_command import Limits
from gancli.deploy.inspection import inspect
from gancli.deploy.serving import queue
from gancli.deploy.serving.app import Service
from gancli.deploy.serving.guard import MAX_BODY
from gancli.deploy.serving.models import load_models
from gancli.recipes.base import Spec
from gancli.sampling.generator import load_generator
from gancli.sampling.stamping import stamper_for

CPU = torch.device("cpu")
NAMES = ("red, white", "Ätna", "c")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generators")
    write_generator(folder / "plain.pth", "dcgan", Spec(3, 8, 8))
    write_generator(folder / "classes.pth", "cgan", Spec(1, 8, 8, 3), NAMES)
    return folder


def service_of(files: Path, **limits: Any) -> Service:
    given = Limits(**limits)
    models = load_models([str(files / "plain.pth"), f"by-class={files / 'classes.pth'}"], given, CPU)
    return Service(models, given, stamper_for(Marking(producer="Ä & Co"), ".png"))


@pytest.fixture(scope="module")
def client(files: Path) -> Iterator[Client]:
    with running(service_of(files)) as client:
        yield client


def sampled(files: Path, to: Path, *arguments: str, name: str = "plain") -> Path:
    """What the command writes."""
    words = ["sample", str(files / f"{name}.pth"), "--out", str(to), "--quiet", "--producer", "Ä & Co", *arguments]
    assert cli.run(words) == 0
    return to


def contents_of(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
def test_one_picture_is_the_file_that_sample_writes_with_its_mark(
    form: str, client: Client, files: Path, tmp_path: Path
) -> None:
    reply = client.draw({"seed": 5, "numbers": [70], "truncation": 0.8, "format": form})
    suffix = form.replace("jpeg", "jpg")
    flags = ["--seed", "5", "--seeds", "70", "--trunc", "0.8"]
    assert reply.status == 200 and reply.headers["content-type"] == f"image/{form}"
    assert reply.headers["content-disposition"] == f'inline; filename="plain-seed-5-000070.{suffix}"'
    assert reply.content == sampled(files, tmp_path / f"a.{suffix}", *flags).read_bytes()
    drawn = tmp_path / f"b.{suffix}"
    drawn.write_bytes(reply.content)
    against = load_generator(files / "plain.pth", CPU)
    assert inspect(drawn, against).proof.verdict == "same"  # type: ignore[union-attr]


def test_several_pictures_are_what_sample_writes_into_a_folder(client: Client, files: Path, tmp_path: Path) -> None:
    asked = {"model": "by-class", "numbers": "3,8-12", "classes": ["c", "red, white"]}
    flags = ["--seeds", "3,8-12", "--class", "c", "--class", "red, white"]
    folder = sampled(files, tmp_path / "folder/", *flags, name="classes")
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    reply = client.draw(asked)
    assert reply.headers["content-type"] == "application/zip" and contents_of(reply.content) == written
    told = client.draw(asked, Accept="application/json").json
    assert [(each["number"], each["class"]) for each in told["images"]][:2] == [(3, "c"), (8, "red, white")]
    assert [base64.b64decode(each["data"]) for each in told["images"]] == [written[name] for name in sorted(written)][
        :6
    ]
    array = client.draw(asked | {"format": "npy"})
    given = sampled(files, tmp_path / "a.npy", *flags, name="classes")
    assert array.content == given.read_bytes() and np.load(given).shape == (6, 8, 8, 1)


def test_one_frame_between_two_pictures_is_that_of_the_whole_walk(client: Client, files: Path, tmp_path: Path) -> None:
    asked = {"model": "by-class", "numbers": [4, 9], "interpolate": 5}
    folder = sampled(files, tmp_path / "walk/", "--seeds", "4,9", "--interpolate", "5", name="classes")
    walk = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert contents_of(client.draw(asked).content) == walk
    assert client.draw(asked | {"frame": 3}).content == walk["000003.png"]
    assert client.draw(asked | {"frame": 5}, Accept="application/json").json["images"][0]["class"] == "red, white"


def test_waiting_requests_share_a_forward_pass_and_each_gets_its_own_pictures(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, passes = threading.Event(), []
    real = queue.draw_latents

    def slow(network: torch.nn.Module, latents: torch.Tensor, *more: Any) -> torch.Tensor:
        passes.append(len(latents))
        begun.wait(20) if len(passes) == 1 else None
        return real(network, latents, *more)

    monkeypatch.setattr(queue, "draw_latents", slow)
    replies: dict[int, bytes] = {}
    with running(service_of(files)) as client:
        threads = [
            threading.Thread(
                target=lambda k=k: replies.__setitem__(  # type: ignore[misc]
                    k, client.draw({"seed": k, "numbers": [k, k + 60], "format": "npy"}).content
                )
            )
            for k in range(6)
        ]
        threads[0].start()
        _until(lambda: len(passes) == 1)
        for thread in threads[1:]:
            thread.start()
        _until(lambda: b"requests_in_work 6.0" in client.ask("GET", "/metrics").content)
        begun.set()
        for thread in threads:
            thread.join()
        assert passes == [2, 10]
        told = client.ask("GET", "/metrics").content
    assert b'gancli_images_total{model="plain"} 12.0' in told and b"gancli_images_per_pass_count 2.0" in told
    for k, content in replies.items():
        alone = service_of(files).models["plain"].generator
        selection = queue.Selection([k, k + 60], k)
        images = real(alone.network, selection.latents(alone.latent_dim, range(2)), None)
        assert (np.load(io.BytesIO(content)) == images.permute(0, 2, 3, 1).numpy()).all()


def _until(holds: Any) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to hold")


def test_a_full_queue_and_a_long_drawing_are_refused_with_a_reason(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, real = threading.Event(), queue.draw_latents

    def slow(*given: Any) -> torch.Tensor:
        go_on.wait(20)
        return real(*given)

    monkeypatch.setattr(queue, "draw_latents", slow)
    with running(service_of(files, queue=1, timeout=1.0)) as client:
        replies: list[Reply] = []
        thread = threading.Thread(target=lambda: replies.append(client.draw({})))
        thread.start()
        _until(lambda: b"requests_in_work 1.0" in client.ask("GET", "/metrics").content)
        full = client.draw({})
        thread.join()
        go_on.set()
        _until(lambda: client.draw({}).status == 200)
    assert full.status == 429 and full.headers["retry-after"] == "1" and "try again" in full.json["detail"]
    assert replies[0].status == 503 and "took more than 1 s" in replies[0].json["detail"]


def test_memory_that_does_not_suffice_is_a_503_and_the_service_goes_on(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: Any) -> torch.Tensor:
        raise MemoryError("out of memory")

    with running(service_of(files)) as client:
        with monkeypatch.context() as patched:
            patched.setattr(queue, "draw_latents", none_left)
            assert client.draw({}).status == 503
        assert client.draw({}).status == 200


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"[", 422, "no JSON"),
        (b"\xff\xfe", 422, ""),
        (b"[" * 30_000, 400, ""),
        (b'{"seed": ' + b"9" * 5000 + b"}", 400, ""),
        (b'{"seed": NaN}', 422, "seed: "),
        (b'{"seed": true}', 422, "seed: "),
        (b'{"truncation": Infinity}', 422, "truncation: "),
        (b'{"numbers": []}', 422, "numbers"),
        (b'{"numbers": "0-99999999999999"}', 422, "asks for more than 256 images"),
        (b'{"numbers": "' + b"9" * 4000 + b'"}', 422, "neither a number nor a range"),
        (b'{"numbers": "0-9", "interpolate": 1000}', 422, "10,000 images are asked for; 256 at most"),
        (b'{"interpolate": 4, "frame": 4}', 422, "frame must be less than 4"),
        (b'{"frame": 0}', 422, "add interpolate"),
        (b'{"number": [1]}', 422, "did you mean 'numbers'?"),
        (b'{"\\ud800": 1}', 422, ""),
        (b'{"classes": ["x"]}', 422, "draws no class on demand"),
        (b'{"model": "by-class", "classes": ["x"]}', 422, "the generator has no class 'x'"),
        (b'{"model": "../classes.pth"}', 404, "there is no model '../classes.pth'"),
        (b'{"format": "svg"}', 422, "format"),
        (b" " * (MAX_BODY + 1), 413, "larger than 65,536 bytes"),
    ],
)
def test_a_wrong_request_is_refused_with_one_line(client: Client, body: bytes, status: int, reason: str) -> None:
    reply = client.ask("POST", "/v1/images", body, Content_Type="application/json")
    assert reply.status == status, reply
    assert reason in reply.json["detail"] and "--" not in reply.json["detail"]


def test_a_form_of_another_site_and_an_endless_body_are_refused(client: Client) -> None:
    assert client.ask("POST", "/v1/images", b"{}", Content_Type="text/plain").status == 415
    with socket.create_connection(("127.0.0.1", client.port)) as raw:
        raw.sendall(b"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            raw.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
        assert b" 413 " in raw.recv(100)


def test_it_says_what_it_is_without_any_path_of_the_server(client: Client, files: Path) -> None:
    models = client.ask("GET", "/v1/models").json["models"]
    assert [each["name"] for each in models] == ["plain", "by-class"]
    assert client.ask("GET", "/v1/model").json == models[0]
    assert client.ask("GET", "/v1/model?name=by-class").json == models[1]
    assert models[1]["classes"] == list(NAMES) and models[0]["width"] == 8 and models[0]["max_images"] == 256
    assert models[0]["generator"] == load_generator(files / "plain.pth", CPU).identity
    assert client.ask("GET", "/v1/model?name=nobody").status == 404
    assert client.ask("GET", "/healthz").json == {"status": "ok"}
    described = client.ask("GET", "/openapi.json").content
    assert "truncation" in json.loads(described)["components"]["schemas"]["Wanted"]["properties"]
    assert str(files).encode() not in described + client.ask("GET", "/v1/models").content


def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    reply = client.ask("GET", "/")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "sha256-" in policy
    assert b"http://" not in reply.content and b"https://" not in reply.content


def test_a_token_is_asked_for_but_at_the_page_and_the_check_of_health(files: Path) -> None:
    token = "0123456789abcdef"
    with running(replace(service_of(files), token=token)) as client:
        assert {client.ask("GET", path).status for path in ("/", "/healthz")} == {200}
        for wrong in ({}, {"Authorization": "Bearer 0"}, {"Authorization": token}, {"Authorization": "Bearer \xff"}):
            assert client.draw({}, **wrong).status == client.ask("GET", "/metrics", **wrong).status == 401
        right = {"Authorization": f"Bearer {token}"}
        assert client.draw({}, **right).status == client.ask("GET", "/metrics", **right).status == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.pth"], "nowhere.pth"),
        (["plain.pth", "plain.pth"], "two generators are called plain"),
        (["points.pth"], "it draws points in the plane"),
        (["plain.pth", "--port", "70000"], "--port 70000 must be"),
        (["plain.pth", "--host", "256.1.1.1"], "cannot listen there"),
        (["plain.pth", "--token-file", "short"], "at least 16"),
        (["plain.pth", "--token-file", "nowhere"], "cannot be read"),
        ([], "nothing is given for"),
    ],
)
def test_a_wrong_start_is_one_line(
    arguments: list[str], message: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(files)
    (files / "short").write_text("0123\n")
    write_generator(files / "points.pth", "vanilla", Spec(2, 1, 1, 8, 4.0))
    port = [] if "--port" in arguments else ["--port", "0"]
    assert cli.run(["serve", *arguments, *port, "--quiet"]) == 2
    errors = capsys.readouterr().err
    assert message in errors and len(errors.splitlines()) == 1


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.run(["serve", "gen.pth"]) == 2
    assert "uvicorn, which is not installed: pip install 'gancli[serve]'" in capsys.readouterr().err


def test_sigterm_answers_what_is_in_work_and_leaves_with_zero(files: Path, tmp_path: Path) -> None:
    words = [
        "serve",
        f"big={files / 'plain.pth'}",
        "--port",
        "0",
        "--host",
        "0.0.0.0",
        "--json",
        "--max-images",
        "1000",
        "--timeout",
        "100",
    ]
    environment = os.environ | {"GANCLI_TOKEN": "0123456789abcdef"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gancli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout and process.stderr
    client = Client(int(json.loads(process.stdout.readline())["page"].rstrip("/").rpartition(":")[2]))
    allowed = {"Authorization": "Bearer 0123456789abcdef"}
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(client.draw({"numbers": "0-999"}, **allowed)))
    thread.start()
    _until(lambda: b"requests_in_work 1.0" in client.ask("GET", "/metrics", **allowed).content)
    process.send_signal(signal.SIGTERM)
    thread.join()
    assert process.wait(60) == 0
    assert replies[0].status == 200 and len(contents_of(replies[0].content)) == 1000
    errors = process.stderr.read().decode()
    assert "warning: --host 0.0.0.0 is open to other machines" in errors and "Traceback" not in errors


def test_the_python_of_its_page_draws(client: Client, capsys: Capture) -> None:
    page = Path(__file__).parents[2] / "docs" / "serving.md"
    (code,) = re.findall(r"```py\n(.*?)```", page.read_text(), re.DOTALL)
    exec(code, {"URL": f"http://127.0.0.1:{client.port}"})
    assert capsys.readouterr().out == "[0, 1, 2, 3, 4, 5, 6, 7, 12]\n"
