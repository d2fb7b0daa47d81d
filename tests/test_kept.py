"""Files of kept features: what happens to one is noticed, made good and told in one line."""

import errno
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import safetensors.torch
import torch

from course.files import kept
from new_python import obey_permissions, run_python

KEY = "5" * 64
OTHER_KEY = "6" * 64
FEATURES = torch.arange(6 * 1280, dtype=torch.float32).reshape(6, 1280)
SHAPE = (6, 1280)

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions and no pipes")


@pytest.fixture
def path(tmp_path):
    return kept.file_of(tmp_path / "cache", "train", KEY)


@pytest.fixture
def said(capsys):
    """Asks what was printed since it was last asked."""

    def lines():
        output = capsys.readouterr()
        assert output.err == ""
        return output.out.splitlines()

    return lines


def read(path):
    return kept.read_kept(path, KEY, SHAPE)


def is_sound(path):
    features = read(path)
    return features is not None and torch.equal(features, FEATURES)


# --- A file that was left alone ---------------------------------------------------------------


def test_what_was_kept_is_read_again_without_a_word(path, said):
    kept.keep(path, KEY, FEATURES)
    assert is_sound(path)
    assert said() == []
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(1, 1280), (3, 160, 7, 7), (2, 32, 1, 5)])
def test_features_and_maps_of_any_size(path, shape):
    features = torch.rand(shape)
    kept.keep(path, KEY, features)
    assert torch.equal(kept.read_kept(path, KEY, shape), features)


def test_where_nothing_was_kept_nothing_is_said(path, said):
    assert read(path) is None
    path.parent.mkdir()
    assert read(path) is None
    assert said() == []


@pytest.mark.parametrize("name", ["a" * 300, "größer 🎒" * 30, "", "..", "tr:ain? *"])
def test_the_folder_of_the_photos_may_have_any_name(tmp_path, name, said):
    if os.name == "nt" and ":" in name:
        pytest.skip("no folder has such a name there")
    path = kept.file_of(tmp_path, name, KEY)
    assert path.parent == tmp_path
    kept.keep(path, KEY, FEATURES)
    assert is_sound(path)
    assert said() == []


# --- Damage -----------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def cut_in_its_header(path):
    path.write_bytes(path.read_bytes()[:50])


def empty(path):
    path.write_bytes(b"")


