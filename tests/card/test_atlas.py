"""Cards against RSNA's schema, and against the card that RSNA published for VISTA3D."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from tests.card.conftest import NAMED
from vista3d.card import as_atlas, card_of

REFERENCE = Path(
    os.environ.get(
        "VISTA3D_REFERENCE", Path(__file__).resolve().parents[2].parent / "shared" / "reference"
    )
)

FILLED = {
    "Schema Version": "$schema",
    "Name": "Model/Name",
    "Link": "Model/Link",
    "Keywords": "Model/Indexing/Keywords",
    "Content": "Model/Indexing/Content",
    "Author(s)": "Model/Descriptors/Authors",
    "Organization(s)": "Model/Descriptors/Organizations",
    "Version": "Model/Descriptors/Version",
    "Comments": "Model/Descriptors/Comments",
    "Date": "Model/Descriptors/Date/Published",
    **{
        name: f"Model/Model properties/{name}"
        for name in (
            "Architecture", "Availability", "Clinical benefit", "Clinical workflow phase",
            "Degree of automation", "Indications for use", "Input", "Instructions", "Limitations",
            "Recommendation", "Reproducibility", "Sustainability",
        )
    },
    "Output": "Model/Model properties/Output/Description",
    "Use": "Model/Model properties/Use/Intended Model/Model properties/Use/Out-of-scope",
    "User": "Model/Model properties/User/Intended Model/Model properties/User/Out-of-scope",
}  # fmt: skip
"""Heading in the published card -> where it is in the schema."""


def reference(name: str) -> str:
    """A file that is not ours to copy (copyright RSNA)."""
    path = REFERENCE / name
    if not path.is_file():
        pytest.skip(f"{name} is not at {REFERENCE}: set VISTA3D_REFERENCE")
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(reference("atlas_model_schema.json"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def at(document: dict[str, Any], path: str) -> Any:
    """What is under a path; None where nothing is."""
    found: Any = document
    for key in path.split("/"):
        found = found.get(key) if isinstance(found, dict) else None
    return found


@pytest.mark.parametrize("name", NAMED)
def test_valid(validator, name):
    validator.validate(as_atlas(card_of(name)))


def test_the_card_of_any_checkpoint_is_valid(validator, checkpoint):
    document = as_atlas(card_of(str(checkpoint)))
    validator.validate(document)
    assert at(document, "Model/Indexing/SNOMED") == [10200004]  # liver; the new one has no code
    assert at(document, "Model/Descriptors/Authors") is None


def test_the_validator_sees_errors(validator):
    document = as_atlas(card_of("mini"))
    document["Model"]["Indexing"]["Content"] = ["XX"]
    with pytest.raises(ValidationError, match="XX"):
        validator.validate(document)


@pytest.mark.parametrize("name", ["mini", "official"])
def test_fills_what_the_published_card_fills(name):
    published = reference("atlas_card_vista3d.txt").splitlines()
    document = as_atlas(card_of(name))
    paths = " ".join(FILLED.values()).replace(" Model/", "\nModel/").splitlines()
    assert [path for path in paths if not at(document, path)] == []
    assert set(FILLED) <= {line.split(":")[0] for line in published}  # headings, not inventions


def test_the_official_facts_are_those_of_the_published_card():
    text = reference("atlas_card_vista3d.txt")
    document = as_atlas(card_of("official"))
    for author in at(document, "Model/Descriptors/Authors"):
        assert author["Name"] in text
    assert f"Published: {at(document, 'Model/Descriptors/Date/Published')}" in text
    assert at(document, "Model/Name") in text
    assert at(document, "Model/Link") in text
