"""``venv/bin/python -m llmos.reference``: write the schema, the reference and the index of decisions anew."""

from __future__ import annotations

from llmos.paths import PROJECT_ROOT
from llmos.reference import decisions, markdown, schema

DOCUMENTS = {
    "stack.schema.json": schema.document,
    "stack-reference.md": markdown.document,
    "decisions/README.md": decisions.document,
}


def main() -> None:
    for name, document in DOCUMENTS.items():
        (PROJECT_ROOT / "docs" / name).write_text(document(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
