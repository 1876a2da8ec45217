import io
import logging
import re

from rich.console import Console
from rich.text import Text

from flows.screen import Notices, PlainScreen, TerminalScreen
from lm_modules.progress import NOTICE
from tasks import progress


def work():
    with progress.stage("prepare") as shown:
        shown.reused = True
    with progress.stage("pretrain") as shown:
        with progress.bar("reading", unit="document") as bar:
            bar.report(12_000, {})
        with progress.bar("steps") as bar:
            for step in range(5):
                bar.report(step, {"train/loss": 2.0, "train/tokens_per_second": 1000.0, progress.TOTAL: 4000})
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
    lines = capsys.readouterr().err.splitlines()
    assert "  reading: 12,000 documents" in lines
    (line,) = [line for line in lines if line.startswith("  steps: step 2 of 4,000, loss 2.00, 1,000 tokens/s")]
    assert re.search(r", left \d:\d\d:\d\d$", line)


def test_without_a_terminal_every_bar_has_its_own_turn(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr("flows.screen.time.monotonic", lambda: now)
    with progress.listen(PlainScreen()), progress.bar("trial 1") as one, progress.bar("trial 2") as other:
        for now in range(1, 32):
            one.report(now, {})
            other.report(now, {})
    assert capsys.readouterr().err.splitlines() == [
        f"  trial {number}: {step} steps" for step in (15, 30) for number in (1, 2)
    ]


def shown(width):
    """Return the rows of a terminal after three reports."""
    screen = TerminalScreen(Console(file=io.StringIO(), width=width, force_terminal=True))
    clock = iter(range(1000))
    screen.progress.get_time = lambda: float(next(clock))
    with progress.listen(screen), progress.stage("pretrain"), progress.bar("pretraining") as bar:
        for step in (20, 21, 22):
            bar.report(step, {"train/loss": 5.6, "train/tokens_per_second": 10_040.0, progress.TOTAL: 600})
        with screen.progress.console.capture() as captured:
            screen.progress.console.print(screen.progress.get_renderable())
    return Text.from_ansi(captured.get()).plain.splitlines()


def test_on_a_terminal_a_bar_says_how_far_it_is_and_what_is_left():
    row = shown(width=140)[1]
    assert "22/600" in row
    assert "left 0:" in row
    assert row.rstrip().endswith("loss 5.60  10,040 tokens/s")


def test_on_a_narrow_terminal_the_notes_give_way_and_rows_stay_one_line():
    rows = shown(width=80)
    assert len(rows) == 2
    assert "22/600" in rows[1]
    assert "loss 5.60" in rows[1]


def test_on_a_terminal_something_is_said_before_the_first_stage():
    screen = TerminalScreen()
    assert [each.description for each in screen.progress.tasks] == ["starting ..."]
    with progress.listen(screen), progress.stage("prepare"):
        assert [each.description for each in screen.progress.tasks] == ["prepare"]


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


def test_large_figures_have_thousands_and_what_is_for_the_report_is_left_out(capsys):
    with progress.listen(PlainScreen()), progress.stage("pretrain") as shown:
        shown.figures = {"tokens per second": 10041.7, "largest logit difference of the export": 1e-6, "steps": 600}
    assert capsys.readouterr().err.endswith("s, tokens per second 10,042, steps 600\n")


def shown_lines(shown, capsys):
    """Log what may come from a training, and return what is seen of it."""
    notices = Notices(shown)
    root = logging.getLogger()
    root.addHandler(notices)
    try:
        logger = logging.getLogger("lm_modules.training.pretraining")
        logger.setLevel(logging.INFO)
        logger.info("precision float32: no other is faster")
        logger.log(NOTICE, "continuing from step %d", 51)
        logger.warning("step 7 has a loss of nan: it is left out\nTraceback ...")
        logging.getLogger("transformers").warning("a thousand words of a library")
    finally:
        root.removeHandler(notices)
    return capsys.readouterr().err.splitlines()


def test_notices_and_warnings_of_our_code_are_lines_between_the_bars(capsys):
    expected = ["continuing from step 51", "step 7 has a loss of nan: it is left out"]
    assert [each.strip() for each in shown_lines(PlainScreen(), capsys)] == expected
    terminal = TerminalScreen(Console(stderr=True, width=60, force_terminal=False))
    assert [each.strip() for each in shown_lines(terminal, capsys)] == expected
