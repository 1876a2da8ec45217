import pytest

from configs.loading import ConfigError
from configs.yaml_files import read_file, read_value, write_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("-1E+3", -1000.0),
        (".5", 0.5),
        ("10_000", 10_000),
        ("0x1F", 31),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e", "1e"),
        ("true", True),
        ("~", None),
        ("'3e-4'", "3e-4"),
    ],
)
def test_plain_values_mean_what_they_look_like(text, value):
    found = read_value(text, "test")
    assert found == value
    assert type(found) is type(value)


def test_anchors_and_merges_work():
    assert read_value("a: &a {x: 1}\nb: {<<: *a, y: 2}", "test")["b"] == {"x": 1, "y": 2}


def test_what_is_written_reads_back():
    value = {
        "words": [
            "no",
            "3e-4",
            "010",
            "true",
            "null",
            "10_000",
            "",
            "ünïcödé",
            "1e5",
            ".5",
            "0x1F",
            "~",
            "1:30",
            "=",
            "<<",
        ],
        "texts": [
            "a: b",
            "two\nlines\n",
            " spaces ",
            "2024-01-01",
            "- x",
            "# y",
            "&a",
            "*a",
            "!t",
            "%p",
            "@",
            "`",
            "\t",
        ],
        "numbers": [1e-5, 0.1, 7, True, None],
    }
    assert read_value(write_value(value), "test") == value


def test_no_python_objects_are_made():
    with pytest.raises(ConfigError, match=r"test, line 1"):
        read_value("!!python/object/apply:os.getcwd []", "test")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_file(path)
