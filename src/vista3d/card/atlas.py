"""A model card as RSNA ATLAS JSON, schema 2025-11 (https://atlas.rsna.org)."""

from __future__ import annotations

from typing import Any

from vista3d.card import described
from vista3d.card.card import Card
from vista3d.card.results import Table, shown

SCHEMA = "https://atlas.rsna.org/schemas/2025-11/model.json"

MODALITIES = {
    "CT": "Computed tomography (RID10321)",
    "MR": "Magnetic resonance imaging (RID10312)",
}


def as_atlas(card: Card) -> dict[str, Any]:
    """The document; validates against the schema. Fields that nothing is known of are left out."""
    words = card.words
    model = {
        "Name": words.title or f"VISTA3D {card.meta.name}",
        "Summary": words.summary,
        "Link": words.link,
        "Indexing": _indexing(card),
        "Descriptors": _descriptors(card),
        "Model properties": _properties(card),
        "Imaging": {
            "Modalities": [MODALITIES[name] for name in words.modalities],
            "File format": ["DICOM", "NiFTI", "Other"],
            "Comments": "Other: NRRD, MetaImage.",
        },
        "Model performance": _performance(card),
    }
    return {"$schema": SCHEMA, "Model": _without_gaps(model)}


def _indexing(card: Card) -> dict[str, Any]:
    return {
        "Content": list(card.words.modalities),
        "SNOMED": described.snomed_codes(card.meta),
        "Keywords": list(card.words.keywords),
    }


def _descriptors(card: Card) -> dict[str, Any]:
    words = card.words
    return {
        "Authors": [{"Name": name} for name in words.authors],
        "Organizations": [{"Name": name} for name in words.organizations],
        "Version": card.version,
        "Comments": words.comments,
        "Date": {"Published": words.published},
        "License": {"Text": card.meta.licence},
        "References": list(words.references),
    }


def _threshold(card: Card) -> str:
    if not card.meta.exclusive:
        return "Logit 0, the same for every class; of several classes the largest."
    margins = " after the margins of the classes are taken off" if card.meta.margins else ""
    return f"Sum of exp(logit) over all classes above 1{margins}; of the classes the largest."


def _properties(card: Card) -> dict[str, Any]:
    words = card.words
    return {
        "Architecture": described.architecture(card),
        "Availability": words.availability,
        "Clinical benefit": words.benefit,
        "Clinical workflow phase": words.workflow_phase,
        "Decision threshold": _threshold(card),
        "Degree of automation": words.automation,
        "Indications for use": words.indications,
        "Input": described.input_text(card),
        "Instructions": words.instructions,
        "Limitations": " ".join(words.limitations),
        "Output": {"Description": described.output_text(card)},
        "Recommendation": words.recommendation,
        "Regulatory information": {"Comment": words.regulatory},
        "Reproducibility": words.reproducibility,
        "Sustainability": " ".join(
            [
                words.sustainability,
                *(note for table in card.results.training for note in table.notes),
            ]
        ).strip(),
        "Use": {"Intended": list(words.uses), "Out-of-scope": list(words.misuses)},
        "User": {"Intended": list(words.users), "Out-of-scope": list(words.other_users)},
    }


def _performance(card: Card) -> dict[str, Any]:
    tables = card.results.performance
    if not tables:
        return {}
    return {
        "Metrics": ["Dice similarity coefficient"],
        "Comments": " ".join(_sentence(table) for table in tables),
    }


def _sentence(table: Table) -> str:
    """A table as a line of text."""
    heading = ", ".join(table.columns[1:])
    rows = "; ".join(f"{row[0]}: {', '.join(map(shown, row[1:]))}" for row in table.rows)
    return " ".join([f"{table.title} ({heading}): {rows}.", *table.notes])


def _without_gaps(value: Any) -> Any:
    """Leave out what is empty: the schema has no empty lists, and an empty text says nothing."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_gaps(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item not in ("", [], {})}
