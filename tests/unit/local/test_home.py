from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.local.home import AlreadyRunning, Home, NotRunning, RunningState
from libs.common.privacy import PersonKeys, Sealer


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    keys = Home(tmp_path).keys()
    assert Home(tmp_path).keys() == keys
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert Home(tmp_path / "other").keys() != keys


def test_keys_have_the_forms_that_the_services_read(tmp_path: Path) -> None:
    keys = Home(tmp_path).keys()
    assert PersonKeys.parse(keys.person_keys).person_id("530102194408120015").startswith("p1-")
    sealer = Sealer.parse(keys.sealing_keys)
    assert sealer.open(sealer.seal("阿依·古丽", 1, "name"), 1, "name") == "阿依·古丽"
    assert keys.onecard_webhook_secrets.startswith("whsec_")


def test_one_home_runs_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.locked(), pytest.raises(AlreadyRunning), Home(tmp_path).locked():
        pass
    with home.locked():
        pass


def test_the_state_of_a_process_that_is_gone_counts_for_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(NotRunning):
        home.state()
    home.write_state(RunningState(pid=os.getpid(), port=8000, postgres_port=1, broker_port=2))
    assert home.state().port == 8000
    home.write_state(RunningState(pid=2**22 + 1, port=8000, postgres_port=1, broker_port=2))
    with pytest.raises(NotRunning):
        home.state()


def test_only_large_logs_are_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.logs.mkdir()
    home.log("large").write_text("x" * 30)
    home.log("small").write_text("x")
    monkeypatch.setattr("deploy.local.home.LOG_LIMIT_BYTES", 10)
    home.rotate_logs()
    assert sorted(path.name for path in home.logs.iterdir()) == ["large.log.1", "small.log"]