def flip_the_first_bit(path):
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def flip_a_bit_of_a_feature(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def flip_a_bit_of_the_digest(path):
    content = safetensors.torch.load(path.read_bytes())
    content["sha256"][7] ^= 1
    safetensors.torch.save_file(content, path)


def other_bytes_of_the_same_length(path):
    path.write_bytes(os.urandom(path.stat().st_size))


def zeros_as_after_a_power_cut(path):
    path.write_bytes(bytes(path.stat().st_size))


def append(path):
    path.write_bytes(path.read_bytes() + b"more")


def grow(path):
    os.truncate(path, 2**40)  # a hole: it takes no room on the disk


def text(path):
    path.write_bytes(b"these are not features")


def other_tensors(path):
    safetensors.torch.save_file({"others": torch.zeros(3)}, path)


def no_digest(path):
    safetensors.torch.save_file({"features": FEATURES}, path)


def features_of_another_key(path):
    kept.keep(path, OTHER_KEY, FEATURES)


def fewer_photos(path):
    kept.keep(path, KEY, FEATURES[:5])


def another_order_of_axes(path):
    kept.keep(path, KEY, FEATURES.T.contiguous())


def double_precision(path):
    kept.keep(path, KEY, FEATURES.double())


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_link_to_endless_zeros(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def a_link_to_something_else(path):
    other = path.parent.with_name("letter.txt")
    other.write_text("belongs to somebody", encoding="utf-8")
    path.unlink()
    path.symlink_to(other)


def a_link_to_itself(path):
    path.unlink()
    path.symlink_to(path)


DAMAGES = [
    cut,
    cut_in_its_header,
    empty,
    flip_the_first_bit,
    flip_a_bit_of_a_feature,
    flip_a_bit_of_the_digest,
    other_bytes_of_the_same_length,
    zeros_as_after_a_power_cut,
    append,
    grow,
    text,
    other_tensors,
    no_digest,
    features_of_another_key,
    fewer_photos,
    another_order_of_axes,
    double_precision,
    pytest.param(a_pipe, marks=posix),
    pytest.param(a_link_to_endless_zeros, marks=posix),
    pytest.param(a_link_to_something_else, marks=posix),
    pytest.param(a_link_to_itself, marks=posix),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_told_in_one_line_and_repaired(path, said, damage):
    kept.keep(path, KEY, FEATURES)
    damage(path)
    said()
    assert read(path) is None
    (line,) = said()
    assert repr(str(path)) in line and "computed again" in line and line.isprintable()
    kept.keep(path, KEY, FEATURES)
    assert is_sound(path)
    assert said() == []
    assert list(path.parent.iterdir()) == [path]


def test_what_a_link_leads_to_is_left_alone(path):
    kept.keep(path, KEY, FEATURES)
    a_link_to_something_else(path)
    kept.keep(path, KEY, FEATURES)
    assert path.parent.with_name("letter.txt").read_text(encoding="utf-8") == "belongs to somebody"


@posix
def test_a_file_that_was_moved_to_another_disk_and_linked_is_used(path, said):
    kept.keep(path, KEY, FEATURES)
    path.symlink_to(path.rename(path.parent.with_name("elsewhere")))
    assert is_sound(path)
    assert said() == []


@posix
def test_a_link_to_nothing_is_replaced(path, said):
    path.parent.mkdir()
    path.symlink_to(path.parent / "gone" / "far away")
    assert read(path) is None
    kept.keep(path, KEY, FEATURES)
    assert is_sound(path) and not path.is_symlink()
    assert said() == []


def test_a_file_that_is_far_too_large_is_not_read(path, monkeypatch):
    kept.keep(path, KEY, FEATURES)
    grow(path)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    assert read(path) is None


# --- Permissions, and other trouble of the system ---------------------------------------------

TROUBLE = {
    errno.EACCES: "ask for the right",
    errno.EIO: "drive or network folder does not answer",
    errno.ETIMEDOUT: "drive or network folder does not answer",
    errno.EMFILE: "too many files",
    errno.ENOMEM: "memory is full",
    errno.ENOSPC: "free some space",
    errno.EROFS: "choose another folder",
}
ERRORS = [OSError(number, os.strerror(number)) for number in TROUBLE] + [MemoryError()]


def advice(error):
    return TROUBLE[getattr(error, "errno", errno.ENOMEM)]


def failing(error):
    def fail(*args, **options):
        raise error

    return fail


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_file_that_the_system_does_not_read_is_not_called_damaged(path, said, monkeypatch, error):
    kept.keep(path, KEY, FEATURES)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing(error))
        assert read(path) is None
    (line,) = said()
    assert repr(str(path)) in line and "cannot be read" in line and advice(error) in line
    assert not any(word in line for word in ("damaged", "delete", "replace"))
    assert is_sound(path)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("place", ["safetensors.torch.save", "os.fsync", "os.replace"])
def test_features_that_cannot_be_kept_are_no_reason_to_stop(path, said, monkeypatch, error, place):
    path.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(place, failing(error))
        kept.keep(path, KEY, FEATURES)
    (line,) = said()
    assert repr(str(path)) in line and "cannot be kept" in line and advice(error) in line
    assert "next call computes them again" in line and line.isprintable()
    assert list(path.parent.iterdir()) == [], "nothing half-written is left"


OTHER_RIGHTS = """
import sys
from pathlib import Path
import torch
from course.files import kept

cache = Path(sys.argv[1])
path = kept.file_of(cache, "train", "key")
features = torch.rand(2, 1280)

def use():
    read = kept.read_kept(path, "key", (2, 1280))
    if read is None:
        kept.keep(path, "key", features)
    print("sound" if read is not None and torch.equal(read, features) else "computed")

for changed, mode in ((path, 0o400), (path, 0), (path, 0o200), (cache, 0o500), (cache, 0)):
    cache.chmod(0o700)
    use()
    print("changed", changed.name, oct(mode))
    changed.chmod(mode)
    use()
cache.chmod(0o700)
use()
path.unlink()
cache.chmod(0o500)
use()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere root cannot give up its rights")
def test_other_rights_of_the_file_and_of_its_folder(tmp_path):
    """In a new process, because root reads and writes everything until it gives that up."""
    cache = tmp_path / "cache"
    cache.mkdir()
    output = run_python(OTHER_RIGHTS, cache, before=obey_permissions)
    start, readable, forbidden, write_only, read_only_folder, closed_folder = output.split(
        "changed "
    )
    assert start.splitlines() == ["computed"]
    assert readable.splitlines()[1:] == ["sound", "sound"]
    for part in (forbidden, write_only):  # told in one line, and made anew
        _, line, first, second = part.splitlines()  # the second use comes before the next change
        assert "cannot be read (Permission denied): ask for the right" in line
        assert (first, second) == ("computed", "sound")
    assert read_only_folder.splitlines()[1:] == ["sound", "sound"]
    _, line, first, second, last_line, last = closed_folder.splitlines()
    assert (first, second, last) == ("computed", "sound", "computed")
    for refusal in (line, last_line):
        assert "cannot be kept" in refusal and "Permission denied" in refusal
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("content", [[], ["somebody's notes.txt"]])
def test_a_folder_in_the_place_of_the_file_is_named_and_left_alone(path, said, content):
    path.mkdir(parents=True)
    for name in content:
        (path / name).touch()
    for _ in range(2):
        assert read(path) is None
        assert said() == []
        kept.keep(path, KEY, FEATURES)
        (line,) = said()
        assert repr(str(path)) in line and "it is a folder" in line and "in the way" in line
    assert [entry.name for entry in path.iterdir()] == content
    assert list(path.parent.iterdir()) == [path]


def test_a_file_in_the_place_of_the_cache_is_named_and_left_alone(path, said):
    path.parent.write_text("somebody's notes", encoding="utf-8")
    assert read(path) is None
    assert said() == []
    kept.keep(path, KEY, FEATURES)
    (line,) = said()
    assert "cannot be kept" in line and "in the way" in line
    assert path.parent.read_text(encoding="utf-8") == "somebody's notes"


# --- Several processes ------------------------------------------------------------------------


def test_who_reads_while_others_write_gets_sound_features(path, said):
    """Threads do the same as processes: all that they share is the file."""
    kept.keep(path, KEY, FEATURES)

    def use(turn):
        if turn % 3 == 0:
            kept.keep(path, KEY, FEATURES)
        else:
            assert is_sound(path)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(120)))
    assert said() == []
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next_file(path):
    kept.keep(path, KEY, FEATURES)
    leftover = path.with_name(f".{path.name}.00000000.99999.12345678.tmp")
    leftover.write_bytes(b"half")
    long_ago = time.time() - 10 * kept.DAY
    os.utime(leftover, (long_ago, long_ago))
    kept.keep(path, KEY, FEATURES)
    assert list(path.parent.iterdir()) == [path]


# --- Old files --------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Five files, the first ten days old and the last six, with room for four."""
    for i in range(5):
        path = kept.file_of(tmp_path, f"part {i}", KEY)
        kept.keep(path, KEY, FEATURES)
        age(path, days=10 - i)
    monkeypatch.setattr(kept, "ENOUGH_BYTES", 4 * path.stat().st_size)
    return tmp_path


def age(path, days):
    then = time.time() - days * kept.DAY
    os.utime(path, (then, then))


def parts(folder):
    return sorted(path.name.split("-")[1] for path in folder.glob("features-*"))


def test_the_cache_does_not_grow_for_ever(shelf, said):
    kept.keep(kept.file_of(shelf, "new", OTHER_KEY), OTHER_KEY, FEATURES)
    assert parts(shelf) == ["new", "part 2", "part 3", "part 4"]
    assert said() == []


def test_what_was_read_today_stays(shelf):
    read(kept.file_of(shelf, "part 0", KEY))
    kept.keep(kept.file_of(shelf, "new", OTHER_KEY), OTHER_KEY, FEATURES)
    assert parts(shelf) == ["new", "part 0", "part 3", "part 4"]


def test_what_is_in_use_stays_even_if_it_is_too_much(shelf):
    for path in shelf.iterdir():
        age(path, days=0.5)
    kept.keep(kept.file_of(shelf, "new", OTHER_KEY), OTHER_KEY, FEATURES)
    assert len(parts(shelf)) == 6


def test_other_files_of_the_cache_are_left_alone(shelf):
    for name in ("features.txt", "notes-features-train-0.safetensors"):
        (shelf / name).write_bytes(bytes(10_000))
        age(shelf / name, days=1000)
    kept.keep(kept.file_of(shelf, "new", OTHER_KEY), OTHER_KEY, FEATURES)
    assert (shelf / "features.txt").exists()
    assert (shelf / "notes-features-train-0.safetensors").exists()


def test_features_are_kept_though_old_files_cannot_be_removed(shelf, said, monkeypatch):
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if "part" in path.name:
            raise PermissionError(errno.EACCES, "in use by another program")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    new = kept.file_of(shelf, "new", KEY)
    kept.keep(new, KEY, FEATURES)
    assert is_sound(new)
    assert said() == []


# --- Keys -------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    result = []
    for i, content in enumerate([b"one", b"two", b"", b"three"]):
        (tmp_path / f"{i}.jpg").write_bytes(content)
        result.append((tmp_path / f"{i}.jpg", i % 2))
    return result


SETTINGS = {"transform": "Resize(64)", "device": "cpu"}
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(5)}


def test_the_same_things_have_the_same_key_wherever_they_lie(files, tmp_path):
    key = kept.key_of(SETTINGS, TENSORS, files)
    assert len(key) == 64
    moved = [(path.rename(tmp_path / f"moved {path.name}"), label) for path, label in files]
    copies = {name: tensor.clone() for name, tensor in TENSORS.items()}
    copies["weight"] = copies["weight"].T.contiguous().T  # in another order in memory
    copies["weight"].requires_grad = True
    assert kept.key_of(dict(SETTINGS), copies, moved) == key


CHANGES = {
    "a setting": lambda s, t, f: (s | {"device": "cuda"}, t, f),
    "the name of a setting": lambda s, t, f: ({"transform": s["transform"], "dev": "cpu"}, t, f),
    "one setting less": lambda s, t, f: ({"device": "cpu"}, t, f),
    "a number": lambda s, t, f: (s, t | {"weight": t["weight"] + 1e-6}, f),
    "a buffer": lambda s, t, f: (s, t | {"count": torch.tensor(6)}, f),
    "a dtype": lambda s, t, f: (s, t | {"count": torch.tensor(5, dtype=torch.int32)}, f),
    "a shape": lambda s, t, f: (s, t | {"weight": t["weight"].reshape(3, 2)}, f),
    "the name of a tensor": lambda s, t, f: (s, {"bias": t["weight"], "count": t["count"]}, f),
    "a label": lambda s, t, f: (s, t, [(f[0][0], 7), *f[1:]]),
    "the order": lambda s, t, f: (s, t, f[::-1]),
    "one file less": lambda s, t, f: (s, t, f[:-1]),
    "one file twice": lambda s, t, f: (s, t, [*f, f[-1]]),
    "one empty file more": lambda s, t, f: (s, t, [*f, f[2]]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_changes_the_key(files, change):
    changed = CHANGES[change](SETTINGS, TENSORS, files)
    assert kept.key_of(*changed) != kept.key_of(SETTINGS, TENSORS, files)


def test_bytes_that_move_from_one_file_to_the_next_change_the_key(files):
    key = kept.key_of(SETTINGS, TENSORS, files)
    files[0][0].write_bytes(b"onet")
    files[1][0].write_bytes(b"wo")
    assert kept.key_of(SETTINGS, TENSORS, files) != key


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool, torch.uint8])
def test_tensors_of_any_dtype_have_a_key(dtype):
    tensor = torch.tensor([0, 1, 1]).to(dtype)
    assert kept.key_of({}, {"t": tensor}, []) != kept.key_of({}, {"t": tensor.flip(0)}, [])


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_photo_that_the_system_does_not_read_is_told_with_what_helps(files, monkeypatch, error):
    monkeypatch.setattr(Path, "read_bytes", failing(error))
    with pytest.raises(type(error)) as caught:
        kept.key_of(SETTINGS, TENSORS, files)
    message = str(caught.value)
    assert repr(str(files[0][0])) in message and advice(error) in message and message.isprintable()
    assert not any(word in message for word in ("damaged", "delete", "replace"))


@posix
def test_a_photo_that_has_become_a_pipe_is_not_waited_for(files):
    files[0][0].unlink()
    os.mkfifo(files[0][0])
    assert kept.key_of(SETTINGS, TENSORS, files)
