"""Commands of the teams that work the lists: what is on them, why, what came of it, what was measured."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

import typer

from product_affinity.cli.base import (
    AsOfOption,
    JobsOption,
    JsonOption,
    ProjectOption,
    app,
    open_project,
    parse_as_of,
    progress,
    show,
)

ListsDateOption = Annotated[
    str | None,
    typer.Option("--as-of", help="As-of date, YYYY-MM-DD. Default: that of the newest published lists, else today."),
]


@app.command()
def lists(
    owner: Annotated[str, typer.Option(help="Id or name of the owner.")],
    project: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Show the newest published list of one owner."""
    from product_affinity.pipeline.published import newest_list_of

    found = newest_list_of(open_project(project), owner)
    show(found.render(), as_json, found.to_json())


@app.command()
def explain(
    account: Annotated[str, typer.Argument(help="Id or name of the account.")],
    product: Annotated[str, typer.Argument(help="Id or name of the product.")],
    project: ProjectOption = Path(),
    as_of: ListsDateOption = None,
    reveal_arm: Annotated[bool, typer.Option("--reveal-arm", help="Say whether the pair is held back.")] = False,
    jobs: JobsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole story of a pair: why it is on the list, or why not."""
    from product_affinity.pipeline.explain import explain_pair
    from product_affinity.pipeline.published import newest_date

    opened = open_project(project)
    # who asks has a list before them
    shown = newest_date(opened) if as_of is None else None
    story = explain_pair(
        opened,
        shown or parse_as_of(as_of),
        account,
        product,
        reveal_arm=reveal_arm,
        jobs=jobs,
        progress=progress,
    )
    show(story.render(), as_json, story.to_json())


@app.command()
def report(project: ProjectOption = Path(), as_of: AsOfOption = None, jobs: JobsOption = 2) -> None:
    """Measure the rules, affinities, adjacencies and the effect of the lists."""
    from product_affinity.pipeline.report import report_project

    show(report_project(open_project(project), parse_as_of(as_of), jobs=jobs, progress=progress))


def noon(day: dt.date) -> dt.datetime:
    """Return noon of a day, UTC: an instant of that day in every zone where companies sit."""
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


@app.command()
def outcomes(
    file: Annotated[Path, typer.Argument(help="A filled-in workbook, or a CSV file.")],
    project: ProjectOption = Path(),
    kind: Annotated[
        Literal["workbook", "opportunities", "outcomes"] | None,
        typer.Option(help="What the file is: an .xlsx is a workbook; of a CSV file say which."),
    ] = None,
    noted_on: Annotated[
        str | None, typer.Option("--noted-on", help="Day on which undated rows were noted. Default: now.")
    ] = None,
    received_on: Annotated[
        str | None,
        typer.Option(
            "--received-on", help="Day the file came back: lists see its words from the next day. Default: now."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take back what was done with a list: recorded once, with the play that caused it."""
    from product_affinity.pipeline.outcomes import take_outcomes

    noted_at = noon(parse_as_of(noted_on, "--noted-on")) if noted_on else None
    received = noon(parse_as_of(received_on, "--received-on")) if received_on else dt.datetime.now(tz=dt.UTC)
    found = take_outcomes(open_project(project), file, kind, received_at=received, noted_at=noted_at)
    show(found.render(), as_json, found.to_json())
