import pytest

from tasks import progress


class Recorder:
    def __init__(self):
        self.events = []

    def stage_started(self, name):
        self.events.append(("started", name))

    def stage_ended(self, shown, seconds, succeeded):
        self.events.append(("ended", shown.name, shown.reused, succeeded))

    def bar_moved(self, number, description, completed, total, note):
        self.events.append(("moved", description, completed, total, note))

    def bar_ended(self, number):
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
        ("moved", "steps", 0, None, ""),
        ("moved", "steps", 5, 10, "loss 2.5"),
        ("moved", "steps", 6, 10, "loss 2.5  bits per byte 1.25"),
        ("bar ended",),
        ("ended", "pretrain", True, True),
    ]


def test_a_stage_that_raises_is_told_as_failed():
    recorder = Recorder()
    with pytest.raises(ValueError, match="no"), progress.listen(recorder), progress.stage("prepare"):
        raise ValueError("no")
    assert recorder.events[-1] == ("ended", "prepare", False, False)
