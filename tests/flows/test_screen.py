import io

from flows.screen import PlainScreen, TerminalScreen
from tasks import progress


def work():
    with progress.stage("prepare") as shown:
        shown.reused = True
    with progress.stage("pretrain") as shown:
        with progress.bar("steps", total=4) as bar:
            for step in range(5):
                bar.report(step, {"train/loss": 2.0})
        shown.figures = {"bits per byte": 1.23456, "tokens": 1_000_000}


def test_without_a_terminal_stages_are_lines_and_bars_are_rare(capsys):
    with progress.listen(PlainScreen(seconds_between_lines=1000)):
        work()
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0] == "prepare ..."
    assert lines[1].startswith("prepare: ")
    assert lines[1].endswith("reused")
    assert lines[3].endswith("bits per byte 1.235, tokens 1,000,000")
    assert len(lines) == 4


def test_without_a_terminal_a_long_bar_speaks_up(capsys):
    with progress.listen(PlainScreen(seconds_between_lines=0)):
        work()
    assert "  steps: 2 of 4 (50%)  loss 2" in capsys.readouterr().err.splitlines()


def test_on_a_terminal_finished_stages_stay_and_bars_go():
    screen = TerminalScreen()
    written = io.StringIO()
    screen.progress.console.file = written
    with progress.listen(screen):
        work()
        assert not screen.progress.tasks
    text = written.getvalue()
    assert "prepare" in text
    assert "reused" in text
    assert "bits per byte 1.235" in text
