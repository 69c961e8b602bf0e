"""Every form of GTO's grammar is recognised, as GTO's own parser recognises it; ours are built and parsed."""

from __future__ import annotations

import itertools

import pytest

from gaia.errors import GaiaError
from gaia.registry import grammar
from gaia.registry.grammar import Deployment, Foreign, Undeployment, Version, Withdrawal

PARTS = (
    ("plants", "grow-bags-2", "x", "1a", "a--b", ""),
    ("@v1.2.0", "@v01.2.0", "@v1.2", "@v1.2.0-rc.1", "@v1.2.0-01", "@v1.2.0+b.1", "@v1.2.0-x+y", "@v1234567890.0.0",
     "@deprecated", "@created", "@latest", "@1.2.0", "#prod", "#staging-eu", "#Prod", "#a/b", "#a_b", "#-x", "##", "@",
     ""),
    ("", "!"),
    ("", "#7", "#0", "#07", "#9999999999", "#x", "#"),
)  # fmt: skip
WITHDRAWALS = ("plants@v1.2.0!", "plants@v1.2.0!#3")
UNDEPLOYMENTS = ("plants#prod!#8", "a-b#c-d!#100")


@pytest.mark.parametrize("line", PARTS[0])
def test_what_is_a_tag_of_gto_is_what_gto_says(line: str) -> None:
    """Of names whose artifact can be a line; GTO's other artifacts are none of ours."""
    from gto.constants import Action
    from gto.tag import parse_name

    kinds = {Version: Action.REGISTER, Withdrawal: Action.DEREGISTER}
    kinds |= {Deployment: Action.ASSIGN, Undeployment: Action.UNASSIGN}
    for parts in itertools.product(*PARTS[1:]):
        name = line + "".join(parts)
        theirs, ours = parse_name(name, raise_on_fail=False), grammar.parse(name)
        is_line = bool(grammar.NAME.fullmatch(str(theirs.get("name", ""))))
        assert bool(theirs and is_line) == (ours is not None), name
        if ours is None:
            continue
        assert ours.line == theirs["name"]
        assert str(ours.tag if isinstance(ours, Foreign) else ours) == name
        if not isinstance(ours, Foreign):
            assert theirs["action"] == kinds[type(ours)], name
            assert theirs.get("counter") == getattr(ours, "counter", None), name
        if "stage" in theirs:
            assert grammar.stage(ours) == (theirs["stage"], theirs["action"] == Action.ASSIGN)


def test_withdrawals_and_ends_are_built_and_parsed_by_inverse_functions() -> None:
    assert grammar.withdrawal(WITHDRAWALS[1]) == (("plants", 1, 2, 0), 3)
    assert grammar.undeployment(UNDEPLOYMENTS[0]) == ("plants", "prod", 8)
    assert all(str(grammar.withdrawal(name)) == name for name in WITHDRAWALS)
    assert all(str(grammar.undeployment(name)) == name for name in UNDEPLOYMENTS)
    for name in (
        "plants@v1.2.0",
        "plants@v1.2.0!!",
        "plants@v1.2.0!#0",
        "plants#prod!#0",
        "plants#prod#1",
        "plants!#1",
    ):
        with pytest.raises(GaiaError, match="names no withdrawal"):
            grammar.withdrawal(name)
        with pytest.raises(GaiaError, match="ends no deployment"):
            grammar.undeployment(name)
