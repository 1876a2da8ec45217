"""The command `rootstock`. Everything heavy is imported inside a verb, so `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.environment import environment, log_to_file
from flows.session import run_flow, session

app = typer.Typer(
    name="rootstock",
    help="Raw text to a promoted, deployable language model.\n\nStart with: rootstock run demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PRESET_HELP = "The name of a preset (see `rootstock presets`) or a YAML file."
Preset = Annotated[str, typer.Argument(metavar="PRESET_OR_YAML", help=PRESET_HELP)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one setting; may be repeated. `null` switches off."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Make the last line of standard output one JSON object.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of what went wrong.")]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A directory, an MLflow uri (models:/...), or NAME@champion.")
]


@app.command()
def run(preset: Preset, set_: Overrides = None, json: AsJson = False, verbose: Verbose = False) -> None:
    """Run the whole pipeline; what did not change is reused.

    A stage is reused if its input, its settings and its code are as they were.

    Example: rootstock run demo --set finetuning.dropout=0.2
    """
    run_flow("flows.pipeline:pipeline", preset, set_ or [], json, verbose)


@app.command()
def prepare(
    preset: Preset,
    set_: Overrides = None,
    explain: Annotated[
        str | None, typer.Option(metavar="DOCUMENT", help="Show what every step does to the document of this id.")
    ] = None,
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make the corpus, the tokenizer and the tokens.

    Example: rootstock prepare demo --set data_preparation.filters.0.min_words=5
    """
    if explain is not None:
        run_flow("flows.explanation:explanation", preset, set_ or [], json, verbose, document=explain)
        return
    run_flow("flows.data_preparation:data_preparation", preset, set_ or [], json, verbose)


@app.command()
def pretrain(preset: Preset, set_: Overrides = None, json: AsJson = False, verbose: Verbose = False) -> None:
    """Pretrain a language model and export it.

    What it needs is run first, or reused.

    Example: rootstock pretrain demo --set pretraining.optimization.budget_steps=200
    """
    run_flow("flows.pretraining:pretraining", preset, set_ or [], json, verbose)


@app.command()
def finetune(preset: Preset, set_: Overrides = None, json: AsJson = False, verbose: Verbose = False) -> None:
    """Fine-tune by a sweep, after what it needs.

    Example: rootstock finetune demo --set finetuning.tuning.trials=4
    """
    run_flow("flows.finetuning:finetuning", preset, set_ or [], json, verbose)


@app.command()
def evaluate(preset: Preset, set_: Overrides = None, json: AsJson = False, verbose: Verbose = False) -> None:
    """Evaluate beside baselines, after what it needs.

    Example: rootstock evaluate demo
    """
    run_flow("flows.evaluation:evaluation", preset, set_ or [], json, verbose)


@app.command()
def promote(preset: Preset, set_: Overrides = None, json: AsJson = False, verbose: Verbose = False) -> None:
    """Make the tuned model the champion if it is better.

    It is registered, compared with the baselines and the champion, and promoted only if it has proved better; what that
    needs is run first, or reused.

    Example: rootstock promote demo
    """
    run_flow("flows.promotion:promotion", preset, set_ or [], json, verbose)


