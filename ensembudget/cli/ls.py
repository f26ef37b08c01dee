"""`ensembudget ls`: lists parts, preset studies, recipes and the fields of a study."""

import argparse

from ..catalog import CATALOGS
from .parser import FORMATS, Command, Parser, add_format

KINDS = (*CATALOGS, "studies", "recipes", "fields")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    lines = _lines(args.what)
    if args.format != "table":
        from .layouts import PARTS
        from .show import print_rows

        print_rows(PARTS, [{"name": name, "about": about} for name, about in lines], args.format)
        return 0
    longest = max(len(name) for name, _ in lines)
    for name, about in lines:
        print(f"{name:{longest}}  {about}")
    return 0


def _lines(what: str) -> list[tuple[str, str]]:
    if what == "studies":
        from .. import studies

        return [(name, studies.description(name)) for name in studies.names()]
    if what == "recipes":
        from .. import recipes

        return [(name, recipes.source(name)) for name in recipes.names()]
    if what == "fields":
        from ..studies import fields

        return fields.lines()
    catalog = CATALOGS[what]
    return [*((name, catalog.summary(name)) for name in catalog), *catalog.made.items()]


command = Command(
    "list parts, preset studies, recipes and the fields of a study",
    add_arguments,
    act,
    ("families", "studies", "fields"),
)
