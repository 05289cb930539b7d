import hashlib
import json
import stat

import pytest

from hwprune.files import atomic_folder, atomic_write, remove_left_overs, sha256, write_json, write_text


def test_replaces_whole_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "deep" / "a.json"
    write_json(target, {"x": [1, 2.5, None]})
    assert json.loads(target.read_text()) == {"x": [1, 2.5, None]}
    write_text(target, "öß")
    assert target.read_text(encoding="utf-8") == "öß"
    assert [p.name for p in target.parent.iterdir()] == ["a.json"]


def test_failure_keeps_the_old_content(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_readable_as_other_new_files(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    mode = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert mode[0] == mode[1]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, example B.1
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_folder_replaces_whole_and_failure_keeps_the_old(tmp_path):
    target = tmp_path / "deep" / "made"
    with atomic_folder(target) as new:
        (new / "a").write_text("1")
    with atomic_folder(target) as new:
        assert not target.joinpath("b").exists()
        (new / "b").write_text("2")
    assert [p.name for p in target.iterdir()] == ["b"]
    with pytest.raises(RuntimeError), atomic_folder(target) as new:
        (new / "c").write_text("half")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in target.parent.iterdir()] == ["made"]


def test_left_overs_of_killed_writers_go_and_nothing_else(tmp_path):
    stays = [tmp_path / ".gitignore", tmp_path / ".a.personal", tmp_path / "deep" / "x.tmp-abcdefgh"]
    for path in stays:
        write_text(path, "precious")
    with atomic_write(tmp_path / "deep" / "a.json") as file, atomic_folder(tmp_path / "b") as folder:
        (folder / "half").touch()
        remove_left_overs(tmp_path)  # as if the two were another process's, killed here
        assert not file.exists() and not folder.exists()
        file.touch()
        folder.mkdir(parents=True)
    assert [path.read_text() for path in stays] == ["precious"] * 3
