"""Model cards: what a checkpoint is, what it was trained on, how well it works, where it fails.

- `card`: everything a card says, as values, of a name or a checkpoint.
- `words`: what only people can say about a model; package data per name.
- `results`: measured tables; package data per name, or `evaluated` and `trained`: from folders of
  `vista3d evaluate` and `vista3d train`.
- `described`: sentences and tables made from a checkpoint's metadata.
- `markdown`, `atlas`: the two formats.
"""

from vista3d.card.atlas import as_atlas
from vista3d.card.card import Card, card_of
from vista3d.card.markdown import as_markdown
from vista3d.card.measured import results_from

__all__ = ["Card", "as_atlas", "as_markdown", "card_of", "results_from"]
