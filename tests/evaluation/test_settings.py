"""The command of a run, as a card states it."""

import pytest

from vista3d.evaluation.protocols import PROTOCOLS, budgets
from vista3d.evaluation.settings import Settings


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_command_asks_for_nothing_that_is_refused(name, official):
    chosen = PROTOCOLS[name]
    words = Settings(name, official, budgets(chosen, official, None)).command.split()
    asked = words[words.index("--clicks") + 1] if "--clicks" in words else None
    numbers = [int(number) for number in asked.split(",")] if asked else None
    assert budgets(chosen, official, numbers) == budgets(chosen, official, None)
    assert ("--official" in words) == official


def test_a_command_states_what_is_no_default():
    settings = Settings("auto", structures=("liver", "left lung"), tolerance_mm=5, everything=True)
    wanted = 'vista3d evaluate --protocol auto --classes "liver,left lung" --tolerance 5'
    assert settings.command == f"{wanted} --everything"
