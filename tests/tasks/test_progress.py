import math

import pytest

from tasks import progress


class Recorder:
    def __init__(self):
        self.events = []

    def stage_started(self, name):
        self.events.append(("started", name))

    def stage_ended(self, shown, seconds, succeeded):
        self.events.append(("ended", shown.name, shown.reused, succeeded))

    def bar_moved(self, bar):
        self.events.append(("moved", bar.description, bar.completed, bar.total, bar.notes()))

    def bar_ended(self, bar):
        self.events.append(("bar ended",))


def test_a_listener_hears_stages_and_bars_in_order_and_nothing_afterwards():
    recorder = Recorder()
    with progress.listen(recorder), progress.stage("pretrain") as shown:
        with progress.bar("steps") as bar:
            assert not bar.report(5, {"train/loss": 2.5, progress.TOTAL: 10, "unknown": 1})
            assert not bar.report(6, {"validation/bits_per_byte": 1.25})
        shown.reused = True
    with progress.stage("unheard"), progress.bar("unheard"):
        pass
    assert recorder.events == [
        ("started", "pretrain"),
        ("moved", "steps", 0, None, []),
        ("moved", "steps", 5, 10, ["loss 2.50"]),
        ("moved", "steps", 6, 10, ["loss 2.50", "bits per byte 1.25"]),
        ("bar ended",),
        ("ended", "pretrain", True, True),
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5.6, "5.60"),
        (0.5, "0.500"),
        (10, "10.0"),
        (123.4, "123"),
        (999.6, "1,000"),
        (0.0, "0.00"),
        (math.nan, "nan"),
    ],
)
def test_figures_keep_three_digits_with_their_zeros(value, words):
    assert progress.three_digits(value) == words


def test_the_newest_figures_are_noted_in_one_order():
    bar = progress.Bar("steps")
    bar.report(5, {"train/tokens_per_second": 10_040.4, "train/loss": 5.6, "train/learning_rate": 0.1})
    bar.report(6, {"validation/bits_per_byte": 2.071})
    assert bar.notes() == ["loss 5.60", "bits per byte 2.07", "10,040 tokens/s"]


def test_a_stage_that_raises_is_told_as_failed():
    recorder = Recorder()
    with pytest.raises(ValueError, match="no"), progress.listen(recorder), progress.stage("prepare"):
        raise ValueError("no")
    assert recorder.events[-1] == ("ended", "prepare", False, False)


def test_the_time_left_is_reckoned_from_where_the_work_was_taken_up(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    bar = progress.Bar("steps", total=400)
    assert bar.seconds_left() is None
    bar.report(300, {"samples/step-00000300.txt": "a text is no figure", "train/mfu": 0.123})
    assert bar.seconds_left() is None
    now = 110.0
    bar.report(320, {"train/data_wait_fraction": 0.004})
    assert bar.seconds_left() == pytest.approx(40.0)
    assert bar.notes() == ["MFU 12.3 %", "data wait 0.4 %"]
