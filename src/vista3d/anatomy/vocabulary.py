"""What one model can be asked for by name: the table of structures, and structures of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vista3d.anatomy import lookup
from vista3d.anatomy.table import Structure, structures
from vista3d.errors import UnknownClassError, UsageError

FIRST_OWN = 346
"""First row of the class table that no published label list names; a fine-tuned model's own classes
take rows from here to the last (511 with the released 512 rows)."""


@dataclass(frozen=True)
class Vocabulary:
    """Names and ids that a model understands.

    Attributes:
        own: structures that only this model has, by id; empty for the published ones.
        trained: ids that it was trained on; None where they are not known.
        model: what `--model` takes for it.
    """

    own: Mapping[int, Structure] = field(default_factory=lambda: MappingProxyType({}))
    trained: frozenset[int] | None = None
    model: str = "MODEL"

    @classmethod
    def of(
        cls,
        names: Mapping[int, str],
        trained: Collection[int] | None = None,
        model: str = "MODEL",
    ) -> Vocabulary:
        """The table, and a model's own classes: id -> name, as its checkpoint has them."""
        made = {
            i: replace(lookup.new_structure(i, name), trained=True) for i, name in names.items()
        }
        known = None if trained is None else frozenset(trained)
        return cls(MappingProxyType(made), known, model)

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
                found = lookup.resolve(prompt, self._hint) if own is None else (own,)
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

    def split(self, ids: Iterable[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The ids that the model was trained on, and the names of the others.

        Raises:
            UsageError: it was trained on none of them.
        """
        asked = tuple(ids)
        if self.trained is None:
            return asked, ()
        trained = self.trained
        taught = tuple(i for i in asked if i in trained)
        others = tuple(self.by_id(i).name for i in asked if i not in trained)
        if others and not taught:
            msg = f"the model was not trained on {', '.join(others)}: {self._list}, or take another"
            raise UsageError(msg)
        return taught, others

    def single(self, name: str | int) -> int | None:
        """The id of the one class that a name or number means; None for all else."""
        try:
            found = self.resolve(name)
        except UnknownClassError:
            return None
        return found[0] if len(found) == 1 else None

    @property
    def _list(self) -> str:
        return f"see `vista3d classes --model {self.model}`"

    def _hint(self, query: str) -> str:
        """What to do about an unknown name: only what the model can do is suggested."""
        if self.trained is None:
            return lookup.hint(query)
        near = lookup.nearest(query, self.trained)
        if near:
            return f"did you mean {', '.join(near)}?"
        return f"the model was trained on nothing of a similar name: {self._list}"

    def _own_id(self, prompt: str | int) -> int | None:
        if isinstance(prompt, int) or prompt.strip().isdigit():
            return int(prompt) if int(prompt) in self.own else None
        key = lookup.key_of(prompt)
        return next((i for i, s in self.own.items() if lookup.key_of(s.name) == key), None)
