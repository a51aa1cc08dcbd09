"""What is shown when a campaign has ended, however it did: leaderboard, report, and what to type next."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from move37.app.reading import pick_campaign, reading
from move37.app.tables import campaign_table
from move37.app.terminal import console
from move37.app.views.campaign import metric_of
from move37.app.views.leaderboard import board_of
from move37.lab.archive.store import Campaign
from move37.lab.claims import unasked
from move37.lab.records import Experiment, Role


def conclude(home: Path, number: int) -> None:
    """The leaderboard, what was shortened, the report's path, and what to type next."""
    from move37.app.report import write_report

    screen = console()
    with reading(home) as archive:
        campaign = pick_campaign(archive, number)
        experiments = archive.experiments(campaign.id)
        screen.print()
        screen.print(campaign_table(campaign, experiments))
        screen.print()
        report = write_report(archive, campaign, home / "reports" / f"campaign-{campaign.id}.html")
    screen.print(Text.assemble(("report  ", "bold"), str(report)), soft_wrap=True)
    for label, command in next_commands(campaign, experiments):
        screen.print(Text.assemble((f"{label:<8}", "bold"), command), soft_wrap=True)


def next_commands(campaign: Campaign, experiments: tuple[Experiment, ...]) -> list[tuple[str, str]]:
    """What a user may want to type now. Pure."""
    if campaign.status != "finished":
        return [("next", "move37 resume")]
    mine = [e for e in experiments if e.role is Role.CANDIDATE]
    best = board_of(mine, metric_of(campaign)).order
    commands = [f"move37 confirm {e.id}" for e in unasked(experiments)]
    commands += [f"move37 show {best[0]}"] if best else []
    commands.append("move37 report --open")
    return [("next" if i == 0 else "", command) for i, command in enumerate(commands)]
