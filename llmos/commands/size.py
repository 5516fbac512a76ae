"""``size``: choose hardware for every model with ``hardware: auto``, say why, and keep it in the lock."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llmos.console import note, warn
from llmos.lockfile import write_lock
from llmos.session import add_stack_arguments
from llmos.stacks import locate_stack, lock_path, read_lock, read_stack_file
from planner.catalogue import Catalogue, load
from planner.faults import Fault, UserFault
from planner.lock import parse_lock
from planner.plan.aws_make import in_region
from planner.settings import StackSettings, parse
from planner.sizing import Sizing, needs_sizing, read_sizing, with_own_rows
from planner.sizing.compare import SizingChange, compare
from planner.sizing.decide import decide

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser, engine=False)
    other, form = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    other.add_argument(
        "--what-if", action="append", default=[], metavar="PATH=VALUE",
        help="size with one setting changed, e.g. models.chat.slo.ttft_ms=300; print differences, write nothing",
    )
    other.add_argument(
        "--compare", type=Path, metavar="FILE", help="print differences to another stack file or lock; write nothing"
    )
    form.add_argument("--json", action="store_true", help="one JSON document on standard output")
    form.add_argument("--markdown", action="store_true", help="Markdown on standard output, for a pull request")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw cost against load into FILE.png or FILE.svg")
    parser.add_argument("--plot-fill", type=Path, metavar="FILE", help="draw how full each node is")
    parser.add_argument(
        "--plot-demand", type=Path, metavar="FILE", help="draw the forecast demand of histories, with quantiles"
    )


def run(args: argparse.Namespace) -> int:
    name, path = locate_stack(args.stack, file=args.file)
    raw = read_stack_file(path)
    folder = path.parent
    settings, sizing, catalogue = _size(raw, where=path.name, folder=folder)
    _draw(args, settings, sizing, catalogue, stack=name, where=path.name, folder=folder)
    if args.what_if:
        other = _size(_changed(raw, args.what_if), where=f"{path.name} with --what-if", folder=folder)[1]
        _print(args, name, other, compare(sizing, other))
        return 0
    if args.compare:
        _print(args, name, sizing, compare(_other(args.compare), sizing))
        return 0
    lock = lock_path(name)
    content = read_lock(lock)
    before = read_sizing(parse_lock(content, where=f"locks/{lock.name}").sizing, where=f"locks/{lock.name}")
    _print(args, name, sizing, None)
    _warn_of_old_prices(sizing, catalogue)
    write_lock(lock, {**content, "sizing": sizing.model_dump(mode="json")})
    same = before is not None and before == sizing
    note(f"locks/{lock.name} {'is current' if same else 'written; look at it and commit it'}")
    return 0


def _draw(
    args: argparse.Namespace, settings: StackSettings, sizing: Sizing, catalogue: Catalogue, *, stack: str, where: str,
    folder: Path,
) -> None:  # fmt: skip
    """The pictures that were asked for."""
    if not (args.plot or args.plot_fill or args.plot_demand):
        return
    from llmos import plots

    if args.plot:
        plots.plot_costs(args.plot, settings, catalogue, stack=stack, where=where, folder=folder)
    if args.plot_fill:
        plots.plot_fill(args.plot_fill, sizing, stack=stack)
    if args.plot_demand:
        plots.plot_demand(args.plot_demand, settings, sizing, stack=stack, folder=folder)
    for path in (args.plot, args.plot_fill, args.plot_demand):
        if path:
            note(f"wrote {path}")


def _size(raw: Mapping[str, Any], *, where: str, folder: Path) -> tuple[StackSettings, Sizing, Catalogue]:
    settings = parse(raw, where=where)
    if not needs_sizing(settings):
        raise UserFault(
            Fault(
                what="no model leaves its hardware open and none has a history, so there is nothing to size",
                where=f"{where}: models", fix="set hardware: auto on a model, with its traffic and slo",
            )
        )
    catalogue = in_region(with_own_rows(load(), settings, where=where, folder=folder), settings)
    return settings, decide(settings, catalogue, where=where, folder=folder), catalogue


def _changed(raw: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    """The stack file's content with each PATH=VALUE put in; values are read as YAML."""
    made = copy.deepcopy(dict(raw))
    for change in changes:
        path, equals, value = change.partition("=")
        *parents, last = path.strip().split(".")
        if not equals or not all((*parents, last)):
            raise UserFault(
                Fault(what=f"`{change}` is not PATH=VALUE", where="--what-if",
                      fix="write for example --what-if models.chat.slo.ttft_ms=300")
            )  # fmt: skip
        target = made
        for part in parents:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise UserFault(
                    Fault(what=f"`{part}` of `{path}` is a plain value in the stack file, not a map",
                          where="--what-if", fix="name the path of a setting, as it stands in the stack file")
                )  # fmt: skip
        try:
            target[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserFault(
                Fault(what=f"`{value}` is not readable as YAML", where=f"--what-if {path}", fix="quote the value")
            ) from error
    return made


def _other(path: Path) -> Sizing:
    """The sizing in a lock, or that of another stack file."""
    if path.suffix != ".json":
        return _size(read_stack_file(path), where=path.name, folder=path.parent)[1]
    sizing = None
    if path.exists():
        sizing = read_sizing(parse_lock(read_lock(path), where=path.name).sizing, where=path.name)
    if sizing is None:
        raise UserFault(
            Fault(
                what="there is no sizing to compare with", where=str(path),
                fix="name a lock that has one, or a stack file",
            )
        )
    return sizing


def _print(
    args: argparse.Namespace, stack: str, sizing: Sizing, changes: tuple[SizingChange, ...] | None
) -> None:
    if args.json:
        document: dict[str, Any] = {"schema": 1, "stack": stack, "sizing": sizing.model_dump(mode="json")}
        if changes is not None:
            document["changes"] = [dataclasses.asdict(change) for change in changes]
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from llmos import sizing_report

    if args.markdown:
        print(sizing_report.markdown(sizing) if changes is None else sizing_report.changes_markdown(changes))
    elif changes is not None:
        sizing_report.print_changes(changes, sizing)
    else:
        sizing_report.print_sizing(sizing, today=dt.date.today())


def _warn_of_old_prices(sizing: Sizing, catalogue: Catalogue) -> None:
    kinds = {kind for model in sizing.models.values() for kind in (model.instance_type, *model.fallbacks)}
    kinds |= {node.instance_type for node in sizing.applications.nodes} if sizing.applications else set()
    for kind in catalogue.stale_prices(today=dt.date.today(), names=sorted(kinds)):
        date = catalogue.instances[kind].price_date
        warn(f"the price of {kind} is of {date}; state a newer one under catalog: {{instances: [...]}}")
