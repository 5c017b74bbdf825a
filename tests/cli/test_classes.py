"""`vista3d classes` as a shell sees it."""

from __future__ import annotations

import json

import pytest

from vista3d.cli.main import main


@pytest.fixture
def listed(capsys):
    """Ids that the command lists."""

    def call(*arguments: str) -> list[int]:
        with pytest.raises(SystemExit) as stop:
            main(["classes", "--json", *arguments])
        assert not stop.value.code
        return [entry["id"] for entry in json.loads(capsys.readouterr().out)]

    return call


def test_the_table_is_that_of_the_ct_model(listed):
    assert listed() == list(range(1, 133))
    assert len(listed("--all")) == 345


@pytest.mark.parametrize(("group", "members"), [("Vertebrae", 26), ("bone", 62), ("ribs", 24)])
def test_a_group_is_one_of_the_table_or_what_a_word_stands_for(listed, group, members):
    assert len(listed("--group", group)) == members


def test_a_model_lists_what_it_was_trained_on(listed):
    from vista3d.network.about import about

    assert listed("--model", "mini") == list(about("mini").classes)
    assert listed("parotid", "--model", "mini") == [204, 205]
    assert listed("pancreas", "--model", "official") == [4, 24]


def test_an_id_means_that_structure_alone(listed):
    assert listed("5") == [5]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--group", "limbs"), "unknown group 'limbs': one of"),
        (("livr",), "did you mean liver"),
        (("--model", "nothing"), "no model 'nothing'"),
    ],
)
def test_what_is_not_there_is_said(capsys, arguments, told):
    with pytest.raises(SystemExit):
        main(["classes", *arguments])
    assert told in capsys.readouterr().err
