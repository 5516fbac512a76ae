"""`llmos check`: the policy pack on plain YAML, Helm output or an export of Pulumi's state."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmos.checks.admission import admission_findings
from llmos.checks.findings import Finding, PolicyInfo
from llmos.checks.report import controls_table, report
from llmos.checks.sarif import sarif
from llmos.kube import Kube
from llmos.manifests import Manifest, read_manifests
from llmos.packs import Pack
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask the policy pack about Kubernetes manifests (also multi-document files, List kinds, folders, the output of "
        "`helm template` on standard input) or about the output of `pulumi stack export`. Exit code 1 when a mandatory "
        "rule is broken."
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="file or folder; - for standard input")
    parser.add_argument(
        "--env", default="prod", metavar="NAME",
        help="whose limits apply, policies/config/NAME.json (default: prod, the strictest)",
    )
    parser.add_argument(
        "--context", metavar="NAME", default="",
        help="also submit every pod template as a dry-run Pod to this kubeconfig context's API server",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON document on standard output")
    output.add_argument("--sarif", action="store_true", help="SARIF 2.1.0, for code hosts")
    output.add_argument("--report", action="store_true", help="a Markdown audit for a security review")
    parser.add_argument("--controls", action="store_true", help="list every control with its rule, and stop")


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 when a mandatory rule is broken."""
    if args.controls:
        with Pack(environment=args.env, preview=True) as pack:
            _print_controls(pack.policies, as_json=args.json)
        return 0
    if not args.files:
        raise UserFault(
            Fault(what="no file is named", where="check", fix="name files or folders, or - for standard input")
        )
    manifests = read_manifests(args.files)
    resources = [manifest.resource for manifest in manifests]
    with Pack(environment=args.env, preview=True) as pack:
        findings = _located(pack.evaluate(resources), manifests)
        policies, config = pack.policies, pack.config
    if args.context:
        findings += admission_findings(manifests, Kube(context=args.context))
    if args.report:
        exempt = _exempt(findings, manifests, args.env, config)
        print(
            report(
                environment=args.env,
                resources=resources,
                findings=findings,
                exempt=exempt,
                policies=policies,
                config=config,
            ),
            end="",
        )
    elif args.sarif:
        print(json.dumps(sarif(findings, policies), indent=2))
    elif args.json:
        print(json.dumps({"schema": 1, "findings": [_row(finding) for finding in findings]}, indent=2))
    else:
        _print_table(findings, count=len(manifests), environment=args.env)
    return int(any(finding.level == "mandatory" for finding in findings))


def _located(findings: Sequence[Finding], manifests: Sequence[Manifest]) -> tuple[Finding, ...]:
    files = {manifest.resource.urn: manifest.file for manifest in manifests}
    return tuple(replace(finding, file=files.get(finding.urn, "")) for finding in findings)


def _exempt(
    findings: Sequence[Finding], manifests: Sequence[Manifest], environment: str, config: dict[str, dict[str, object]]
) -> tuple[Finding, ...]:
    """What would be found if there were no exemptions."""
    without = {name: {"exemptions": []} for name, settings in config.items() if settings.get("exemptions")}
    if not without:
        return ()
    with Pack(environment=environment, preview=True, config=without) as pack:
        everything = _located(pack.evaluate([manifest.resource for manifest in manifests]), manifests)
    seen = Counter((finding.rule, finding.urn, finding.path) for finding in findings)
    return tuple(finding for finding in everything if not seen[(finding.rule, finding.urn, finding.path)])


def _row(finding: Finding) -> dict[str, str]:
    keys = ("file", "object", "rule", "level", "path", "message", "fix", "control", "why")
    return {key: getattr(finding, key) for key in keys}


def _print_table(findings: Sequence[Finding], *, count: int, environment: str) -> None:
    console = _console()
    ordered = sorted(findings, key=lambda finding: (finding.file, finding.object, finding.level != "mandatory"))
    for (file, name), rows in groupby(ordered, key=lambda finding: (finding.file, finding.object)):
        console.print(f"[bold]{escape(name or 'the whole stack')}[/bold]" + (f"  {escape(file)}" if file else ""))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        for finding in rows:
            place = f"{finding.path}: " if finding.path else ""
            level = "[red]mandatory[/red]" if finding.level == "mandatory" else finding.level
            table.add_row(level, finding.rule, escape(f"{place}{finding.message}\nTo fix: {finding.fix}"))
        console.print(table)
    mandatory = sum(finding.level == "mandatory" for finding in findings)
    advisory = len(findings) - mandatory
    checked = "1 object" if count == 1 else f"{count} objects"
    console.print(f"{checked}, limits of {environment}: {mandatory} mandatory and {advisory} advisory findings")


def _print_controls(policies: Sequence[PolicyInfo], *, as_json: bool) -> None:
    rows = controls_table(policies)
    if as_json:
        print(
            json.dumps({"schema": 1, "controls": [{"control": c, "rule": r, "title": t} for c, r, t in rows]}, indent=2)
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("control", "rule", "what it demands"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    """Standard output; in a pipe, where nothing tells the width, wide enough for a finding."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    return console
