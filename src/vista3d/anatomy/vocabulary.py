"""What one model can be asked for by name: the table of structures, and structures of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vista3d.anatomy import lookup
from vista3d.anatomy.table import Structure, structures
from vista3d.errors import UnknownClassError

FIRST_OWN = 346
"""First row of the class table that no published label list names; a fine-tuned model's own classes
take rows from here to the last (511 with the released 512 rows)."""


@dataclass(frozen=True)
class Vocabulary:
    """Names and ids that a model understands.

    Attributes:
        own: structures that only this model has, by id; empty for the published ones.
    """

    own: Mapping[int, Structure] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, names: Mapping[int, str]) -> Vocabulary:
        """The table, and a model's own classes: id -> name, as its checkpoint has them."""
        made = {
            i: replace(lookup.new_structure(i, name), trained=True) for i, name in names.items()
        }
        return cls(MappingProxyType(made))

    def __contains__(self, class_id: int) -> bool:
        return class_id in self.own or class_id in structures()

    def by_id(self, class_id: int) -> Structure:
        """The structure of an id.

        Raises:
            UnknownClassError: no such id.
        """
        return self.own[class_id] if class_id in self.own else lookup.by_id(class_id)

    def resolve(self, classes: Iterable[str | int] | str | int) -> tuple[int, ...]:
        """As `anatomy.resolve`; a name of the model's own comes before one of the table.

        Raises:
            UnknownClassError: unknown names, or classes that no model was ever trained on; all of
                them are said.
        """
        prompts = [classes] if isinstance(classes, str | int) else list(classes)
        ids: dict[int, None] = {}
        wrong: list[str] = []
        for prompt in prompts:
            own = self._own_id(prompt)
            try:
                found = lookup.resolve(prompt) if own is None else (own,)
            except UnknownClassError as error:
                wrong.append(str(error))
            else:
                ids.update(dict.fromkeys(found))
        if wrong:
            if self.own:
                names = ", ".join(structure.name for structure in self.own.values())
                wrong.append(f"this model's own classes: {names}")
            raise UnknownClassError("; ".join(wrong))
        return tuple(ids)

    def single(self, name: str | int) -> int | None:
        """The id of the one class that a name or number means; None for all else."""
        try:
            found = self.resolve(name)
        except UnknownClassError:
            return None
        return found[0] if len(found) == 1 else None

    def _own_id(self, prompt: str | int) -> int | None:
        if isinstance(prompt, int) or prompt.strip().isdigit():
            return int(prompt) if int(prompt) in self.own else None
        key = lookup.key_of(prompt)
        return next((i for i, s in self.own.items() if lookup.key_of(s.name) == key), None)
