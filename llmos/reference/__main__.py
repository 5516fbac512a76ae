"""``venv/bin/python -m llmos.reference``: write the schema and the reference of the stack file anew."""

from __future__ import annotations

from llmos.paths import PROJECT_ROOT
from llmos.reference import markdown, schema

DOCUMENTS = {"stack.schema.json": schema.document, "stack-reference.md": markdown.document}


def main() -> None:
    for name, document in DOCUMENTS.items():
        (PROJECT_ROOT / "docs" / name).write_text(document(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
