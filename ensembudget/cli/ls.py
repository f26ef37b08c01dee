"""`ensembudget ls`: lists parts, preset studies and recipes."""

import argparse

from ..catalog import CATALOGS
from .parser import Command, Parser

KINDS = (*CATALOGS, "studies", "recipes")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", choices=KINDS, metavar="WHAT", help=", ".join(KINDS))


def act(args: argparse.Namespace) -> int:
    lines = _lines(args.what)
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
    catalog = CATALOGS[what]
    return [(name, catalog.summary(name)) for name in catalog]


command = Command("list parts, preset studies and recipes", add_arguments, act, ("families", "studies"))
