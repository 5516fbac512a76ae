"""How the policy pack judges manifests that others have judged: ``python3 -m benchmarks.policies INDEX_CSV``.

Each row of the index is a file and whether it breaks one rule of its corpus. ``policies_mapping.json`` maps whole rules
of the corpus to rules or controls of the pack; a row counts as reported when that rule finds anything in the file.
Rules run with prod's limits, at level mandatory where an environment has them off. Exit code 1 when a row that should
fail passes, when more than 1 % of the mapped rows that should pass fail, or when fewer than 70 % of the self-contained
rows are mapped.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmos.manifests import read_manifests
from llmos.packs import Finding, Pack

__all__ = ["Row", "main", "score"]

MAPPING = Path(__file__).with_name("policies_mapping.json")
_BARS = {"false_positive_share": 0.01, "mapped_share": 0.70}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the index."""

    file: Path
    corpus: str
    rule: str
    should_fail: bool
    self_contained: bool

    @property
    def key(self) -> str:
        return f"{self.corpus}/{self.rule}"


def main() -> int:
    """Print one line a corpus rule and the JSON summary."""
    parser = argparse.ArgumentParser(description="Score the policy pack on a labelled corpus of manifests.")
    parser.add_argument("index", type=Path, metavar="INDEX_CSV")
    rows = _read(parser.parse_args().index)
    mapping = json.loads(MAPPING.read_text(encoding="utf-8"))
    mapped = [row for row in rows if row.rule in mapping["mapped"].get(row.corpus, {})]
    verdicts = score(mapped, mapping["mapped"])
    _print_rules(rows, verdicts, mapping)
    summary = _summary(rows, mapped, verdicts)
    print(json.dumps(summary))
    return int(
        summary["false_negatives"] > 0
        or summary["false_positive_share"] > _BARS["false_positive_share"]
        or summary["mapped_share"] < _BARS["mapped_share"]
    )


def score(rows: Iterable[Row], mapped: Mapping[str, Mapping[str, Any]]) -> dict[Row, bool]:
    """Whether the pack reports each row's rule. One pack serves all rows that need the same settings."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        target = mapped[row.corpus][row.rule]
        groups[json.dumps({target["rule"]: target.get("settings", {})})].append(row)
    shared: dict[str, Any] = {}
    separate: list[tuple[dict[str, Any], list[Row]]] = []
    together: list[Row] = []
    for text, members in groups.items():
        settings = json.loads(text)
        if any(settings.values()):
            separate.append((settings, members))
        else:
            shared |= settings
            together += members
    verdicts: dict[Row, bool] = {}
    for settings, members in [(shared, together), *separate]:
        config = {rule: {"enforcementLevel": "mandatory", **values} for rule, values in settings.items()}
        with Pack(environment="prod", preview=True, config=config) as pack:
            for row in members:
                resources = [manifest.resource for manifest in read_manifests([str(row.file)])]
                findings = pack.evaluate(resources)
                verdicts[row] = any(_hits(finding, mapped[row.corpus][row.rule]) for finding in findings)
    return verdicts


def _hits(finding: Finding, target: Mapping[str, Any]) -> bool:
    return finding.rule == target["rule"] and target.get("control", finding.control) == finding.control


def _read(index: Path) -> list[Row]:
    with index.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                file=index.parent / row["file"], corpus=row["corpus"], rule=row["rule"],
                should_fail=row["expected"] == "fail", self_contained=row["needs_context"] == "0",
            )
            for row in csv.DictReader(file)
        ]


def _outcome(row: Row, reported: bool) -> str:
    return ("true" if row.should_fail == reported else "false") + ("_positives" if reported else "_negatives")


def _print_rules(rows: list[Row], verdicts: Mapping[Row, bool], mapping: Mapping[str, Any]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.key][_outcome(row, verdicts[row]) if row in verdicts else "unmapped"] += 1
    for key, counter in sorted(counts.items()):
        corpus, rule = key.split("/", 1)
        target = mapping["mapped"].get(corpus, {}).get(rule)
        if target is None:
            reason = mapping["unmapped"].get(corpus, {}).get(rule, "not in the mapping file")
            print(f"{key:55} {counter['unmapped']:3} rows not mapped: {reason}")
        else:
            result = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counter.items()))
            print(f"{key:55} -> {target.get('control', target['rule']):45} {result}")
    for row, reported in verdicts.items():
        if row.should_fail != reported:
            print(f"wrong: {row.file} should {'fail' if row.should_fail else 'pass'}")


def _summary(rows: list[Row], mapped: list[Row], verdicts: Mapping[Row, bool]) -> dict[str, Any]:
    outcomes = Counter(_outcome(row, reported) for row, reported in verdicts.items())
    passing = sum(not row.should_fail for row in mapped)
    alone = [row for row in rows if row.self_contained]
    names = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    return {
        "rows": len(rows), "mapped": len(mapped), **{name: outcomes[name] for name in names},
        "self_contained": len(alone),
        "mapped_share": round(sum(row in verdicts for row in alone) / len(alone), 4) if alone else 0.0,
        "false_positive_share": round(outcomes["false_positives"] / passing, 4) if passing else 0.0,
    }


if __name__ == "__main__":
    raise SystemExit(main())