@app.command("coordinate-check")
def coordinate_check(
    preset: Preset,
    set_: Overrides = None,
    widths: Annotated[str, typer.Option(help="Widths to measure, multiples of model.head_width.")] = "64,128,256,512",
    steps: Annotated[int, typer.Option(help="Optimizer steps before the second measurement.")] = 4,
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Draw how activations and gradients go with the width.

    Under the parametrization of the preset and beside it the others, at birth and after a few steps, with a verdict.

    Example: rootstock coordinate-check small --widths 64,128,256
    """
    with session(json, verbose):
        if not all(each.strip().isdecimal() for each in widths.split(",")):
            raise ValueError(f"--widths {widths!r} is no list of whole numbers; write for example 64,128,256")
    chosen = tuple(int(each) for each in widths.split(","))
    flow = "flows.coordinate_check:coordinate_check"
    run_flow(flow, preset, set_ or [], json, verbose, widths=chosen, steps=steps)


@app.command()
def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The MLflow run id of a finished pipeline.")],
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write the report card of a finished run.

    It is written as HTML and Markdown.

    Example: rootstock report 3f2a9c0d5e6b4f17a8c9d0e1f2a3b4c5
    """
    with _prepared(json, verbose) as current:
        from tasks.report import report_of_run
        from tasks.tracking import find_run

        log_to_file()  # once more: importing Prefect has set up logging to the screen
        if find_run(run) is None:
            raise ValueError(f"no run {run!r} in this MLflow store; give the id that its page in MLflow shows")
        path = report_of_run(run)
        current.finish({"path": str(path)}, [f"Report: {path}"])


@app.command()
def generate(
    model: Model,
    prompt: Annotated[str, typer.Option(help="The text to continue.")] = "",
    max_new_tokens: Annotated[int, typer.Option(help="Stop after so many tokens.")] = 128,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token each time.")] = 0.8,
    top_p: Annotated[float, typer.Option(help="Draw from the smallest set of tokens with this probability.")] = 0.95,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 0,
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Let a language model continue a text.

    Example: rootstock generate python-language-model@champion --prompt "The with statement"
    """
    with _prepared(json, verbose) as current:
        from lm_modules.serving import generate as writer
        from tasks.logged_models import fetch_model
        from tasks.registry import require_alias

        if not Path(model).is_dir():
            require_alias(model)
        text = writer.generate(
            fetch_model(model),
            prompt,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )
        current.finish({"model": model, "prompt": prompt, "text": text}, [prompt + text])


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The registered name.")],
    reason: Annotated[str, typer.Option(help="Why; it is filed on both versions.")],
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make the previous champion the champion again.

    Example: rootstock rollback python-topics --reason "wrong on short texts"
    """
    with _prepared(json, verbose) as current:
        from tasks.registry import rollback as go_back

        version = str(go_back(name, reason).version)
        current.finish({"name": name, "champion": version}, [f"{name}@champion is version {version} again"])


@app.command()
def cancel(
    run: Annotated[str, typer.Argument(metavar="ID", help="The id in Prefect of a run, or of a trial's task run.")],
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Cancel a run, or one trial of a sweep.

    The run ends in order and can be continued. Without one of its trials a sweep goes on.

    Example: rootstock cancel 0198c6f2-7d7e-7c60-8a3c-2f6f1f3f9d11
    """
    with _prepared(json, verbose) as current:
        from flows.services import configured_prefect

        with configured_prefect():
            from flows.interruption import cancel as end

            log_to_file()  # once more: importing Prefect has set up logging to the screen
            name = end(run)
        current.finish({"id": run, "name": name}, [f"{name} is being cancelled."])


@app.command()
def kinds(
    family: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="Show the members of this family only, with their fields.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List what can be written after `kind:`.

    Example: rootstock kinds filters
    """
    with session(json) as current:
        from configs.base import nearest
        from flows.kinds import families
        from flows.kinds import kinds as members

        known = families()
        if family is not None and family not in known:
            raise ValueError(f"no family {family!r}{nearest(family, known)}")
        found = {name: members(folder) for name, folder in known.items() if family in (None, name)}
        current.finish(found, _kind_lines(found, with_fields=family is not None))


@app.command()
def presets(json: AsJson = False) -> None:
    """List the configurations that come with Rootstock.

    Example: rootstock presets
    """
    with session(json) as current:
        from configs.loading import presets as shipped

        first = {name: path.read_text(encoding="utf-8").partition("\n")[0] for name, path in shipped().items()}
        found = {name: line.lstrip("# ") if line.startswith("#") else "" for name, line in first.items()}
        width = max(map(len, found), default=0)
        current.finish(found, [f"{name:<{width}}  {line}" for name, line in found.items()])


@app.command()
def show(
    preset: Annotated[str | None, typer.Argument(metavar="PRESET_OR_YAML", help=PRESET_HELP)] = None,
    set_: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of every configuration.")] = False,
    json: AsJson = False,
) -> None:
    """Print a configuration with all defaults filled in.

    What it extends is filled in too.

    Example: rootstock show demo --set seed=1 > mine.yaml
    """
    with session(json) as current:
        import json as encoder

        from configs.loading import load, to_yaml
        from configs.loading import schema as whole_schema

        if schema:
            current.finish(whole_schema(), [encoder.dumps(whole_schema(), indent=2)])
        elif preset is None:
            raise ValueError("name a preset or a YAML file, or give --schema; `rootstock presets` lists the presets")
        else:
            config = load(preset, set_ or [])
            current.finish(config.model_dump(mode="json"), [to_yaml(config).rstrip()])


@app.command()
def up(
    preset: Annotated[str, typer.Argument(help="A preset or a YAML file, whose stages are deployed.")] = "demo",
    prefect_port: Annotated[int, typer.Option(help="Where Prefect listens.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Where MLflow listens.")] = 5000,
) -> None:
    """Start Prefect, MLflow and deployments, until Ctrl-C.

    They listen on 127.0.0.1 alone. The deployments are of the demo, or of your own file.

    Example: rootstock up mine.yaml --mlflow-port 5001
    """
    with _prepared(False, False) as current:
        from flows.up import up as start

        current.farewell = "Everything that `rootstock up` had started is stopped."
        start(preset, prefect_port, mlflow_port, say=typer.echo)


@app.command()
def doctor(json: AsJson = False) -> None:
    """Look whether this machine can do the work.

    The exit status is 1 if something is broken.

    Example: rootstock doctor
    """
    with _prepared(json, False) as current:
        from flows.doctor import examine

        findings = examine()
        signs = {True: "ok   ", None: "note ", False: "BAD  "}
        current.finish(
            {each.name: {"ok": each.ok, "text": each.text} for each in findings},
            [f"{signs[each.ok]} {each.name:<9} {each.text}" for each in findings],
        )
        if any(each.ok is False for each in findings):
            raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()


def _prepared(json: bool, verbose: bool) -> Any:
    """Return a session with the environment ready for Prefect and MLflow."""
    environment()
    log_to_file()
    return session(json, verbose)


def _kind_lines(found: dict[str, dict[str, dict[str, Any]]], with_fields: bool) -> list[str]:
    from configs.yaml_files import write_line

    lines: list[str] = []
    for family, members in found.items():
        lines.append(f"{family}")
        for kind, facts in members.items():
            lines.append(f"  {kind:<24} {facts['help']}")
            for name, field in facts["fields"].items() if with_fields else ():
                default = "required" if field["required"] else f"default {write_line(field['default'])}"
                lines.append(f"    {name}: {field['help']} ({default})")
    return lines


if __name__ == "__main__":
    main()
